"""Requirements that stand for conda packages, and their conflicts on the package index."""

from __future__ import annotations

import re
from collections.abc import Mapping

from packaging.requirements import Requirement
from packaging.version import Version

from ds_docker_env.common.redaction import some
from ds_docker_env.pinning.builds import Failure
from ds_docker_env.pinning.parity import read_lock
from ds_docker_env.pinning.production.model import Production, name_of, pinned_version, same_version
from ds_docker_env.pinning.resolver import Attempt, Resolver

# Packages in one explanation that are tried.
_NAMED = 8
_LEFT_OUT = " (conda)"
# Libraries that others need.
_PARTS = ("_", "lib", "ld_impl", "font", "xorg-", "aws-c-", "ca-certificates")


def leave_out_missing(resolver: Resolver) -> None:
    """Leave out the conda packages whose version is not on an index.

    If the index has a longer version, such as 4.8.1.78 for 4.8.1, require that instead.
    """
    production = resolver.production
    while twins := sorted(production.twins):
        # One question for all: the newest version up to conda's is conda's own, if the index has it.
        attempt = resolver.exist([_at_most(twin) for twin in twins])
        named = [twin for twin in twins if name_of(twin) in attempt.names] if attempt.impossible else []
        lost = [twin for twin in named if resolver.exist([_at_most(twin)]).impossible]
        for twin in lost:
            production.replace_twin(twin)
        if not lost:
            break
    found = read_lock(attempt.text, resolver.target.machine) if twins else {}
    for twin in twins:
        name, version = name_of(twin), pinned_version(twin)
        # uv uses a yanked version only for an exact requirement.
        other = name in found and version and not same_version(found[name].version, version)
        if other and resolver.exist([twin]).impossible:
            near = f"{name}=={Version(version).base_version}.*"
            production.replace_twin(twin, near if resolver.exist([near]).text else "")


def leave_out_impossible(resolver: Resolver, attempt: Attempt, possible: set[str]) -> bool:
    """Leave out each conda package that prevents a lock by itself; say whether there were any.

    Add the others to ``possible``, so that they are not tried again.
    """
    failure = Failure.find(attempt.stderr)
    names = [failure.name] if failure else attempt.names
    twins = sorted(resolver.production.twins - (set() if failure else possible))
    named = [twin for name in names for twin in twins if name_of(twin) == name][:_NAMED]
    lost = [twin for twin in named if failure or resolver.together([], [twin]).impossible]
    possible.update(named)
    for twin in lost:
        resolver.production.replace_twin(twin)
    return bool(lost)


def settle(resolver: Resolver, possible: set[str]) -> list[str] | None:
    """Resolve conflicts between conda packages that prevent a lock of production by itself.

    Return the pins that must override requirements, perhaps an empty list, or ``None`` if nothing changed.
    """
    if not resolver.production.conda or (alone := resolver.without([])).text:
        return None
    if leave_out_impossible(resolver, alone, possible):
        return []
    production, pins = resolver.production, resolver.named_pins(alone)
    unpinned = [line for line in production.unpinned if name_of(line) in alone.names][:_NAMED]
    conflict = _conflict(resolver, [*unpinned, *pins])
    if broken := [line for line in conflict if line in production.twins and line not in pins]:
        # pip broke a range of conda in production.
        production.replace_twin(broken[0])
        return []
    new = set(conflict) - set(resolver.overrides)
    return conflict if new and new <= set(pins) else None


def _conflict(resolver: Resolver, requirements: list[str]) -> list[str]:
    """Return the few requirements that conflict, or nothing if all are compatible."""

    def impossible(some_of_them: list[str]) -> bool:
        return resolver.together([], some_of_them, overrides=resolver.overrides).impossible

    if not impossible(requirements):
        return []
    for requirement in requirements:
        if impossible(others := [each for each in requirements if each != requirement]):
            requirements = others
    return requirements


def lines(production: Production, versions: Mapping[str, str]) -> list[str]:
    """Return the lines of a summary about conda packages; ``versions`` are those in the lock."""
    left_out = {
        line.rpartition(" (")[0]: name for line, name in production.left_out.items() if line.endswith(_LEFT_OUT)
    }
    every = len(production.conda.keys() | left_out.keys())
    if not every:
        return []
    exact = sum(bool(pinned_version(requirement)) for requirement in production.conda.values())
    said = [f"{exact} of {every} packages pinned to conda's version"]
    if ranges := len(production.conda.keys() - left_out.keys()) - exact:
        said.append(f"{ranges} bounded or open as in production")
    absent = [shown for shown, name in left_out.items() if not name]
    other = {shown: name for shown, name in sorted(left_out.items()) if name}
    if absent:
        # Requested packages before their dependencies.
        names = sorted((re.split(r"[^\w.:-]", shown)[0] for shown in absent), key=lambda name: name.startswith(_PARTS))
        said.append(f"{len(absent)} not on the package index: {some(names)}")
    found = [f"Conda:      {', '.join(said)}"]
    for shown, name in other.items():
        if name in versions:
            found.append(f"Different:  {shown} (conda) in production, {name}=={versions[name]} here")
    if lost := [shown for shown, name in other.items() if name not in versions]:
        found.append(f"Not here:   {some(lost)} (conda): not installable from the package index on this Python")
    return found


def _at_most(twin: str) -> str:
    version = pinned_version(twin)
    return f"{Requirement(twin).name}<={version}" if version else twin
