"""The pipeline that builds, checks, runs and ships a project, for the platform that it is on."""

from __future__ import annotations

import contextlib
from pathlib import Path

# The files of each, all rendered in every project; `keep` removes the others.
PIPELINES = {
    "github": (".github/dependabot.yml", ".github/workflows/analysis.yml"),
    "gitlab": (".gitlab-ci.yml", "renovate.json"),
}


def others(chosen: str) -> list[str]:
    """Return the files of the pipelines that are not chosen."""
    return [name for platform, names in PIPELINES.items() if platform != chosen for name in names]


def keep(chosen: str) -> None:
    """Leave only the files of this pipeline in the working directory."""
    for name in others(chosen):
        Path(name).unlink()
    for folder in (".github/workflows", ".github"):
        with contextlib.suppress(OSError):
            Path(folder).rmdir()
