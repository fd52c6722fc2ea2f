"""Splits the lock into layers of the image; packages that change least come first."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

# In the order of the layers. The template's packages are two layers, because Docker packs layers side by side.
LAYERS = ("production", "template-a-m", "template-n-z", "others")
_NAME = re.compile(r"^([A-Za-z0-9][\w.-]*)", re.ASCII)
_NEEDED_BY = re.compile(r"^ *#(?: via|  ) (\S.*)")
_PRODUCTION = "-r production.txt"


def split(lock: str, template: Collection[str]) -> dict[str, str]:
    """Return the requirements of each layer, without comments; options of the lock are in all of them.

    Production's packages and their dependencies come first, as uv notes after each package, then the other packages
    of the template, by normalised name, then the rest.
    """
    entries, needed_by = read_entries(lock), _needed_by(lock)
    production = {_PRODUCTION}
    while more := {name for name, by in needed_by.items() if by & production} - production:
        production |= more
    parts = dict.fromkeys(LAYERS, entries.pop("", ""))
    for name, entry in entries.items():
        parts[_layer(name, production, template)] += entry
    return parts


def without_comments(lock: str) -> str:
    """Return a lock as the image keeps it."""
    return re.sub(r"^ *#.*\n?", "", lock, flags=re.MULTILINE)


def read_entries(lock: str) -> dict[str, str]:
    """Return the lines of each package by normalised name; options are the lines of a package without a name."""
    entries: dict[str, str] = {}
    for name, line in _lines(lock):
        if line.strip() and not line.lstrip().startswith("#"):
            entries[name] = f"{entries.get(name, '')}{line}\n"
    return entries


def _layer(name: str, production: Collection[str], template: Collection[str]) -> str:
    if name in production:
        return "production"
    if name in template:
        return "template-a-m" if name < "n" else "template-n-z"
    return "others"


def _needed_by(lock: str) -> dict[str, set[str]]:
    """Return the packages that need each package, as uv notes after it."""
    needed_by: dict[str, set[str]] = {}
    for name, line in _lines(lock):
        if by := _NEEDED_BY.match(line):
            needed_by.setdefault(name, set()).add(by[1])
    return needed_by


def _lines(lock: str) -> Iterator[tuple[str, str]]:
    """Return each line with the normalised name of its package."""
    name = ""
    for line in lock.splitlines():
        if line.strip() and not line.startswith((" ", "\t", "#")):
            found = _NAME.match(line)
            name = re.sub(r"[-_.]+", "-", found[1]).lower() if found else ""
        yield name, line
