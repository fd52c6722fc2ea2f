"""Why production cannot be locked: found by trials with uv, because its explanation is long."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from ds_docker_env.common.analysis import old_kernel
from ds_docker_env.common.errors import LockError
from ds_docker_env.common.redaction import some
from ds_docker_env.common.target import AMD64, PYTHON_VERSIONS
from ds_docker_env.pinning.builds import Failure
from ds_docker_env.pinning.parity import read_lock
from ds_docker_env.pinning.production.model import DIRECTORY, name_of, same_version
from ds_docker_env.pinning.resolver import Attempt, Resolver
from ds_docker_env.pinning.wheels import Offer, offers, system_of

# uv's words for a missing version, and its hint about the wheels of a version.
_UNKNOWN = re.compile(r"was not found in the (?:package registry|provided package locations|cache)")
_GONE = re.compile(r"there (?:is|are) no versions? of|only \S+ (?:is|are) available")
_ABI_TAG = re.compile(r"`cp(\d)(\d+)m?u?`")
_PLATFORMS = re.compile(r"on the following platforms?: ((?:`[^`]+`(?:, )?)+)")
_NEEDS = re.compile(r"([\w.-]+)(?:\[[^]]*\])?(?:==\S+)? depends? on\s+(([\w.-]+)\S*)")
# https://peps.python.org/pep-0625/. If uv only fails to unpack an archive, the image builds it.
_ARCHIVE = re.compile(r"non-PEP 625")
# Other systems on which production's file may have been frozen, in uv's notation.
_SYSTEMS = ("windows", "macos")


@dataclass(frozen=True)
class Obstacle:
    """Why a lock for a processor is impossible: the file and line of the first requirement to blame, and the reason."""

    where: str
    why: str


def explain(resolver: Resolver, kernel: str, attempt: Attempt) -> LockError:
    """Return the error with a message for each cause."""
    source = resolver.production.source
    alone = resolver.without([])
    if alone.text:
        pins = reason(resolver, kernel, attempt) or "production's versions"
        if name_of(kernel) != "ipykernel":
            why = "old versions of ipykernel need it"
        elif kernel in old_kernel("3.11"):
            why = "JupyterLab does not work with older versions"
        else:
            why = f"older versions do not run on Python {resolver.target.python}"
        return LockError(f"{source}: {kernel} conflicts with {pins}; {why}; update production first")
    if impossible := _impossible_pins(resolver, alone):
        return LockError(*(_impossible(resolver, pin, said) for pin, said in impossible.items()))
    if (failure := Failure.find(alone.stderr)) and failure.unbuilt:
        return LockError(
            f"{line_of(resolver, failure.pin)}: {failure.pin} has no wheel here and {failure.why}; "
            "update production to a version with a wheel, or publish a wheel to its index",
        )
    by_name = {name_of(pin): pin for pin in resolver.named_pins(alone)}
    found = [
        (by_name[name], need.rstrip(".,"), over) for name, need, over in _NEEDS.findall(alone.words) if name in by_name
    ]
    if len({pin for pin, _, _ in found}) > 1 == len({over for _, _, over in found}):
        needs = " but ".join(f"{pin} ({line_of(resolver, pin)}) needs {need}" for pin, need, _ in found)
        return LockError(f"{source}: {needs}; pin {found[0][2]} to the version that pip freeze shows in production")
    named = ", ".join(f"{pin} ({line_of(resolver, pin)})" for pin in by_name.values())
    return LockError(
        f"{named or source}: these versions cannot be locked together, and the file does not pin all their "
        f"dependencies; make a complete file in production with: pip freeze; uv says: {alone.said}",
    )


def missing(attempt: Attempt) -> bool:
    """Say whether uv did not find the package, or this version of it, on any index for any Python."""
    return bool(_UNKNOWN.search(attempt.words) or _GONE.search(attempt.said))


def foreign(resolver: Resolver, pins: Sequence[str]) -> dict[str, str]:
    """Return pins that are for Windows or macOS only, on any Python, with their markers.

    Such a pin, or a package that it needs, has files for that system only.
    """
    found = {}
    for pin in pins:
        if (alone := resolver.available(pin)).impossible:
            system = "" if missing(alone) else system_of(resolver, pin)
        elif (alone := resolver.installable(pin)).impossible and not Failure.find(alone.stderr):
            system = _system_of_needed(resolver, pin, alone)
        else:
            continue
        if system:
            found[pin] = f'sys_platform == "{system}"'
    return found


def obstacle(resolver: Resolver, analysis: Sequence[str], amd64: str, attempt: Attempt) -> Obstacle:
    """Return why the lock ``amd64`` is not possible for the processor of a resolver.

    The reason is all pins that are unavailable for this processor, or a requirement that needs such a version.
    """
    target, production = resolver.target, resolver.production
    offered = offers(resolver, amd64)[AMD64]
    lacking = {name: offer.version for name, offer in offered.items() if offer.lacks(target.machine)}
    nothing = f"no wheel or source for {target.docker}"
    if pins := [
        pin
        for pin in production.pins
        if pin.applies(target)
        and (pin.name in lacking if pin.applies(target.on(AMD64)) else resolver.available(str(pin)).impossible)
    ]:
        return Obstacle(pins[0].where, f"{some(list(map(str, pins)))}: {nothing}")
    wheres = dict.fromkeys(analysis, "requirements.in") | dict.fromkeys(production.unpinned, production.source)
    wheres = {line: where for line, where in wheres.items() if name_of(line) in attempt.names}
    for each, where in ({pin: line_of(resolver, pin) for pin in resolver.named_pins(attempt)} | wheres).items():
        if (alone := resolver.together([], [each])).impossible:
            needs = next((f"{name}=={lacking[name]}" for name in alone.names if name in lacking), "")
            if needs.partition("=")[0] == name_of(each):
                return Obstacle(where, f"{needs}: {nothing}")
            return Obstacle(where, f"{each}: " + (f"needs {needs}, which has {nothing}" if needs else _said(alone)))
    return Obstacle(production.source, _said(attempt))


def compiled(resolver: Resolver, offered: Mapping[str, Offer]) -> dict[str, list[str]]:
    """Return the pins without a wheel for this Python, of packages known for their wheels, and the Pythons with one.

    The image has to compile them, which seldom works: often python_version is not production's.
    """
    missing = [
        str(pin)
        for pin in resolver.production.pins
        if pin.name in resolver.wheels_only & offered.keys()
        and pin.applies(resolver.target)
        and resolver.target.machine not in offered[pin.name].wheels
    ]
    return {pin: [version for version in PYTHON_VERSIONS if resolver.wheels([pin], version).text] for pin in missing}


def reason(resolver: Resolver, requirement: str, attempt: Attempt) -> str:
    """Return the pins in uv's explanation that conflict with a package, or nothing."""
    named = resolver.named_pins(attempt)
    for pins in [[pin] for pin in named] + [named]:
        if pins and resolver.together([requirement], pins).impossible:
            return " and ".join(pins)
    return ""


