"""``take-over``: locks a newer production file in a project, completely or not at all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from ds_docker_env.common.analysis import Analysis
from ds_docker_env.common.day import checked
from ds_docker_env.common.progress import Say, alive, silent
from ds_docker_env.common.shipped import BUILD_REQUIREMENTS
from ds_docker_env.common.sources import on_day
from ds_docker_env.common.target import Target
from ds_docker_env.image import commands, project
from ds_docker_env.image.hold import held_at
from ds_docker_env.image.installed import ANALYSIS, read_target
from ds_docker_env.image.lock import AT
from ds_docker_env.image.meaning import lines
from ds_docker_env.image.template import template
from ds_docker_env.pinning.moves import Moves, moved_elsewhere
from ds_docker_env.pinning.parity import read_lock
from ds_docker_env.pinning.pinned import pin, require_notebook, versions_in


def run(words: Sequence[str]) -> int:
    """Take over the production file at a location, by default the last one; raise `GenerationError`."""
    parser = commands.parser("take-over")
    parser.add_argument("source", nargs="?", default="")
    parser.add_argument(*AT, default="")
    parser.add_argument("--dry-run", action="store_true")
    asked = parser.parse_args(words)
    target = read_target(ANALYSIS)
    day = checked(asked.at, AT[0])
    if asked.source:
        location = project.visible(asked.source, "take-over")
    else:
        production = project.read(project.PRODUCTION)
        location = project.named_source(production, "take-over")
        day = day or held_at(production)
    # With a day, a named file is the one of that day.
    if day and (location.startswith("git+") or (asked.at and ("://" in location or not asked.source))):
        location = on_day(location, day)
    known = template()
    with alive(f"Locking production's versions for Python {target.python}") as say:
        summary = take_over(location, target, known.names, known.clients, say, day, dry=asked.dry_run)
    again = project.on_host("take-over", *(each for each in words if each != "--dry-run"), location=location)
    run_it = f"nothing was written; to apply this, run: {again}"
    print(*summary, f"Next:       {run_it if asked.dry_run else 'docker compose up --build'}", sep="\n")
    return 0


def take_over(
    location: str,
    target: Target,
    names: Sequence[str] = (),
    clients: Mapping[str, str] | None = None,
    say: Say = silent,
    day: str = "",
    *,
    dry: bool = False,
) -> list[str]:
    """Lock the production file at a location with the project's packages and write the files of the lock.

    Keep versions that production does not move, and return the summary of generation with the moves. ``names`` are the
    packages of the template, ``clients`` those of services; ``say`` gets each step. Other packages are as in the index
    on a ``day``. With ``dry``, write nothing. Raise `GenerationError`, and change nothing then.
    """
    if not dry:
        project.writable()
    text = project.read("requirements.in")
    names_before = ("requirements.txt", "uv.toml", BUILD_REQUIREMENTS)
    before, settings, built_with = (project.read(name) if Path(name).exists() else "" for name in names_before)
    versions = versions_in(before, target.machine)
    analysis = Analysis(text, "\n".join(names), before if versions else "", clients or {})
    require_notebook(analysis)
    pinned = pin(location, target, analysis, settings=settings, say=say, built_with=built_with, day=day)
    files = pinned.files | {"production.txt": project.with_source(pinned.files["production.txt"], location)}
    lock = files["requirements.txt"]
    moves = Moves(versions, read_lock(lock, target.machine))
    elsewhere = moved_elsewhere(before, lock, moves, target.machine) if versions else []
    say("looking up details of the moves")
    said = lines(moves, target, [line for line in files["production.txt"].splitlines() if line.startswith("--")])
    if not dry:
        project.replace(files)
    return [*pinned.summary, *([*said, *elsewhere] or ["Moved:      nothing; all versions are unchanged"])]
