"""What a person should know about a lock."""

from __future__ import annotations

import re
from collections.abc import Mapping

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from ds_docker_env.common.redaction import printable, without_credentials
from ds_docker_env.common.target import Target
from ds_docker_env.pinning.lock import Lock
from ds_docker_env.pinning.parity import Locked, Parity, sha256
from ds_docker_env.pinning.production.model import Production


def summarise(
    production: Production, lock: Lock, packages: Mapping[str, Locked], parity: Parity, target: Target
) -> list[str]:
    """Return the summary, a line for each thing."""
    held = {pin.name for pin in parity.held}
    lines = [
        f"Production: {len(held)} of {len(held)} pins kept exactly, from {production.source}",
        f"Added:      {len(packages) - len(held)} packages for the analysis and what they need",
    ]
    lines += [f"Contradict: {contradiction}, but production runs them" for contradiction in lock.contradictions]
    for pin, pythons in lock.compiled.items():
        others = f"Python {', '.join(pythons)} has one" if pythons else "no Python has one"
        lines.append(f"Compiled:   {pin} has no wheel for Python {target.python}, so the image builds it; {others}")
    if lock.building.setuptools:
        lines.append(f"Old source: built with {lock.building.setuptools}, as uv.toml says")
    for awkward, why in lock.building.undescribed.items():
        lines.append(f"To build:   {awkward} in the image, as it {why}")
    if lock.building.undescribed:
        lines.append("            with what production pins, and the Debian packages that the Dockerfile names")
    lines += [f"Yanked:     {version} was withdrawn by its authors" for version in lock.yanked]
    lines += [f"Left out:   {requirement}, {why}" for requirement, why in left_out(lock, packages).items()]
    lines += [f"Elsewhere:  {pin} does not apply on Linux and this Python" for pin in parity.elsewhere]
    lines += _hashes(parity, packages)
    for line in production.unpinned:
        requirement = Requirement(line)
        name = canonicalize_name(requirement.name)
        if requirement.marker and not requirement.marker.evaluate(target.marker_environment()):
            lines.append(f"Elsewhere:  {line} does not apply on Linux and this Python")
        elif requirement.url:
            lines.append(f"From a URL: {line}, with the hash of what is there now")
        elif name in packages and name not in held:
            lines.append(f"Not pinned: {line} is open in production; the notebook has {packages[name].version}")
    for line, package in production.left_out.items():
        if package in packages:
            version = packages[package].version
            lines.append(f"Different:  {line} in production, {package}=={version} from the index here")
        else:
            why = "cannot be reached" if re.search(r" @ https?://", line) else "is not from an index"
            lines.append(f"Not here:   {line} {why}, so not in the notebook")
    lines += [f"Ignored:    {line} means nothing to a lock" for line in production.ignored]
    return [printable(without_credentials(line)) for line in lines]


def _hashes(parity: Parity, packages: Mapping[str, Locked]) -> list[str]:
    other = [pin.name for pin in parity.held if pin.hashes and not sha256(pin)]
    lost = {pin.name: sha256(pin) - (packages[pin.name].hashes or set()) for pin in parity.held}
    counts = [f"{pin.name} ({len(lost[pin.name])} of {len(sha256(pin))})" for pin in parity.held if lost[pin.name]]
    lines = [f"Hashes:     not compared, as production has no sha256 of them: {', '.join(other)}"] if other else []
    return lines + ([f"Hashes:     no longer on the index are some of {', '.join(counts)}"] if counts else [])


def left_out(lock: Lock, packages: Mapping[str, Locked]) -> dict[str, str]:
    """Return why each package is left out; one that production pins is there all the same, perhaps below the floor."""
    reasons = {}
    for line, why in lock.left_out.items():
        requirement = Requirement(line)
        locked = packages.get(canonicalize_name(requirement.name))
        if locked is None:
            reasons[line] = f"it cannot live beside production's {why}"
        elif not requirement.specifier.contains(locked.version, prereleases=True):
            reasons[line] = f"production has {requirement.name}=={locked.version}"
    return reasons
