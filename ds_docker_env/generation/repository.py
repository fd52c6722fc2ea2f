"""The git repository of a project, without a commit."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

_SECONDS = 10


def is_needed(project: Path, template: Path) -> bool:
    """Say whether a project lies in no git work tree, or only in the clone of its template.

    git itself is not asked, because it refuses the repositories of other users.
    """
    for folder in (project, *project.parents):
        if (folder / ".git").exists():
            return folder != project and folder.resolve() == template.resolve()
    return True


def begin(folder: Path) -> bool:
    """Make an empty repository; return whether that worked."""
    import subprocess

    git = shutil.which("git")
    if not git:
        return False
    # A git hook that generates would pass on its own repository.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        done = subprocess.run(
            [git, "init", "--quiet", str(folder)],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return not done.returncode
