"""The passwords that the container gets as Docker secrets, in files that people write with any editor."""

from __future__ import annotations

import sys
from pathlib import Path

SECRETS = Path("/run/secrets")


def read_password(name: str, secrets: Path = SECRETS) -> str:
    """Return the password in a secret, or nothing if it is missing or blank.

    A byte order mark and the line ends of Windows do not count. Exit with one line on stderr if the file cannot be read
    as UTF-8.
    """
    path = secrets / name
    try:
        return path.read_text(encoding="utf-8-sig").strip() if path.exists() else ""
    except UnicodeError:
        problem = "is not UTF-8 text, perhaps because PowerShell wrote it; save it as UTF-8"
    except OSError as error:
        problem = f"cannot be read ({error.strerror}); start the container with docker compose, or correct its owner"
    sys.exit(f".secrets/{name}: {problem}")
