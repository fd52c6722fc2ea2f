"""From checked answers to the lock and its summary; runs in a process of its own that has the parsing libraries."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from ds_docker_env import analysis
from ds_docker_env.errors import GenerationError, ParityError, without_credentials
from ds_docker_env.lock import Lock, make_lock
from ds_docker_env.parity import Locked, Parity, prove, read_lock
from ds_docker_env.production import Production, read_production, render_overrides, render_production
from ds_docker_env.target import Target


@dataclass(frozen=True)
class Pinned:
    """The files to write, by name, and the lines of the summary."""

    files: dict[str, str]
    summary: list[str]


def pin(location: str, target: Target) -> Pinned:
    """Read production, lock it with the analysis packages and prove the result; raise `GenerationError`."""
    production = read_production(location, target)
    wheels_only = set(read_lock(analysis.shipped_lock(target.python)))
    lock = make_lock(production, analysis.requirements(), wheels_only, target)
    packages = read_lock(lock.text)
    parity = prove(production, packages, target)
    files = {
        "production.txt": render_production(production, date.today()),
        "requirements.in": analysis.render(_reasons(lock, packages)),
        "requirements.txt": _with_note(lock),
    }
    if bounding := production.bounding():
        files["constraints.txt"] = "# Production's constraints; production.txt includes them.\n" + bounding
    if lock.contradicting:
        files["overrides.txt"] = render_overrides(lock.contradicting)
    if any(without_credentials(text) != text for text in files.values()):
        raise ParityError(
            "the lock would show a password in an address; put it into ~/.netrc and name the index without"
        )
    return Pinned(files, summarise(production, lock, packages, parity, target))


def summarise(
    production: Production, lock: Lock, packages: Mapping[str, Locked], parity: Parity, target: Target
) -> list[str]:
    """Return what a person should know about the lock, a line each."""
    held = {pin.name for pin in parity.held}
    lines = [
        f"Production: {len(held)} of {len(held)} pins kept exactly, from {production.source}",
        f"Added:      {len(packages) - len(held)} packages for the analysis and what they need",
    ]
    if lock.contradicting:
        lines.append(f"Contradict: {' and '.join(lock.contradicting)} exclude each other, but production runs them")
    for pin, pythons in lock.compiled.items():
        others = f"Python {', '.join(pythons)} has one" if pythons else "no Python has one"
        lines.append(f"Compiled:   {pin} has no wheel for Python {target.python}, so the image builds it; {others}")
    lines += [f"Left out:   {requirement}, {why}" for requirement, why in _reasons(lock, packages).items()]
    lines += [f"Elsewhere:  {pin} does not apply on Linux and this Python" for pin in parity.elsewhere]
    for line in production.unpinned:
        name = canonicalize_name(Requirement(line).name)
        if name in packages and name not in held:
            has = packages[name].version or "that URL"
            lines.append(f"Not pinned: {line} is open in production; the notebook has {has}")
    for line, package in production.left_out.items():
        if package in packages:
            version = packages[package].version
            lines.append(f"Different:  {line} in production, {package}=={version} from the index here")
        else:
            lines.append(f"Not here:   {line} is not from an index, so not in the notebook")
    lines += [f"Ignored:    {line} means nothing to a lock" for line in production.ignored]
    return [without_credentials(line) for line in lines]


def _with_note(lock: Lock) -> str:
    """Return the lock with its contradictions named below the command in its header."""
    if not lock.contradicting:
        return lock.text
    header, command, rest = lock.text.split("\n", 2)
    return "\n".join(
        [header, command, f"# production runs {' and '.join(lock.contradicting)}, which exclude each other", rest]
    )


def _reasons(lock: Lock, packages: Mapping[str, Locked]) -> dict[str, str]:
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


def main() -> None:
    """Answer ``location`` and ``python`` in JSON with ``files`` and ``summary``, or with ``problems``."""
    try:
        asked = json.load(sys.stdin)
        pinned = pin(asked["location"], Target(asked["python"]))
        answer = {"files": pinned.files, "summary": pinned.summary}
    except GenerationError as error:
        answer = {"problems": error.problems}
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()
