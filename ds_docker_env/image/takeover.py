"""Taking over a newer production file into a project, whole or not at all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from ds_docker_env.common.analysis import Analysis
from ds_docker_env.common.progress import alive
from ds_docker_env.common.target import Target
from ds_docker_env.image import project
from ds_docker_env.image.installed import ANALYSIS, read_installed
from ds_docker_env.image.template import template
from ds_docker_env.pinning.parity import Locked, read_lock
from ds_docker_env.pinning.pinned import pin, require_notebook, versions_in


def run(sources: Sequence[str]) -> int:
    """Take over the production file at a location, by default where the last one came from; raise `GenerationError`."""
    target = read_installed(ANALYSIS).target
    if sources:
        location = project.visible(sources[0], "take-over")
    else:
        location = project.named_source(project.read("production.txt"), "take-over")
    known = template()
    with alive(f"Locking production's versions for Python {target.python}"):
        summary = take_over(location, target, known.names, known.clients)
    print(*summary, "Next:       docker compose up --build", sep="\n")
    return 0


def take_over(
    location: str, target: Target, names: Sequence[str] = (), clients: Mapping[str, str] | None = None
) -> list[str]:
    """Lock the production file at a location with the project's packages and write the files of the lock.

    Works in the project folder, keeps the versions that production does not move, and returns the summary of
    generation with what moved. ``names`` are the packages that the template comes with, ``clients`` those of services.
    Raise `GenerationError`, in which case every file is as it was.
    """
    project.writable()
    text = project.read("requirements.in")
    before, settings = (project.read(name) if Path(name).exists() else "" for name in ("requirements.txt", "uv.toml"))
    versions = versions_in(before)
    analysis = Analysis(text, "\n".join(names), before if versions else "", clients or {})
    require_notebook(analysis)
    pinned = pin(location, target, analysis, settings=settings)
    files = pinned.files | {"production.txt": project.with_source(pinned.files["production.txt"], location)}
    project.replace(files)
    return [*pinned.summary, *_moves(versions, read_lock(files["requirements.txt"]))]


def _moves(before: Mapping[str, Locked], after: Mapping[str, Locked]) -> list[str]:
    def shown(package: Locked) -> str:
        return package.version or "from its URL"

    both = sorted(before.keys() & after.keys())
    lines = [
        f"Moved:      {name} {shown(before[name])} -> {shown(after[name])}"
        for name in both
        if before[name].version != after[name].version
    ]
    lines += [f"New:        {name} {shown(after[name])}" for name in sorted(after.keys() - before.keys())]
    lines += [f"Gone:       {name} {shown(before[name])}" for name in sorted(before.keys() - after.keys())]
    return lines or ["Moved:      nothing; every version is as it was"]
