"""The proof that a lock, or an environment, has production's versions, without uv."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from ds_docker_env.common.errors import ParityError
from ds_docker_env.common.redaction import without_credentials
from ds_docker_env.common.target import Target, machines
from ds_docker_env.pinning.production.model import Pin, Production

_ENTRY = re.compile(r"^(?=[A-Za-z0-9])", re.MULTILINE)
_HASHES = re.compile(r"\s+(?:\\\n\s*)?--hash=|\s*\\?\n")
_HASH = re.compile(r"--hash=(\S+)")
_VIA = re.compile(r"^    #(?: via|  ) (\S.*)\n", re.MULTILINE)


@dataclass(frozen=True)
class Locked:
    """A package in a lock; ``hashes`` is ``None`` for an installed package, whose hashes are unknown."""

    version: str
    hashes: frozenset[str] | None


@dataclass(frozen=True)
class Difference:
    """A pin that the lock does not have, and the package there instead; with the same version, the hash differs."""

    pin: Pin
    found: Locked | None


@dataclass(frozen=True)
class Parity:
    """The pins that a lock has, those that do not apply on Linux and this Python, and the differences."""

    held: Mapping[Pin, Locked]
    elsewhere: tuple[Pin, ...]
    differences: tuple[Difference, ...]


def entries(lock: str) -> list[str]:
    """Return the text of each package in a lock as uv writes it, with its hashes and the packages that need it."""
    return _ENTRY.split(lock)[1:]


def name_of_entry(entry: str) -> str:
    """Return the normalised name of a package in a lock; raise `InvalidRequirement`."""
    return canonicalize_name(_requirement(entry).name)


def requirement_of_entry(entry: str) -> str:
    """Return the line of a lock that names a package, its version and its marker, without hashes."""
    return _HASHES.split(entry, maxsplit=1)[0]


def needed_by(entry: str) -> list[str]:
    """Return the packages and files, such as ``-r production.txt``, that need a package in a lock."""
    return _VIA.findall(entry)


def without(lock: str, names: Collection[str]) -> str:
    """Return a lock as uv writes it, with its options and without the packages of these normalised names."""
    options, *packages = _ENTRY.split(lock)
    return options + "".join(entry for entry in packages if name_of_entry(entry) not in names)


def read_lock(text: str, machine: str) -> dict[str, Locked]:
    """Return the packages of a lock for a processor, by normalised name; raise `InvalidRequirement`."""
    packages: dict[str, Locked] = {}
    for entry in entries(text):
        requirement = _requirement(entry)
        if requirement.marker and not requirement.marker.evaluate({"platform_machine": machine}):
            continue
        version = next((specifier.version for specifier in requirement.specifier), "")
        hashes = frozenset(_HASH.findall(entry))
        packages[canonicalize_name(requirement.name)] = Locked(version, hashes)
    return packages


def read_each(lock: str) -> dict[str, dict[str, Locked]]:
    """Return the packages of a lock for each processor that it is for; raise `InvalidRequirement`."""
    return {machine: read_lock(lock, machine) for machine in machines(lock)}


def compare(production: Production, packages: Mapping[str, Locked], target: Target) -> Parity:
    """Compare every pin that applies with packages by normalised name: their versions and hashes.

    Versions are compared by PEP 440, so a pin without a local version allows any. A pin from a constraints file counts
    only if its package is there.
    """
    held: dict[Pin, Locked] = {}
    elsewhere, differences = [], []
    bound = [pin for pin in production.constraints if pin.name in packages]
    for pin in (*production.pins, *bound):
        found = packages.get(pin.name)
        if not pin.applies(target):
            elsewhere.append(pin)
        elif found and pin.holds(found.version) and _known(pin, found):
            held[pin] = found
        else:
            differences.append(Difference(pin, found))
    for download in production.downloads:
        if download.applies(target) and (found := packages.get(download.name)) and not _known(download, found):
            differences.append(Difference(download, found))
    return Parity(held, tuple(elsewhere), tuple(differences))


def prove(production: Production, lock: Mapping[str, Locked], target: Target) -> Parity:
    """Compare production with a lock; raise `ParityError` with every difference."""
    parity = compare(production, lock, target)
    if parity.differences:
        raise ParityError(*map(_message, parity.differences))
    return parity


def prove_each(production: Production, lock: str, target: Target) -> Parity:
    """Prove a lock, and that all its packages have hashes, for each of its processors; raise `ParityError`.

    Return the pins that the lock has for any processor, and those that do not apply on any.
    """
    proofs = []
    for machine, packages in read_each(lock).items():
        proofs.append(prove(production, packages, target.on(machine)))
        require_hashes(packages)
    held = {pin: found for proof in proofs for pin, found in proof.held.items()}
    elsewhere = dict.fromkeys(pin for proof in proofs for pin in proof.elsewhere if pin not in held)
    return Parity(held, tuple(elsewhere), ())


def require_hashes(lock: Mapping[str, Locked]) -> None:
    """Raise `ParityError` if a package in a lock lacks hashes."""
    if unhashed := sorted(name for name, package in lock.items() if not package.hashes):
        raise ParityError(f"{', '.join(unhashed)}: the index provides no hashes; use an index that does")


def require_no_password(*texts: str) -> None:
    """Raise `ParityError` if a text that git will store has a URL with a password."""
    if any(without_credentials(text) != text for text in texts):
        raise ParityError(
            "the lock would contain a URL with a password; remove the password there, and put it in ~/.netrc"
        )


def sha256(pin: Pin) -> set[str]:
    """Return production's sha256 hashes, the only kind on indexes."""
    return {hash_ for hash_ in pin.hashes if hash_.startswith("sha256:")}


def _requirement(entry: str) -> Requirement:
    return Requirement(requirement_of_entry(entry))


def _known(pin: Pin, found: Locked) -> bool:
    # One hash is enough, because the index may have removed a wheel since.
    return found.hashes is None or not sha256(pin) or bool(sha256(pin) & found.hashes)


def _message(difference: Difference) -> str:
    pin, found = difference.pin, difference.found
    wanted = f"{pin.where}: {pin.name}{pin.specifier}"
    if found is None:
        return f"{wanted} is not in the lock; please report this"
    if pin.version and not pin.holds(found.version):
        return f"{wanted}, but the lock has {found.version}; please report this"
    return (
        f"{wanted} has the hash {min(sha256(pin))[:23]}... in production's file, but others on the index; "
        "check which of them was changed"
    )
