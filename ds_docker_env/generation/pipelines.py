"""The pipeline of a project, for GitHub or GitLab."""

from __future__ import annotations

import contextlib
from pathlib import Path

# The files of each platform. All are rendered; `keep` removes the others.
PIPELINES = {
    "github": (".github/dependabot.yml", ".github/workflows/analysis.yml"),
    "gitlab": (".gitlab-ci.yml", "renovate.json"),
}


def others(chosen: str) -> list[str]:
    """Return the files of the other pipelines."""
    return [name for platform, names in PIPELINES.items() if platform != chosen for name in names]


def keep(chosen: str) -> None:
    """Remove the files of other pipelines from the working directory."""
    for name in others(chosen):
        Path(name).unlink()
    for folder in (".github/workflows", ".github"):
        with contextlib.suppress(OSError):
            Path(folder).rmdir()
