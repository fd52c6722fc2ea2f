"""Prints one profile of an AWS credentials file, the only one that the notebook gets."""

from __future__ import annotations

import os
import sys
from configparser import Error, RawConfigParser


def only(text: str, profile: str) -> str:
    """Return the section of a profile, and of the profiles that it takes its keys from, or nothing.

    Format: https://docs.aws.amazon.com/sdkref/latest/guide/file-format.html
    """
    every, found = RawConfigParser(strict=False, default_section=""), RawConfigParser(default_section="")
    try:
        every.read_string(text)
    except Error:
        return ""
    while profile in every and profile not in found:
        found[profile] = every[profile]
        profile = every[profile].get("source_profile", "")
    lines = []
    for section in found.sections():
        lines += [f"[{section}]", *(f"{key} = {value}" for key, value in found[section].items())]
    return "".join(f"{line}\n" for line in lines)


def main() -> None:
    """Print the profile AWS_PROFILE, by default ``default``, of the file on standard input."""
    content = sys.stdin.buffer.read().decode("utf-8-sig", "replace")
    print(only(content, os.environ.get("AWS_PROFILE") or "default"), end="")
