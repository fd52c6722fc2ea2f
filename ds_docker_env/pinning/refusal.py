"""Why a package, or its newest version, cannot be added: found by trials with uv."""

from __future__ import annotations

import re
import sys
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from difflib import get_close_matches
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from ds_docker_env.common.errors import LockError, UvError
from ds_docker_env.pinning.builds import Failure
from ds_docker_env.pinning.diagnosis import line_of, nearest, reason
from ds_docker_env.pinning.parity import Locked, read_lock
from ds_docker_env.pinning.production.model import name_of, pinned_version
from ds_docker_env.pinning.resolver import Attempt, Resolver, check_reached
from ds_docker_env.pinning.search import beside

# Names of well-known packages, each with its modules if their names differ.
_KNOWN = Path(sys.prefix, "etc", "packages.txt")
_YANKED = re.compile(r"(([\w.-]+)==\S+) was yanked(?: \(reason: (.+?)\))?(?:,| and )")
_MISSING = re.compile(r"([\w.-]+) was not found in the (?:package registry|provided package locations|cache)")


def refuse(said: str, wanted: Sequence[str], resolver: Resolver) -> LockError:
    """Return the error for requirements that uv could not lock, from the reason that it ``said``.

    Raise `UnreachableError` if the reason is the network.
    """
    check_reached(said)
    if missing := {canonicalize_name(name) for name in _MISSING.findall(" ".join(said.split()))}:
        return LockError(*(f"{name}: not on the package index{similar(name)}" for name in sorted(missing)))
    if failure := Failure.find(said):
        return LockError(
            f"{failure.name}: {failure.why}; add a version with a wheel, or add the Debian packages that its build "
            "needs to DEBIAN_PACKAGES in the Dockerfile"
        )
    problems = [problem for each in wanted if (problem := _problem(resolver, each, Attempt("", said)))]
    return LockError(
        *(problems or [f"requirements.in: these requirements conflict; uv says: {Attempt('', said).said}"])
    )


def older(wanted: Sequence[str], lock: Mapping[str, Locked], resolver: Resolver, upgrade: bool = False) -> list[str]:
    """Return a line for each requirement that allows a newer version than the lock has, with the reason.

    ``upgrade`` says that other packages could already change for them. Return an empty list if uv fails.
    """
    lines = []
    fixed = {pin.name for pin in resolver.production.fixed}
    with suppress(UvError):
        for each in map(Requirement, wanted):
            name, newest = canonicalize_name(each.name), _newest(resolver, each.name)
            if name in fixed or not newest or name not in lock or not each.specifier.contains(newest):
                continue
            if not lock[name].version or Version(lock[name].version) >= Version(newest):
                continue
            pins = _reason(resolver, f"{name}=={newest}")
            advice = "" if upgrade else f"; run: add --upgrade {name}"
            why = beside(_placed(resolver, pins)) if pins else f"would change other packages{advice}"
            lines.append(f"Older:      {name} {lock[name].version}; {newest}, the newest, {why}")
    return lines


def similar(name: str, names: Collection[str] = ()) -> str:
    """Return a question with known names that are similar, or the advice to check the name."""
    lines = [line.split() for line in _KNOWN.read_text(encoding="utf-8").splitlines()] if _KNOWN.exists() else []
    packages = {canonicalize_name(known): line[0] for line in lines for known in line} | {each: each for each in names}
    found = [packages[name]] if name in packages else []
    found += [packages[each] for each in get_close_matches(name, packages, n=3, cutoff=0.75)]
    found = [each for each in dict.fromkeys(found) if each != name]
    return f"; did you mean {' or '.join(found)}?" if found else "; check the name"


def _problem(resolver: Resolver, wanted: str, attempt: Attempt) -> str:
    """Return why a requirement cannot be locked, or nothing if another one is the reason."""
    name, python = name_of(wanted), resolver.target.python
    if pinned := next((pin for pin in resolver.production.fixed if pin.name == name), None):
        return f"{wanted}: production pins {_placed(resolver, str(pinned))}; change it there, then run take-over"
    if (alone := resolver.together([wanted], [])).impossible:
        if (yanked := _YANKED.search(alone.words)) and (version := pinned_version(wanted)):
            pin, package, why = yanked.groups()
            said = "yanked" if package == name else f"needs {pin}, which is yanked"
            near = nearest(resolver, name, version)
            others = f"; take {' or '.join(near)}" if near else ""
            return f"{wanted}: {said}{f' ({why})' if why else ''}{others}"
        newest = _newest(resolver, name)
        return f"{wanted}: no matching version for Python {python}" + (f"; the newest is {newest}" if newest else "")
    if pins := reason(resolver, wanted, attempt):
        fitting = read_lock(resolver.resolve([name]).text, resolver.target.machine).get(name)
        advice = f'run: add "{name}=={fitting.version}"' if fitting else "change production's pin first"
        return f"{wanted}: {beside(_placed(resolver, pins))}; {advice}"
    return ""


def _newest(resolver: Resolver, name: str) -> str:
    """Return the newest version of a package for this Python, or nothing."""
    package = read_lock(resolver.newest([name]).text, resolver.target.machine).get(canonicalize_name(name))
    return package.version if package else ""


def _reason(resolver: Resolver, wanted: str) -> str:
    """Return the pins of production that exclude a requirement, or nothing."""
    pins = [str(pin) for pin in resolver.production.fixed]
    attempt = resolver.together([wanted], pins, resolver.overrides)
    return reason(resolver, wanted, attempt) if attempt.impossible else ""


def _placed(resolver: Resolver, pins: str) -> str:
    return " and ".join(f"{pin} ({line_of(resolver, pin)})" for pin in pins.split(" and "))
