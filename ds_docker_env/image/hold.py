"""The day at which a project is held, which production.txt names."""

from __future__ import annotations

import re

from ds_docker_env.common import day
from ds_docker_env.common.sources import on_day
from ds_docker_env.image import project
from ds_docker_env.image.project import PRODUCTION

_DAY = re.compile(r"^# at: (.*?)\s*$", re.MULTILINE)


def held_at(production: str) -> str:
    """Return the day that production.txt names, or a blank; raise `DayError`."""
    found = _DAY.search(production)
    return day.checked(found[1], PRODUCTION) if found else ""


def held_here() -> str:
    """Return the day at which this project is held, or a blank; raise `GenerationError`."""
    return held_at(project.read(PRODUCTION)) if (project.root() / PRODUCTION).exists() else ""


def lines(production: str) -> list[str]:
    """Return a line for a held project, with the command to follow production again; raise `GenerationError`."""
    if not (held := held_at(production)):
        return []
    source = project.source(production)
    source = on_day(source, "") if source.startswith("git+") else source
    run = project.on_host("take-over", source, location=source)
    return [f"Held at:    {held}; add and lock take packages of that day; to follow production again, run: {run}"]
