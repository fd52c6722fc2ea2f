"""What a person should know about a lock."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import chain

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from ds_docker_env.common.analysis import package_name
from ds_docker_env.common.redaction import printable, without_credentials
from ds_docker_env.common.target import MACHINES, Target
from ds_docker_env.pinning import twins
from ds_docker_env.pinning.diagnosis import some
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
    """Return the summary, a line for each thing."""
    versions = _versions(packages)
    share = share_of(production, lock.text, parity, target)
    held, near = {pin.name for pin in parity.held}, set(map(name_of, production.near))
    added = versions.keys() - share.exact - share.open - near
    where = "Linux" if packages.keys() == MACHINES.keys() else " and ".join(MACHINES[each] for each in packages)
    elsewhere = f"does not apply on {where} and this Python"
    lines = [
        *share.lines,
        f"Added:      {len(added)} packages for the analysis and what they need",
    ]
    if lock.obstacle:
        lines.append(f"Only amd64: {lock.obstacle.where}: {lock.obstacle.why}")
        lines.append(
            "            on arm64, such as Apple silicon, write DOCKER_DEFAULT_PLATFORM=linux/amd64 into .env."
        )
        lines.append("            Docker then emulates amd64, which is slow: docs/how-to/processors.md of the template")
    lines += differing(packages, held)
    lines += [f"Contradict: {contradiction}, but production runs them" for contradiction in lock.contradictions]
    for pin, pythons in lock.compiled.items():
        others = f"Python {', '.join(pythons)} has one" if pythons else "no Python has one"
        lines.append(f"Compiled:   {pin} has no wheel for Python {target.python}, so the image builds it; {others}")
    for processors, built in lock.compiled_on.items():
        if built:
            lines.append(f"Compiled:   {some(built)} on {processors}: no wheel, so compiled in the image")
    lines += lock.build_requirements.lines
    if lock.building.setuptools:
        lines.append(f"Old source: built with {lock.building.setuptools}, as uv.toml says")
    for awkward, why in lock.building.undescribed.items():
        lines.append(f"To build:   {awkward} in the image, as it {why}")
    if lock.building.undescribed:
        lines.append("            with what production pins, and the Debian packages that the Dockerfile names")
    lines += lock.fresh
    lines += [f"Yanked:     {version} was withdrawn by its authors" for version in lock.yanked]
    for missing, why in left_out(lock, packages).items():
        label = "Older:     " if package_name(missing) in versions else "Left out:  "
        lines.append(f"{label} {missing}, {why}")
    lines += [f"Elsewhere:  {pin} {elsewhere}" for pin in parity.elsewhere]
    lines += [
        f"Local:      {pin} is locked as {versions[pin.name]}, which pip would install from production's index"
        for pin in parity.held
        if any(pin.holds(each) and not same_version(pin.version, each) for each in versions[pin.name].split(" or "))
    ]
    lines += _hashes(parity)
    lines += twins.lines(production, versions)
    for line in production.unpinned:
        requirement = Requirement(line)
        name = canonicalize_name(requirement.name)
        environments = [target.on(machine).marker_environment() for machine in packages]
        if requirement.marker and not any(map(requirement.marker.evaluate, environments)):
            lines.append(f"Elsewhere:  {line} {elsewhere}")
        elif requirement.url:
            lines.append(f"From a URL: {line}, with the hash of what is there now")
        elif name in versions and name not in held and line not in production.near:
            lines.append(f"Not pinned: {line} is open in production; the notebook has {versions[name]}")
    if system := distribution.of_the_system(
        line for line, package in production.left_out.items() if package not in versions
    ):
        lines.append(f"Not here:   {', '.join(system)}: packages of production's operating system")
    for line, package in production.left_out.items():
        if line.endswith("(conda)"):
            continue
        if package in versions:
            lines.append(f"Different:  {line} in production, {package}=={versions[package]} from the index here")
        elif not line.endswith(distribution.WHY):
            why = "cannot be reached" if re.search(r" @ https?://", line) else "is not from an index"
            lines.append(f"Not here:   {line} {why}, so not in the notebook")
    lines += [f"Ignored:    {option} {why}" for option, why in production.ignored.items()]
    return [printable(without_credentials(line)) for line in lines]


def _versions(packages: Packages) -> dict[str, str]:
    """Return what is locked of each package, where that differs for each processor."""
    names = dict.fromkeys(chain.from_iterable(packages.values()))
    found = {name: dict.fromkeys(each[name].version for each in packages.values() if name in each) for name in names}
    return {name: " or ".join(versions) for name, versions in found.items()}


def _hashes(parity: Parity) -> list[str]:
    other = [pin.name for pin in parity.held if pin.hashes and not sha256(pin)]
    lost = {pin.name: sha256(pin) - (found.hashes or set()) for pin, found in parity.held.items()}
    counts = [f"{pin.name} ({len(lost[pin.name])} of {len(sha256(pin))})" for pin in parity.held if lost[pin.name]]
    lines = [f"Hashes:     not compared, as production has no sha256 of them: {', '.join(other)}"] if other else []
    return lines + ([f"Hashes:     no longer on the index are some of {', '.join(counts)}"] if counts else [])


def left_out(lock: Lock, packages: Packages) -> dict[str, str]:
    """Return why each package is left out; one that production pins is there all the same, perhaps below the floor."""
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
