"""The pipeline that builds, checks, runs and ships a project, for the platform that it is on."""

from __future__ import annotations

import shutil
from pathlib import Path

# What is rendered for each, in every project; `keep` takes the others' away.
PIPELINES = {"github": (".github",), "gitlab": (".gitlab-ci.yml", "renovate.json")}


def keep(chosen: str) -> None:
    """Leave only the files of this pipeline in the working directory."""
    for name in (name for platform, names in PIPELINES.items() if platform != chosen for name in names):
        path = Path(name)
        shutil.rmtree(path) if path.is_dir() else path.unlink()