def line_of(resolver: Resolver, pin: str) -> str:
    """Return the file and line in which production names a pin."""
    wanted = Requirement(pin)
    version = next((specifier.version for specifier in wanted.specifier), "")
    for known in resolver.production.fixed:
        if known.name == canonicalize_name(wanted.name) and same_version(known.version, version):
            return known.where
    return resolver.production.source


def _impossible_pins(resolver: Resolver, attempt: Attempt) -> dict[str, Attempt]:
    """Return all unavailable pins with uv's words; it names only a few at a time."""
    impossible: dict[str, Attempt] = {}
    seen: list[str] = []
    while not attempt.text and (named := [pin for pin in resolver.named_pins(attempt) if pin not in seen]):
        alone = {pin: said for pin in named if (said := resolver.available(pin)).impossible}
        elsewhere = foreign(resolver, list(alone))
        impossible |= {pin: said for pin, said in alone.items() if pin not in elsewhere}
        seen += named
        attempt = resolver.without(seen, "--no-deps")
    return impossible


def _impossible(resolver: Resolver, pin: str, alone: Attempt) -> str:
    """Return the message for an unavailable pin, from uv's answer ``alone`` about this pin only."""
    where, python = line_of(resolver, pin), resolver.target.python
    name, version = name_of(pin), Requirement(pin).specifier
    lacking = _UNKNOWN.search(alone.words) or _GONE.search(alone.words)
    if lacking and (directories := resolver.production.directories):
        return (
            f"{where}: {pin} is not on the package index, and {directories[0]} is {DIRECTORY}; "
            f"publish {name} to an index, or write: {name} @ https://..."
        )
    if _UNKNOWN.search(alone.words):
        return (
            f"{where}: {pin} is not on the package index in any version; if {name} is private, add its index to "
            "production's file with --extra-index-url"
        )
    if fitting := [version for version in PYTHON_VERSIONS if resolver.available(pin, version).text]:
        return (
            f"{where}: {pin} does not run on Python {python}; "
            f"it runs on {', '.join(fitting)}; set python_version to production's Python"
        )
    if _ARCHIVE.search(alone.words):
        return (
            f"{where}: {pin} is on the package index only as an archive with a name that uv rejects; "
            f"publish a wheel to production's index, made with: pip wheel --no-deps {pin}"
        )
    if (failure := Failure.find(alone.stderr)) and failure.unbuilt:
        return (
            f"{where}: {failure.pin} has no wheel for Python {python} and {failure.why}; "
            "check python_version, or publish a wheel to production's index"
        )
    if pythons := [".".join(tag) for tag in _ABI_TAG.findall(alone.words.partition("ABI tags:")[2])]:
        return (
            f"{where}: {pin} has wheels only for Python {', '.join(dict.fromkeys(pythons))}, which is too old for "
            "notebook kernels; update production's Python first"
        )
    if platforms := _PLATFORMS.search(alone.words):
        return (
            f"{where}: {pin} has wheels only for {platforms[1].replace('`', '')}, and no source; "
            "update production to a version with a wheel for Linux, or publish one to its index"
        )
    if local := pin.partition("+")[2].partition(" ")[0]:
        return (
            f"{where}: {pin} is not on the package index; +{local} builds have a separate index; "
            "add it to production's file with --extra-index-url on a separate line"
        )
    if _GONE.search(alone.said):
        near = nearest(resolver, name, str(version).lstrip("="))
        others = f"nearest: {' and '.join(near)}" if near else "other versions for this Python do not exist"
        return (
            f"{where}: {pin} is not, or no longer, on the package index; {others}; "
            "change the version in production, or publish its wheel to production's index"
        )
    return f"{where}: {pin} is not available for Linux; check its version and python_version; uv says: {alone.said}"


def _system_of_needed(resolver: Resolver, pin: str, alone: Attempt) -> str:
    """Return the ``sys_platform`` of a dependency that excludes Linux, if it has files for that system only."""
    for platform in _SYSTEMS:
        lock = read_lock(resolver.installable(pin, platform).text, AMD64)
        for name in (name for name in alone.names if name in lock):
            if system := system_of(resolver, f"{name}=={lock[name].version}"):
                return system
    return ""


def nearest(resolver: Resolver, name: str, version: str) -> list[str]:
    """Return the versions of a package just below and just above one, as far as the index has them."""
    found = []
    for bound, resolution in (("<", "highest"), (">", "lowest")):
        text = resolver.newest([f"{name}{bound}{version}"], f"--resolution={resolution}").text
        if package := read_lock(text, AMD64).get(name):
            found.append(package.version)
    return found


def _said(attempt: Attempt) -> str:
    return f"uv says: {attempt.said}"
