"""The summary of a lock."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from itertools import chain

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from ds_docker_env.common.analysis import package_name
from ds_docker_env.common.redaction import printable, some, without_credentials
from ds_docker_env.common.target import EMULATED, MACHINES, Target
from ds_docker_env.pinning import twins
from ds_docker_env.pinning.lock import Lock
from ds_docker_env.pinning.parity import Locked, Parity, sha256
from ds_docker_env.pinning.processors import differing
from ds_docker_env.pinning.production import distribution
from ds_docker_env.pinning.production.model import Production, name_of, same_version
from ds_docker_env.pinning.search import beside
from ds_docker_env.pinning.share import share_of

# The packages of a lock by processor and normalised name.
Packages = Mapping[str, Mapping[str, Locked]]


def summarise(production: Production, lock: Lock, packages: Packages, parity: Parity, target: Target) -> list[str]:
    """Return the summary, a line for each fact."""
    versions = _versions(packages)
    share = share_of(production, lock.text, parity, target)
    held, near = {pin.name for pin in parity.held}, set(map(name_of, production.near))
    added = versions.keys() - share.exact - {*share.open} - near
    where = "Linux" if packages.keys() == MACHINES.keys() else " and ".join(MACHINES[each] for each in packages)
    lines = [*share.lines, f"Added:      {len(added)} packages for the analysis, with their dependencies"]
    if lock.obstacle:
        lines.append(f"Only amd64: {lock.obstacle.where}: {lock.obstacle.why}; on arm64, set {EMULATED} in .env")
    lines += differing(packages, held)
    lines += [f"Conflict:   {conflict}: locked as production runs them" for conflict in lock.contradictions]
    for pin, pythons in lock.compiled.items():
        others = f"; Python {', '.join(pythons)} has one" if pythons else ""
        lines.append(f"Compiled:   {pin} in the image: no wheel for Python {target.python}{others}")
    for processors, built in lock.compiled_on.items():
        if built:
            lines.append(f"Compiled:   {some(built)} in the image: no wheel for {processors}")
    lines += lock.build_requirements.lines
    if lock.building.setuptools:
        lines.append(f"Old source: needs {lock.building.setuptools} to build; uv.toml sets it")
    lines += [f"To build:   {pin} in the image, because it {why}" for pin, why in lock.building.undescribed.items()]
    lines += lock.fresh
    if lock.yanked:
        lines.append(f"Yanked:     {', '.join(lock.yanked)}: withdrawn by the authors")
    for missing, why in left_out(lock, packages).items():
        label = "Older:     " if package_name(missing) in versions else "Left out:  "
        lines.append(f"{label} {missing}: {why}")
    environments = [target.on(machine).marker_environment() for machine in packages]
    unpinned = {
        line: not (marker := Requirement(line).marker) or any(map(marker.evaluate, environments))
        for line in production.unpinned
    }
    elsewhere = [f"{pin.name}{pin.specifier}" for pin in parity.elsewhere]
    elsewhere += [line.partition(" ; ")[0] for line, here in unpinned.items() if not here]
    if elsewhere:
        lines.append(f"Elsewhere:  {some(elsewhere)}: not for {where} and Python {target.python}")
    lines += [
        f"Local:      {pin} is locked as {versions[pin.name]}, as pip would install it from production's index"
        for pin in parity.held
        if any(pin.holds(each) and not same_version(pin.version, each) for each in versions[pin.name].split(" or "))
    ]
    lines += _hashes(parity)
    lines += twins.lines(production, versions)
    lines += [
        f"From a URL: {line}, locked with the hash of the current file"
        for line, here in unpinned.items()
        if here and " @ " in line
    ]
    if system := distribution.of_the_system(
        line for line, package in production.left_out.items() if package not in versions
    ):
        lines.append(f"Not here:   {', '.join(system)}: part of production's operating system")
    for line, package in production.left_out.items():
        if line.endswith("(conda)"):
            continue
        if package in versions:
            lines.append(f"Different:  {line} in production, {package}=={versions[package]} here")
        elif not line.endswith(distribution.WHY):
            why = "its URL cannot be reached" if re.search(r" @ https?://", line) else "not from a package index"
            lines.append(f"Not here:   {line}: {why}")
    ignored: dict[str, list[str]] = defaultdict(list)
    for option, why in production.ignored.items():
        ignored[why].append(option)
    lines += [f"Ignored:    {', '.join(options)}: {why}" for why, options in ignored.items()]
    return [printable(without_credentials(line)) for line in lines]


def _versions(packages: Packages) -> dict[str, str]:
    """Return the locked version of each package, or versions if processors have different ones."""
    names = dict.fromkeys(chain.from_iterable(packages.values()))
    found = {name: dict.fromkeys(each[name].version for each in packages.values() if name in each) for name in names}
    return {name: " or ".join(versions) for name, versions in found.items()}


def _hashes(parity: Parity) -> list[str]:
    other = [pin.name for pin in parity.held if pin.hashes and not sha256(pin)]
    lost = {pin.name: sha256(pin) - (found.hashes or set()) for pin, found in parity.held.items()}
    counts = [f"{pin.name} ({len(lost[pin.name])} of {len(sha256(pin))})" for pin in parity.held if lost[pin.name]]
    lines = [f"Hashes:     not compared, because production's file has no sha256: {some(other)}"] if other else []
    return lines + ([f"Hashes:     files no longer on the index: {some(counts)}"] if counts else [])


def left_out(lock: Lock, packages: Packages) -> dict[str, str]:
    """Return why each package is left out, or is below the lower bound because production pins it."""
    reasons = {}
    for line, why in lock.left_out.items():
        requirement = Requirement(line)
        name = canonicalize_name(requirement.name)
        locked = [each[name].version for each in packages.values() if name in each]
        too_old = [each for each in locked if not requirement.specifier.contains(each, prereleases=True)]
        if not locked:
            reasons[line] = why
        elif too_old:
            there = f"{name}=={too_old[0]}"
            own = why.startswith(beside(f"{name}="))
            reasons[line] = f"production has {there}" if own else f"{why}; the lock has {there}"
    return reasons
