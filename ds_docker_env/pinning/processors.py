"""One lock for two processors, with markers on lines that differ."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Collection, Mapping, Sequence

from ds_docker_env.common.target import AMD64, ARM64, LOCK_AGAIN, MACHINES, note
from ds_docker_env.pinning.parity import Locked, entries, name_of_entry, needed_by, requirement_of_entry, without
from ds_docker_env.pinning.production.model import name_of
from ds_docker_env.pinning.resolver import Attempt, check_reached

_VIA_LINES = re.compile(r"^    #.*\n", re.MULTILINE)
_MADE = re.compile(r"^(?=# uv )", re.MULTILINE)
_ONLY_ARM64 = f" ; platform_machine == '{ARM64}'"


def for_both(
    amd64: str,
    before: str,
    solve: Callable[[str], Attempt],
    why: Callable[[Attempt], str],
    again: str = LOCK_AGAIN,
) -> str:
    """Return a lock for x86-64 extended to both processors, or with a header that says why arm64 is missing.

    ``solve`` makes the lock for arm64, and keeps versions of ``amd64``, then those that the project's lock ``before``
    has for arm64 only, if possible. ``why`` returns the reason for a failure. ``again`` is the command that makes the
    lock again. Raise `UnreachableError` if an index is unreachable.
    """
    arm64 = solve(amd64 + "".join(each for each in entries(before) if _ONLY_ARM64 in each))
    if arm64.text:
        return _noted(merge(amd64, arm64.text), note(again=again))
    check_reached(arm64.stderr)
    return _noted(amd64, note(why(arm64)))


def for_arm64(arguments: Sequence[str]) -> list[str]:
    """Return the arguments of uv for arm64, without those that move versions: arm64 follows x86-64."""
    known, others = _known(arguments)
    # Locks of older templates lack the option, or have "linux", which is x86-64 in uv.
    named = known.python_platform if AMD64 in known.python_platform else f"{AMD64}-unknown-linux-gnu"
    return [*others, "--python-platform", named.replace(AMD64, ARM64)]


def unmoved(lock: str, arguments: Sequence[str]) -> str:
    """Return a lock without the versions that these arguments of uv let move."""
    known, _ = _known(arguments)
    return "" if known.upgrade else without(lock, set(map(name_of, known.upgrade_package)))


def merge(amd64: str, arm64: str) -> str:
    """Return the locks of two processors as one, with the header and options of the first.

    Requirements that differ get a marker, https://peps.python.org/pep-0508/#environment-markers.
    """
    first, other = _by_requirement(amd64), _by_requirement(arm64)
    merged = []
    for requirement in sorted(first.keys() | other.keys(), key=lambda each: (name_of_entry(each), each not in first)):
        if requirement in first and requirement in other:
            merged.append(_with_notes(first[requirement], other[requirement]))
        else:
            machine, entry = (AMD64, first) if requirement in first else (ARM64, other)
            merged.append(f"{requirement} ; platform_machine == '{machine}'{entry[requirement][len(requirement) :]}")
    return amd64[: len(amd64) - len("".join(entries(amd64)))] + "".join(merged)


def differing(packages: Mapping[str, Mapping[str, Locked]], known: Collection[str]) -> list[str]:
    """Return a line for each package whose version differs between processors, except for ``known`` names.

    ``packages`` are those of a lock by processor and normalised name.
    """
    common = set.intersection(*map(set, packages.values())) - set(known)
    return [
        f"Differs:    {name}: "
        + ", ".join(f"{each[name].version or 'its URL'} on {MACHINES[where]}" for where, each in packages.items())
        for name in sorted(common)
        if len({each[name].version for each in packages.values()}) > 1
    ]


def _noted(lock: str, line: str) -> str:
    """Return a lock with a line in its header, above the one that says which uv made it."""
    return _MADE.sub(f"{line}\n", lock, count=1)


def _known(arguments: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    """Return the arguments of uv that move versions or name a platform, and all others."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("-U", "--upgrade", action="store_true")
    parser.add_argument("-P", "--upgrade-package", action="append", default=[])
    parser.add_argument("--python-platform", default="")
    return parser.parse_known_args(arguments)


def _by_requirement(lock: str) -> dict[str, str]:
    """Return the entries of a lock by their requirements, such as ``pandas==3.0.0``."""
    return {requirement_of_entry(entry): entry for entry in entries(lock)}


def _with_notes(entry: str, other: str) -> str:
    """Return an entry that names all packages that need it, as uv does."""
    by = sorted({*needed_by(entry), *needed_by(other)})
    lines = f"    # via {by[0]}\n" if len(by) == 1 else "".join(["    # via\n", *(f"    #   {each}\n" for each in by)])
    return _VIA_LINES.sub("", entry) + (lines if by else "")
