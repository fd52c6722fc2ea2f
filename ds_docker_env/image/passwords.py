"""Passwords that the container gets as Docker secrets, in files that people write with any editor."""

from __future__ import annotations

import re
import sys
from pathlib import Path

SECRETS = Path("/run/secrets")
_NOT_TEXT = "not UTF-8 text"


def read_password(name: str, secrets: Path = SECRETS) -> str:
    """Return the password in a secret, blank if it is missing or blank.

    A byte order mark and the line endings of Windows are removed. Exit with one line on stderr if the file is not UTF-8
    or not readable.
    """
    path = secrets / name
    try:
        return path.read_text(encoding="utf-8-sig").strip() if path.exists() else ""
    except UnicodeError:
        sys.exit(_report(name, _NOT_TEXT))
    except OSError as error:
        sys.exit(f".secrets/{name}: {error.strerror}; start the container with docker compose, or correct the owner")


def main(secrets: Path = SECRETS) -> None:
    """Exit with one line on stderr for each password of a database that the database would read as another one."""
    problems = [(path.name, _problem(path)) for path in sorted(secrets.glob("*_password"))]
    reports = [_report(name, problem) for name, problem in problems if problem]
    if reports:
        sys.exit("\n".join(reports))


def _problem(path: Path) -> str:
    """Return why a database cannot take a password, or nothing.

    The entrypoint of MySQL's image puts the password into SQL and an option file without escaping it:
    https://github.com/docker-library/mysql
    """
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeError:
        return _NOT_TEXT
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    if "\0" in text:
        return _NOT_TEXT
    if not text.strip():
        return "empty"
    if len(text.strip().splitlines()) > 1:
        return "more than one line"
    return "contains a quote or a backslash" if path.name == "mysql_password" and re.search(r"['\"\\]", text) else ""


def _report(name: str, problem: str) -> str:
    return (
        f".secrets/{name}: {problem}; write another password, as one line of letters and digits "
        f"(PowerShell: Set-Content -Encoding ascii .secrets/{name} 'your password')"
    )
