"""The version and the commit of this template."""

from __future__ import annotations

import os
from pathlib import Path

VERSION = "2026.11.0"

# Where git or GitHub makes an archive: https://git-scm.com/docs/gitattributes#_creating_an_archive
_ARCHIVED = "$Format:%H$"
_TRACKED = "cookiecutter.json"
_ROOT = Path(__file__).parents[2]
_SECONDS = 5


def commit() -> str:
    """Return the commit that a clone is on, with ``-dirty`` if files were changed, or the commit of an archive.

    Return ``unknown`` where neither says it.
    """
    import subprocess

    from ds_docker_env.common.sources.command import run

    if not _ARCHIVED.startswith("$"):
        return _ARCHIVED
    git = ["git", "-C", str(_ROOT), "--no-optional-locks"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        # Otherwise git would answer for a repository that the template only happens to lie in.
        tracked = run([*git, "ls-files", "--error-unmatch", _TRACKED], seconds=_SECONDS, environment=environment)
        if tracked.returncode:
            return "unknown"
        describe = [*git, "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
        done = run(describe, seconds=_SECONDS, environment=environment)
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    return "unknown" if done.returncode else done.stdout.decode().strip()
