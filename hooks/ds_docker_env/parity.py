"""The proof that a lock holds production's versions, read from the lock itself and not through uv."""

from __future__ import annotations

from dataclasses import dataclass

from packaging.utils import canonicalize_name

from ds_docker_env.errors import ParityError
from ds_docker_env.production import Pin, Production, parse, same_version
from ds_docker_env.target import Target


@dataclass(frozen=True)
class Locked:
    """One package in a lock."""

    version: str
    hashes: frozenset[str]


@dataclass(frozen=True)
class Parity:
    """A proof that succeeded: which pins are held, and which do not apply on Linux and this Python."""

    held: tuple[Pin, ...]
    elsewhere: tuple[Pin, ...]


def read_lock(text: str) -> dict[str, Locked]:
    """Return the packages of a lock by normalised name."""
    return {
        canonicalize_name(entry.name): Locked(
            version=entry.get_pinned_version or "", hashes=frozenset(entry.hash_options)
        )
        for entry in parse(text).requirements
    }


def prove(production: Production, lock: dict[str, Locked], target: Target) -> Parity:
    """Check that every pin that applies is in the lock with that version and those hashes; raise `ParityError`.

    Versions are compared by PEP 440; a pin from a constraints file counts if its package is in the lock.
    """
    held, elsewhere, problems = [], [], []
    bound = [pin for pin in production.constraints if pin.name in lock]
    for pin in (*production.pins, *bound):
        if pin.applies(target):
            held.append(pin)
            problems += _differences(pin, lock.get(pin.name))
        else:
            elsewhere.append(pin)
    if problems:
        raise ParityError(*problems)
    return Parity(tuple(held), tuple(elsewhere))


def _differences(pin: Pin, locked: Locked | None) -> list[str]:
    if locked is None:
        return [f"{pin.where}: {pin.name}{pin.specifier} is not in the lock; please report this"]
    if not same_version(pin.version, locked.version):
        return [f"{pin.where}: {pin.name}{pin.specifier}, but the lock has {locked.version}; please report this"]
    known = {hash_ for hash_ in pin.hashes if hash_.startswith("sha256:")}
    # One is enough: the index may have dropped a wheel since.
    if known and not known & locked.hashes:
        return [
            f"{pin.where}: {pin.name}{pin.specifier} has the hash {min(known)[:23]}..., unknown to the index; "
            "find out whether production's file or the index was changed"
        ]
    return []
