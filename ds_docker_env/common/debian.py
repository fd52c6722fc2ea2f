"""Debian packages for building sources, and the packages of the official image.

The steps of the image build import it too, so it runs on Python 3.8.
"""

from __future__ import annotations

import pkgutil
import re
from collections.abc import Collection, Mapping
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

PATH = Path(__file__).with_suffix(".txt")
_ARGUMENT = re.compile(r'^ARG DEBIAN_PACKAGES="(.*)"$', re.MULTILINE)
# The comment above the build requirements of a source in build-requirements.txt: its requirement, its name, the
# Debian packages that it needs, and the reason why some build requirements are not fixed.
LABEL = re.compile(r"^# (([a-z0-9][\w.-]*)(?:==| @ )\S+?)(?:: needs ([^:\n]+))?(?:: (not fixed, .*))?$", re.MULTILINE)


class Debian(NamedTuple):
    """The package of each header and program, the packages for each Python source, and those of the image."""

    files: Mapping[str, str]
    needs: Mapping[str, list[str]]
    image: Collection[str]

    def package_of(self, file: str) -> str:
        """Return the package of a program or a header, such as ``sasl/sasl.h``, or a blank if it is unknown."""
        directory, slash, _ = file.partition("/")
        return self.files.get(directory + slash, "")


@lru_cache
def read(release: str) -> Debian:
    """Return the table of a Debian release, which `locks/debian.py` makes; an unknown release gets bookworm's."""
    text = (pkgutil.get_data(__package__ or "", PATH.name) or b"").decode()
    found = re.findall(r"^\[(\w+)\]\n((?:[^\[\n].*\n)*)", text, re.MULTILINE)
    sections = {name: [line.split(" ") for line in lines.splitlines()] for name, lines in found}
    image, *others = sections.get(release, sections["bookworm"])
    needs = {name: packages for name, *packages in (*sections["needs"], *others)}
    return Debian({file: package for package, *files in sections["files"] for file in files}, needs, frozenset(image))


def needs_in(build_requirements: str) -> dict[str, list[str]]:
    """Return the Debian packages that each source needs according to build-requirements.txt."""
    return {source: packages.split() for source, _, packages, _ in LABEL.findall(build_requirements) if packages}


def with_packages(dockerfile: str, packages: Collection[str]) -> str:
    """Return a Dockerfile that also installs these packages, if it has the line DEBIAN_PACKAGES."""

    def add(line: re.Match[str]) -> str:
        names = dict.fromkeys([*line[1].split(), *sorted(packages)])
        return f'ARG DEBIAN_PACKAGES="{" ".join(names)}"'

    return _ARGUMENT.sub(add, dockerfile)
