"""From checked answers to the lock and its summary; runs in a process of its own that has the parsing libraries."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from ds_docker_env import analysis
from ds_docker_env.answers import Answers
from ds_docker_env.errors import GenerationError
from ds_docker_env.lock import Lock, make_lock
from ds_docker_env.parity import Locked, Parity, prove, read_lock
from ds_docker_env.production import Production, read_production, render_production
from ds_docker_env.target import PYTHON_VERSIONS, Target


@dataclass(frozen=True)
class Pinned:
    """The files to write, by name, and the lines of the summary."""

    files: dict[str, str]
    summary: list[str]


def pin(raw: Mapping[str, Any]) -> Pinned:
    """Read production, lock it with the analysis packages and prove the result; raise `GenerationError`."""
    answers, production = _read(raw)
    target = Target(answers.python_version, answers.debian_release)
    lock = make_lock(production, analysis.requirements(), target)
    packages = read_lock(lock.text)
    parity = prove(production, packages, target)
    production.adopt_constraints(packages.keys())
    files = {
        "production.txt": render_production(production, date.today()),
        "requirements.in": analysis.render(lock.left_out),
        "requirements.txt": lock.text,
    }
    return Pinned(files, summarise(production, lock, packages, parity))


def summarise(production: Production, lock: Lock, packages: Mapping[str, Locked], parity: Parity) -> list[str]:
    """Return what a person should know about the lock, a line each."""
    held = {pin.name for pin in parity.held}
    lines = [
        f"Production: {len(held)} of {len(held)} pins kept exactly, from {production.source}",
        f"Added:      {len(packages) - len(held)} packages for the analysis and what they need",
    ]
    lines += [f"Left out:   {name}, which cannot live beside production's {why}" for name, why in lock.left_out.items()]
    lines += [f"Elsewhere:  {pin} does not apply on Linux and this Python" for pin in parity.elsewhere]
    for line in production.unpinned:
        name = canonicalize_name(Requirement(line).name)
        if name in packages and name not in held:
            lines.append(
                f"Not pinned: {line} is open in production; the notebook has {packages[name].version or 'that URL'}"
            )
    lines += [f"Not here:   {line} is not on an index, so not in the notebook" for line in production.left_out]
    lines += [f"Ignored:    {line} means nothing to a lock" for line in production.ignored]
    return lines


def _read(raw: Mapping[str, Any]) -> tuple[Answers, Production]:
    """Check the answers and read production, so that the problems of both are reported together."""
    problems: list[str] = []
    answers = production = None
    try:
        answers = Answers.check(raw)
    except GenerationError as error:
        problems += error.problems
    if raw["python_version"] in PYTHON_VERSIONS:
        try:
            target = Target(raw["python_version"], raw["debian_release"])
            production = read_production(raw["__production_requirements"], target)
        except GenerationError as error:
            problems += [f"production_requirements: {problem}" for problem in error.problems]
    if problems or answers is None or production is None:
        raise GenerationError(*problems)
    return answers, production


def main() -> None:
    """Answer the JSON on standard input with JSON: ``files`` and ``summary``, or ``problems``."""
    try:
        pinned = pin(json.load(sys.stdin))
        answer = {"files": pinned.files, "summary": pinned.summary}
    except GenerationError as error:
        answer = {"problems": error.problems}
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()
