"""The data under DVC: its files, and the credentials for S3."""

from __future__ import annotations

import os
import re
from pathlib import Path

from ds_docker_env.common.clone import SETTINGS, with_settings

# The project's file for credentials, unless .env names another one.
CREDENTIALS = Path(".secrets", "aws_credentials")
_VARIABLE = "AWS_SHARED_CREDENTIALS_FILE"


def dvc_files(url: str) -> dict[str, str]:
    """Return the files that ``dvc init``, ``dvc remote add --default`` and ``dvc config`` would write."""
    return {
        ".dvc/.gitignore": "/config.local\n/tmp\n/cache\n",
        ".dvc/config": "[core]\n    remote = storage\n    analytics = false\n    check_update = false\n"
        f"['remote \"storage\"']\n    url = {url}\n",
        ".dvcignore": "# Add patterns of files dvc should ignore, which could improve\n"
        "# the performance. Learn more at\n# https://dvc.org/doc/user-guide/dvcignore\n",
    }


def remote(url: str, former: Path) -> str:
    """Return the summary's line about the remote, which an existing project may have changed."""
    if not former.exists() or f"url = {url}\n" in former.read_text(encoding="utf-8", errors="replace"):
        return f"Data:       `dvc push` sends src/data to {url}"
    return f"Data:       .dvc/config is unchanged; to change it, run: dvc remote modify storage url {url}"


def find_credentials(project: Path) -> str:
    """Name the user's credentials file in ``.env``, never its content; return the summary's line.

    Reads the existing project, and writes into the working directory.
    """
    settings, credentials = project / SETTINGS, project / CREDENTIALS
    named = settings.read_text(encoding="utf-8", errors="replace") if settings.exists() else ""
    if re.search(rf"^\s*(?:export\s+)?{_VARIABLE}\s*=", named, re.MULTILINE):
        return "AWS:        credentials unchanged, set in .env"
    if credentials.exists() and credentials.stat().st_size:
        return f"AWS:        credentials unchanged, in {CREDENTIALS.as_posix()}"
    given = os.environ.get(_VARIABLE)
    path = Path(os.path.abspath(os.path.expanduser(given or "~/.aws/credentials")))
    if not path.is_file():
        todo = f"to push and pull, put yours in {CREDENTIALS.as_posix()} (README.md)"
        if given:
            todo = f"correct or unset {_VARIABLE}, which names it and overrides .env"
        return f"AWS:        credentials not found in {path}; {todo}"
    value = _value(str(path))
    if settings.exists():
        return f"AWS:        credentials in {path}; add to .env: {_VARIABLE}={value}"
    Path(SETTINGS).write_text(with_settings("", **{_VARIABLE: value}), encoding="utf-8", newline="\n")
    return f"AWS:        credentials in {path}, set in .env"


def _value(text: str) -> str:
    """Return a value as ``.env`` needs it."""
    if re.fullmatch(r"[\w./:\\@+-]+", text):
        return text
    return '"{}"'.format(re.sub(r'(["\\$])', r"\\\1", text))
