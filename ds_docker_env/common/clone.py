"""The files of a clone that git ignores: its project name in .env, and its secrets."""

from __future__ import annotations

import re
import secrets

SETTINGS = ".env"
_NAME = re.compile(r"^[ \t]*(?:export[ \t]+)?COMPOSE_PROJECT_NAME[ \t]*=[ \t]*[\"']?[a-z0-9]", re.MULTILINE)


def new_name(slug: str) -> str:
    """Return a project name for Compose that is unique to this clone."""
    return f"{slug}-{secrets.token_hex(3)}"


def has_name(settings: str) -> bool:
    """Say whether the text of a .env sets a project name."""
    return bool(_NAME.search(settings))


def with_settings(settings: str, **added: str) -> str:
    """Return the text of a .env with these settings appended."""
    before = settings or "# Settings of this directory for Docker Compose, outside of git.\n"
    return before + "\n" * (not before.endswith("\n")) + "".join(f"{name}={value}\n" for name, value in added.items())


def new_secret(name: str) -> str:
    """Return the content of a new secret: a random password, or a blank for logins, which a user writes."""
    if not name.endswith("_password"):
        return ""
    # Users type the notebook's password into a browser.
    return secrets.token_urlsafe(12 if name == "jupyter_password" else 24) + "\n"
