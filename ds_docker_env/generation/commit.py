"""The commit of this template."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

# Where git or GitHub makes an archive: https://git-scm.com/docs/gitattributes#_creating_an_archive
_ARCHIVED = "$Format:%H$"
_ROOT = Path(__file__).parents[2]
_SECONDS = 5


@cache
def commit() -> str:
    """Return the commit that a clone is on, with ``-dirty`` if files were changed, or the commit of an archive.

    Return ``unknown`` where neither says it.
    """
    import subprocess

    from ds_docker_env.common.sources.command import run

    if not _ARCHIVED.startswith("$"):
        return _ARCHIVED
    # Otherwise git would answer for a repository that the template happens to lie in.
    if not (_ROOT / ".git").exists():
        return "unknown"
    git = ["git", "-C", str(_ROOT), "--no-optional-locks"]
    describe = [*git, "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        done = run(describe, seconds=_SECONDS, environment=environment)
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    return "unknown" if done.returncode else done.stdout.decode().strip()
