"""The Debian packages that sources are built with, and those of them that the official image has."""

from __future__ import annotations

import pkgutil
import re
from collections.abc import Collection, Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

PATH = Path(__file__).with_suffix(".txt")


class Debian(NamedTuple):
    """The package of each header and program; the packages for the source of each Python package; those of the image."""

    files: Mapping[str, str]
    needs: Mapping[str, list[str]]
    image: Collection[str]

    def package_of(self, file: str) -> str:
        """Return the package of a header as it is included, such as ``sasl/sasl.h``, or of a program, or nothing."""
        directory, slash, _ = file.partition("/")
        return self.files.get(directory + slash, "")


@cache
def read(release: str) -> Debian:
    """Return the table of a release of Debian, which `locks/debian.py` makes."""
    text = (pkgutil.get_data(__package__ or "", PATH.name) or b"").decode()
    found = re.findall(r"^\[(\w+)\]\n((?:[^\[\n].*\n)*)", text, re.MULTILINE)
    sections = {name: [line.split(" ") for line in lines.splitlines()] for name, lines in found}
    image, *others = sections[release]
    needs = {name: packages for name, *packages in (*sections["needs"], *others)}
    return Debian({name: package for name, package in sections["files"]}, needs, frozenset(image))
