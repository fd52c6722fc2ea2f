"""From checked answers to the lock and its summary; runs in a separate process, which has the parsing libraries."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date

from packaging.requirements import InvalidRequirement

from ds_docker_env.common.analysis import Analysis, package_name
from ds_docker_env.common.errors import LockError, RequirementsError, SourceError
from ds_docker_env.common.progress import Say, silent
from ds_docker_env.common.settings import own_settings
from ds_docker_env.common.shipped import BUILD_REQUIREMENTS
from ds_docker_env.common.sources import day_of
from ds_docker_env.common.sources.image import Image, disagreements, platform_lines
from ds_docker_env.common.target import Target
from ds_docker_env.pinning.lock import Lock, make_lock
from ds_docker_env.pinning.parity import (
    Locked,
    entries,
    name_of_entry,
    prove_each,
    read_each,
    read_lock,
    require_no_password,
)
from ds_docker_env.pinning.production.formats.reading import read_toml
from ds_docker_env.pinning.production.model import name_of
from ds_docker_env.pinning.production.reader import read_production
from ds_docker_env.pinning.production.rendering import render_constraints, render_overrides, render_production
from ds_docker_env.pinning.search import REQUIRED
from ds_docker_env.pinning.summary import left_out, summarise

_FOREIGN = re.compile(r"^[^\w\s#-]", re.MULTILINE)


@dataclass(frozen=True)
class Pinned:
    """The files by name, of which empty ones are not written, and the lines of the summary."""

    files: dict[str, str]
    summary: list[str]


def pin(
    location: str,
    target: Target,
    analysis: Analysis,
    settings: str = "",
    say: Say = silent,
    built_with: str = "",
    day: str = "",
) -> Pinned:
    """Read production, lock it with the analysis packages and prove the result; raise `GenerationError`.

    ``settings`` is the present uv.toml; ``say`` gets each step; versions in ``built_with``, the present
    build-requirements.txt, stay if possible. With a ``day``, or that of the location, other packages are as the index
    had them then, and former locks do not count.
    """
    day = day or day_of(location)
    if location.startswith("image:") and (wrong := disagreements(Image(location), target.python, target.debian)):
        raise SourceError(*wrong)
    production = read_production(location, target)
    if target.has_setuptools and all(pin.name != "setuptools" for pin in production.pins):
        analysis = analysis.with_setuptools()
    analysis = analysis.without_floors({pin.name for pin in production.pins})
    wheels_only = set(map(name_of_entry, entries(analysis.lock)))
    read_toml(settings, "uv.toml", "correct or remove it")
    own = own_settings(settings)
    before, built_with = ("", "") if day else (analysis.before, built_with)
    lock = make_lock(production, analysis.requirements, wheels_only, target, before, own, say, built_with, day)
    packages = read_each(lock.text)
    missing = left_out(lock, packages)
    if refused := [
        f"services: {service} needs {line}: {missing[line]}; leave {service} out, or update production first"
        for line in missing
        if (service := analysis.clients.get(package_name(line)))
    ]:
        raise LockError(*refused)
    parity = prove_each(production, lock.text, target)
    files = {
        "production.txt": render_production(production, date.today(), day),
        "requirements.in": (analysis.with_old_kernel(target.python) if lock.kernel else analysis).render(missing),
        "requirements.txt": _with_note(lock),
        "constraints.txt": render_constraints(production) if production.constraints_text() else "",
        "overrides.txt": render_overrides(lock.overrides) if lock.overrides else "",
    }
    files[BUILD_REQUIREMENTS] = lock.build_requirements.text
    require_no_password(*files.values())
    files["uv.toml"] = lock.building.render()
    first, *others = summarise(production, lock, packages, parity, target)
    read = platform_lines(Image(location)) if location.startswith("image:") else []
    if day:
        at = f" {production.provenance}, and" if day_of(location) else ""
        read.append(f"Held at:    {day} (UTC):{at} packages as the index had them then")
    return Pinned(files, [first, *read, *others])


def versions_in(lock: str, machine: str) -> dict[str, Locked]:
    """Return the packages of a lock for a processor, or nothing if it was edited, such as by a merge conflict."""
    try:
        return {} if _FOREIGN.search(lock) else read_lock(lock, machine)
    except InvalidRequirement:
        return {}


def require_notebook(analysis: Analysis) -> None:
    """Raise `RequirementsError` if an edited requirements.in has invalid lines or lacks ipykernel."""
    problems, names = [], set()
    for line in analysis.requirements:
        try:
            names.add(name_of(line))
        except InvalidRequirement:
            problems.append(f"requirements.in: invalid requirement {line!r}; write it as name>=1.0")
    if not problems and REQUIRED not in names:
        problems.append(f"requirements.in: {REQUIRED} is missing, but notebooks need it; add it again")
    if problems:
        raise RequirementsError(*problems)


def _with_note(lock: Lock) -> str:
    """Return the lock with its conflicts below the command in its header."""
    if not lock.contradictions:
        return lock.text
    header, command, rest = lock.text.split("\n", 2)
    notes = [f"# production runs pins that conflict: {conflict}" for conflict in lock.contradictions]
    return "\n".join([header, command, *notes, rest])
