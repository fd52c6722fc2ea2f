"""Known vulnerabilities of Debian packages, from the file of Debian's security tracker for debsecan.

Format: https://salsa.debian.org/debian/debsecan/-/blob/master/src/debsecan
"""

from __future__ import annotations

import platform
import re
import subprocess
import zlib
from collections import defaultdict
from collections.abc import Iterable
from functools import cmp_to_key
from itertools import zip_longest
from typing import NamedTuple

from ds_docker_env.common.errors import ProjectError, SourceError
from ds_docker_env.common.sources.web import WebFile
from ds_docker_env.image.advisories import Advisory

URL = "https://security-tracker.debian.org/tracker/debsecan/release/1/"
# The image has the kernel's headers, but the host's kernel runs.
_NOT_RUN = {"linux"}
_UNPACKED = 500_000_000
_FORMAT = "${db:Status-Status} ${Package} ${Version} ${source:Package} ${source:Version}\\n"
_END = ([0], 0)


class Package(NamedTuple):
    """An installed package, and the source that it was built from."""

    name: str
    version: str
    source: str
    source_version: str


def release() -> str:
    """Return the name of the image's Debian, such as trixie; raise `ProjectError` for another system."""
    system = platform.freedesktop_os_release()
    if system["ID"] != "debian":
        raise ProjectError(f"{system.get('PRETTY_NAME', system['ID'])}: not Debian; run: audit --no-debian")
    return system["VERSION_CODENAME"]


def installed() -> list[Package]:
    """Return the installed Debian packages."""
    command = ["dpkg-query", "--show", f"--showformat={_FORMAT}"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    lines = [line.split(" ") for line in said.splitlines()]
    return [Package(*fields) for status, *fields in lines if status == "installed"]


def download(debian: str) -> str:
    """Return the complete list for a release; raise `SourceError` if it is incomplete."""
    file = WebFile(f"{URL}{debian}")
    unpacking = zlib.decompressobj()
    try:
        text = unpacking.decompress(file.read(), _UNPACKED).decode()
    except (zlib.error, UnicodeDecodeError):
        text = ""
    if not (unpacking.eof and text.startswith("VERSION 1\n") and text.count("\n\n") > 1):
        raise SourceError(f"{file.name}: incomplete, or in an unknown format; try again, or run: audit --no-debian")
    return text


def known(text: str, packages: Iterable[Package]) -> tuple[list[Advisory], list[Advisory]]:
    """Return the vulnerabilities that a newer version in the release fixes, and the others."""
    sources: dict[str, set[str]] = defaultdict(set)
    binaries: dict[str, set[str]] = defaultdict(set)
    for package in packages:
        if package.source not in _NOT_RUN:
            sources[package.source].add(package.source_version)
            binaries[package.name].add(package.version)
    names, _, rest = text.partition("\n\n")
    ids = [line.partition(",")[0] for line in names.splitlines()[1:]]
    fixed: list[Advisory] = []
    unfixed: list[Advisory] = []
    for line in rest.partition("\n\n")[0].splitlines():
        name, number, flags, in_unstable, elsewhere = line.split(",", 4)
        # As in debsecan, the versions elsewhere are those of all releases that are not vulnerable.
        others = elsewhere.split()
        for version in sorted((binaries if flags[0] == "B" else sources)[name]):
            if version in others or (in_unstable and compare(version, in_unstable) >= 0):
                continue
            newer = [other for other in [*others, in_unstable] if other and compare(version, other) < 0]
            fix = min(newer, key=cmp_to_key(compare), default="") if flags[3] == "F" else ""
            found = ids[int(number)]
            (fixed if fix else unfixed).append(Advisory(name, version, (found,), fix, f"DEBIAN-{found}"))
    return fixed, unfixed


def compare(one: str, other: str) -> int:
    """Return less than 0 if the first version is older, and more if it is newer.

    https://www.debian.org/doc/debian-policy/ch-controlfields.html#version
    """
    for pairs in zip(_parts(one), _parts(other), strict=True):
        for first, second in zip_longest(*pairs, fillvalue=_END):
            if first != second:
                return -1 if first < second else 1
    return 0


def _parts(version: str) -> list[list[tuple[list[int], int]]]:
    """Return epoch, upstream version and revision, each as numbers with the order of the letters before them."""
    epoch, _, rest = version.rpartition(":")
    upstream, _, revision = rest.rpartition("-") if "-" in rest else (rest, "", "")
    return [
        [([*map(_order, text), 0], int(digits or 0)) for text, digits in re.findall(r"(\D*)(\d*)", part)]
        for part in (epoch, upstream, revision)
    ]


def _order(letter: str) -> int:
    return -1 if letter == "~" else ord(letter) + (0 if letter.isalpha() else 256)
