"""Whether production's source, production.txt, requirements.txt and the installed packages agree."""

from __future__ import annotations

import re
from collections.abc import Container
from dataclasses import dataclass

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import VERSION_PATTERN

from ds_docker_env.common.target import Target
from ds_docker_env.image.installed import Installed
from ds_docker_env.pinning.moves import Moves
from ds_docker_env.pinning.parity import Locked, Parity, compare, entries
from ds_docker_env.pinning.production.model import Pin, Production, name_of, same_version

_FROM_PRODUCTION = re.compile(r"^ +# +(?:via +)?-r production\.txt$", re.MULTILINE)
_VERSION = re.compile(rf"{VERSION_PATTERN}(?=[ ,]|$)", re.VERBOSE | re.IGNORECASE)
_LEFT_OUT = re.compile(r"^#   (\S.*)$", re.MULTILINE)


@dataclass(frozen=True)
class Document:
    """A requirements file: its text and its meaning."""

    text: str
    says: Production


@dataclass(frozen=True)
class Row:
    """The version of one package in each place, blank if the place lacks the package."""

    package: str
    source: str
    production: str
    lock: str
    image: str


@dataclass(frozen=True)
class Comparison:
    """The proof for the environment of a target, and the packages for which two neighbouring places differ.

    ``moved`` differ between the source and production.txt, ``unlocked`` between production.txt and requirements.txt,
    ``stale`` between requirements.txt and the installed packages.
    """

    target: Target
    parity: Parity
    moved: frozenset[str]
    unlocked: frozenset[str]
    stale: frozenset[str]
    rows: tuple[Row, ...]

    @property
    def moves(self) -> Moves:
        """Return how versions move if all places follow the first one that differs and names a version."""
        wanted = {row.package: Locked(version, None) for row in self.rows if (version := self._wanted(row))}
        installed = {row.package: Locked(row.image, None) for row in self.rows if row.image and row.package in wanted}
        return Moves(installed, wanted)

    def _wanted(self, row: Row) -> str:
        said = row.source if row.package in self.moved else row.production if row.package in self.unlocked else row.lock
        # Extras, or words about a hash, may follow.
        found = _VERSION.match(said)
        return found[0] if found else ""


def compare_places(taken: Document, lock: Document, installed: Installed, source: Production | None) -> Comparison:
    """Compare production.txt, requirements.txt, the installed packages, and the source if there is one."""
    target, image = installed.target, installed.packages
    locked = {pin.name: Locked(pin.version, pin.hashes) for pin in lock.says.pins if pin.applies(target)}
    locked |= {pin.name: Locked("", pin.hashes) for pin in lock.says.downloads if pin.applies(target)}
    parity = compare(taken.says, image, target)
    unlocked = _not_held(compare(taken.says, locked, target)) | (_asked_by_production(lock) - _names(taken.says))
    stale = _not_held(compare(lock.says, image, target)) | (image.keys() ^ locked.keys())
    # A pin allows any local version, a lock only its own.
    both = image.keys() & locked.keys()
    stale |= {
        name for name in both if not same_version(locked[name].version or image[name].version, image[name].version)
    }
    then, now, moved = _said(taken.says, locked, target), {}, set()
    if source:
        now = _said(source, locked, target)
        for pin, found in ((each.pin, each.found) for each in compare(source, locked, target).differences):
            if found and (not pin.version or same_version(pin.version, found.version)):
                now[pin.name] += ", different hash"
        moved = _moved(taken, then, source, now, target)
    said = {name: package.version or "from its URL" for name, package in locked.items()}
    there = {name: package.version for name, package in image.items()}
    rows = [
        Row(name, *(place.get(name, "") for place in (now, then, said, there)))
        for name in sorted(_not_held(parity) | unlocked | stale | moved)
    ]
    return Comparison(target, parity, frozenset(moved), frozenset(unlocked), frozenset(stale), tuple(rows))


def _not_held(parity: Parity) -> set[str]:
    return {difference.pin.name for difference in parity.differences}


def _asked_by_production(lock: Document) -> set[str]:
    """Return the packages that the lock notes as asked for by production.txt."""
    found = [entry for entry in entries(lock.text) if _FROM_PRODUCTION.search(entry)]
    return {canonicalize_name(re.split(r"[\[=@ ]", entry)[0]) for entry in found}


def _names(production: Production) -> set[str]:
    return production.names() | {name_of(line) for line in production.bounds}


def _said(production: Production, there: Container[str], target: Target) -> dict[str, str]:
    """Return production's version of each package that it installs, or that it bounds and the lock has."""
    bound = [pin for pin in production.constraints if pin.name in there]
    said = {pin.name: _shown(pin) for pin in (*bound, *production.pins) if pin.applies(target)}
    for line in (*production.unpinned, *(line for line in production.bounds if name_of(line) in there)):
        wanted = Requirement(line)
        if not wanted.marker or wanted.marker.evaluate(target.marker_environment()):
            said.setdefault(name_of(line), wanted.url or str(wanted.specifier) or "any version")
    return said


def _shown(pin: Pin) -> str:
    return f"{pin.version} [{','.join(pin.extras)}]" if pin.extras else pin.version


def _moved(taken: Document, then: dict[str, str], source: Production, now: dict[str, str], target: Target) -> set[str]:
    """Return the packages for which the source has changed since it was taken over.

    Packages for Windows only, of the operating system, or from an unreachable URL were noted as left out then. So were
    packages of conda that the index did not have in conda's version.
    """
    elsewhere = {pin.name: _shown(pin) for pin in taken.says.pins if not pin.applies(target)}
    left_out = set(_LEFT_OUT.findall(taken.text))
    left_out |= {line.partition(" (")[0] for line in left_out}
    elsewhere |= {pin.name: _shown(pin) for pin in source.pins if f"{pin.name}{pin.specifier}" in left_out}
    far = {name_of(line): now.get(name_of(line), "") for line in source.unpinned if line in left_out}
    twins = {name_of(twin) for shown, twin in source.conda.items() if f"{shown} (conda)" in left_out}
    known = elsewhere | far | then | {name: now.get(name, "") for name in twins}
    return {name for name, text in now.items() if not same_version(text, known.get(name, ""))} | {
        name for name in then if name not in _names(source)
    }
