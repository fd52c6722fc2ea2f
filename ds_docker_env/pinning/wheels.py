"""The wheels and sources that indexes offer for each processor."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from itertools import product
from types import MappingProxyType
from typing import Any

from packaging.tags import compatible_tags, cpython_tags

from ds_docker_env.common.errors import GenerationError
from ds_docker_env.common.target import AMD64, MACHINES, PYTHON_VERSIONS, Target, machines
from ds_docker_env.pinning.archive import SourceFile, read_archive
from ds_docker_env.pinning.build_requirements import BuildRequirements, from_urls, lock_build_requirements
from ds_docker_env.pinning.parity import entries, read_lock, requirement_of_entry
from ds_docker_env.pinning.production.formats.reading import read_toml, table, tables, text_of
from ds_docker_env.pinning.production.model import name_of
from ds_docker_env.pinning.resolver import Attempt, Resolver

# Names from before https://peps.python.org/pep-0600/
_OLD_NAMES = ("manylinux2014", "manylinux2010", "manylinux1")
_TAGS = re.compile(r"-([^-/]+)-([^-/]+)-([^-/]+)\.whl")
# Prefixes of platform tags, and their `sys_platform`.
_SYSTEMS = {"win": "win32", "macosx": "darwin"}


@dataclass(frozen=True)
class Offer:
    """A version on an index: the processors with a wheel, and the source if there is one.

    ``uploaded`` is the upload time of its first file, if known; ``wheel`` is the URL of a wheel, or blank.
    """

    version: str
    wheels: Collection[str]
    source: SourceFile | None
    uploaded: datetime | None = None
    yanked: bool = False
    wheel: str = ""

    def lacks(self, machine: str) -> bool:
        """Say whether a processor has neither a wheel nor a source of this version."""
        return machine not in self.wheels and not self.source


def offers(resolver: Resolver, lock: str) -> dict[str, dict[str, Offer]]:
    """Return the offers for the versions in a lock, by processor and normalised name.

    Packages from a URL are missing; if uv fails, all are.
    """
    said = resolver.files([requirement_of_entry(entry) for entry in entries(lock) if " @ " not in entry])
    found = {(name, offer.version): offer for name, offer in read_offers(said, resolver.target)}
    return {
        machine: {
            name: found[name, locked.version]
            for name, locked in read_lock(lock, machine).items()
            if (name, locked.version) in found
        }
        for machine in MACHINES
    }


def read_offers(said: Attempt, target: Target) -> Iterator[tuple[str, Offer]]:
    """Yield the normalised name and the offer of each package in an answer of `Resolver.files`."""
    runnable = {machine: _tags(target.on(machine)) for machine in MACHINES}
    yanked = set(map(name_of, said.yanked))
    for package, tags in _packages(said):
        name, files = text_of(package, "name"), tables(package.get("wheels"))
        wheels = [machine for machine in MACHINES if tags & runnable[machine]]
        times = [file.get("upload-time") for file in (*files, *tables(package.get("sdist")))]
        uploaded = min((time for time in times if isinstance(time, datetime)), default=None)
        wheel = next((text_of(file, "url") for file in files), "")
        yield name, Offer(text_of(package, "version"), wheels, _source(package), uploaded, name in yanked, wheel)


def system_of(resolver: Resolver, pin: str) -> str:
    """Return the ``sys_platform`` of all files of a pin, for any Python, or nothing if that includes Linux."""
    # uv's universal answer requires a wheel for this Python or a newer one.
    for python in dict.fromkeys([PYTHON_VERSIONS[0], resolver.target.python, PYTHON_VERSIONS[-1]]):
        for package, tags in _packages(resolver.files([pin], python)):
            return "" if "sdist" in package else _system(tags)
    return ""


def foreign_sources(resolver: Resolver, offered: Mapping[str, Offer]) -> dict[str, str]:
    """Return production's pins without a wheel for Linux whose source is for another system, with markers."""
    found = {}
    for pin in resolver.production.pins:
        offer = offered.get(pin.name)
        if offer and offer.source and not offer.wheels and pin.applies(resolver.target):
            # An unreadable source is reported with its build requirements.
            with suppress(GenerationError):
                if system := read_archive(offer.source).system:
                    found[str(pin)] = f'sys_platform == "{system}"'
    return found


def build_requirements(
    resolver: Resolver,
    lock: str,
    before: str,
    offered: Mapping[str, Mapping[str, Offer]] | None = None,
    known: Mapping[str, str] = MappingProxyType({}),
) -> BuildRequirements:
    """Lock the build requirements of the sources in a lock, as `lock_build_requirements` does."""
    offered = offered or offers(resolver, lock)
    if entries(lock) and not any(offered.values()):
        return BuildRequirements(before, {"requirements.txt": "uv does not say which packages have no wheel"})
    found = from_urls(lock)
    everywhere = found | sources(offered, AMD64)
    for machine in machines(lock):
        found |= sources(offered, machine)
    return lock_build_requirements(resolver, lock, found, before, known, everywhere)


def sources(offered: Mapping[str, Mapping[str, Offer]], machine: str) -> dict[str, SourceFile]:
    """Return the sources of packages without a wheel for a processor, by requirement."""
    return {
        f"{name}=={offer.version}": offer.source
        for name, offer in offered[machine].items()
        if offer.source and machine not in offer.wheels
    }


def _packages(said: Attempt) -> Iterator[tuple[dict[str, Any], set[str]]]:
    """Yield each package in an answer of `Resolver.files`, with the tags of its wheels."""
    for package in tables(read_toml(said.text, "pylock.toml", "").get("packages")):
        yield package, {tag for wheel in tables(package.get("wheels")) for tag in _tags_of(wheel)}


def _source(package: dict[str, Any]) -> SourceFile | None:
    sdist = table(package.get("sdist"))
    hashes = [text_of(table(sdist.get("hashes")), "sha256")]
    return SourceFile(text_of(sdist, "url") or text_of(sdist, "path"), hashes) if sdist else None


def _system(tags: Collection[str]) -> str:
    """Return the ``sys_platform`` of all these tags, or nothing if they are for several, or for Linux."""
    names = {next((name for name in _SYSTEMS if tag.rpartition("-")[2].startswith(name)), "") for tag in tags}
    return _SYSTEMS.get(names.pop(), "") if len(names) == 1 else ""


def _tags(target: Target) -> set[str]:
    """Return the tags of the wheels that run on a Python and a processor."""
    python = tuple(map(int, target.python.split(".")))
    names = (*(f"manylinux_2_{minor}" for minor in range(target.manylinux, 4, -1)), *_OLD_NAMES, "linux")
    platforms = [f"{name}_{target.machine}" for name in names]
    abi = f"cp{target.python.replace('.', '')}"
    return {*map(str, cpython_tags(python, [abi], platforms)), *map(str, compatible_tags(python, abi, platforms))}


def _tags_of(wheel: dict[str, Any]) -> Iterator[str]:
    """Return the tags in the address of a wheel, https://peps.python.org/pep-0425/#compressed-tag-sets."""
    found = _TAGS.search(text_of(wheel, "url") or text_of(wheel, "path"))
    return map("-".join, product(*(part.split(".") for part in found.groups()))) if found else iter(())
