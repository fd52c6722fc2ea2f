"""The git repository of a project, without a commit."""

from __future__ import annotations

import os
from pathlib import Path

_SECONDS = 10


def is_needed(project: Path, template: Path) -> bool:
    """Say whether a project lies in no git work tree, or only in the one that holds its template.

    git itself is not asked, because it refuses the repositories of other users.
    """
    for folder in (project, *project.parents):
        if (folder / ".git").exists():
            root = template.resolve()
            return folder != project and folder.resolve() in (root, *root.parents)
    return True


def begin(folder: Path) -> bool:
    """Make an empty repository; return whether that worked."""
    return git("init", "--quiet", str(folder)) is not None


def git(*arguments: str) -> str | None:
    """Return what git says, or nothing if it fails or is missing."""
    import subprocess

    from ds_docker_env.common.sources.command import run

    # A git hook that generates would pass on its own repository.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        done = run(["git", *arguments], seconds=_SECONDS, environment=environment)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return None if done.returncode else done.stdout.decode().strip()
