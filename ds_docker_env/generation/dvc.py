"""The data under DVC: its files, a git repository for the pointers, and where the credentials for S3 are."""

from __future__ import annotations

import os
import re
from pathlib import Path

# Where a project looks for credentials if its .env names no other file.
CREDENTIALS = Path(".secrets", "aws_credentials")
_VARIABLE = "AWS_SHARED_CREDENTIALS_FILE"
_SETTINGS = Path(".env")
_SECONDS = 10


def dvc_files(url: str) -> dict[str, str]:
    """Return what ``dvc init``, ``dvc remote add --default`` and ``dvc config`` would write."""
    return {
        ".dvc/.gitignore": "/config.local\n/tmp\n/cache\n",
        ".dvc/config": "[core]\n    remote = storage\n    analytics = false\n    check_update = false\n"
        f"['remote \"storage\"']\n    url = {url}\n",
        ".dvcignore": "# Add patterns of files dvc should ignore, which could improve\n"
        "# the performance. Learn more at\n# https://dvc.org/doc/user-guide/dvcignore\n",
    }


def remote(url: str, former: Path) -> str:
    """Say where the data go, or that the configuration of a former project, which is kept, has another place."""
    if not former.exists() or f"url = {url}\n" in former.read_text(encoding="utf-8", errors="replace"):
        return f"Data:       what `dvc add` takes from src/data goes to {url}"
    return f"Data:       .dvc/config is kept as it was; to change it, run: dvc remote modify storage url {url}"


def begin_repository(project: Path, *, allowed: bool) -> str:
    """Make a git repository without a commit, unless the project lies in one; return a line to say."""
    # Not asked of git, which refuses a repository of somebody else's.
    if any((folder / ".git").exists() for folder in (project, *project.parents)):
        return ""
    if allowed and _git_init(project):
        return "Git:        a new repository, without a commit, for DVC's pointers to the data"
    return "Git:        no repository yet, which DVC's pointers need; run in the project: git init"


def find_credentials(project: Path) -> str:
    """Name the person's own credentials file in ``.env`` for Compose, never its content; return a line to say.

    Looks at the project as it was, and writes into the working directory.
    """
    settings, credentials = project / _SETTINGS, project / CREDENTIALS
    named = settings.read_text(encoding="utf-8", errors="replace") if settings.exists() else ""
    if re.search(rf"^\s*(?:export\s+)?{_VARIABLE}\s*=", named, re.MULTILINE):
        return "AWS:        credentials unchanged, named in .env"
    if credentials.exists() and credentials.stat().st_size:
        return f"AWS:        credentials unchanged, in {CREDENTIALS.as_posix()}"
    given = os.environ.get(_VARIABLE)
    path = Path(os.path.abspath(os.path.expanduser(given or "~/.aws/credentials")))
    if not path.is_file():
        todo = f"to push and pull, put yours into {CREDENTIALS.as_posix()} (see README.md)"
        if given:
            todo = f"correct {_VARIABLE}, which names it and goes before .env, or unset it"
        return f"AWS:        no credentials in {path}; {todo}"
    line = f"{_VARIABLE}={_value(str(path))}"
    if settings.exists():
        return f"AWS:        credentials in {path}; add to .env: {line}"
    _SETTINGS.write_text(f"# Settings of this machine for Docker Compose.\n{line}\n", encoding="utf-8", newline="\n")
    return f"AWS:        credentials in {path}, named in .env"


def _git_init(project: Path) -> bool:
    import subprocess

    from ds_docker_env.common.sources.command import run

    # Without what would point it at the repository of a hook that generates.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        done = run(["git", "init", "--quiet", str(project)], seconds=_SECONDS, environment=environment)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return not done.returncode


def _value(text: str) -> str:
    """Return a value as Compose reads it from ``.env``."""
    if re.fullmatch(r"[\w./:\\@+-]+", text):
        return text
    return '"{}"'.format(re.sub(r'(["\\$])', r"\\\1", text))
