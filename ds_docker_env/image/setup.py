"""Gives a new clone a project name of its own, and secrets, which git does not have.

The base image runs this module from the wheel, before the project's image is built, with the standard library alone.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from ds_docker_env.common.clone import SETTINGS, has_name, new_name, new_secret, with_settings

_SECRETS = ".secrets"


def main(arguments: Sequence[str], project: Path = Path("/project")) -> None:
    """Set up the clone of a project of this slug, as the owner of its directory.

    Existing files stay as they are. Exit with one line on stderr if a file cannot be read or written.
    """
    [slug] = arguments
    try:
        become_owner(project)
        compose = (project / "docker-compose.yml").read_text(encoding="utf-8")
        names = dict.fromkeys(re.findall(r"\.secrets/([\w.]+)", compose))
        said = [*_write_name(project, slug), *(line for name in names for line in _write_secret(project, name))]
    except (OSError, UnicodeError) as error:
        where = getattr(error, "filename", None) or project / SETTINGS
        problem = getattr(error, "strerror", None) or "is not UTF-8 text"
        shown = os.path.relpath(where, project)
        if isinstance(error, FileExistsError):
            sys.exit(f"setup: {shown}: is a link or has the wrong type; remove it, and run setup again")
        sys.exit(f"setup: {shown}: {problem}; correct its owner, mode or content, and run setup again")
    print(*said or ["This clone already has a name and secrets."], "Next: docker compose up --build", sep="\n")


def become_owner(project: Path) -> None:
    """Drop all rights that the owner of the project does not have."""
    owner = project.stat()
    # Docker Desktop shows every directory as root's; with a rootless engine, root is the person on the host.
    if sys.platform != "win32" and os.getuid() == 0 and owner.st_uid != 0:
        os.setgroups([])
        os.setgid(owner.st_gid)
        os.setuid(owner.st_uid)


def _write_name(project: Path, slug: str) -> list[str]:
    path = project / SETTINGS
    before = path.read_text(encoding="utf-8-sig") if path.exists() else ""
    if has_name(before):
        return []
    name = new_name(slug)
    if not path.exists():
        # A team's directory is writable for its group.
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
        path.chmod(project.stat().st_mode & 0o666)
    path.write_text(with_settings(before, COMPOSE_PROJECT_NAME=name), encoding="utf-8")
    return [
        f"{SETTINGS}: project name {name}",
        f"{SETTINGS}: to keep volumes of this clone from before 2026.12, set COMPOSE_PROJECT_NAME={slug}",
    ]


def _write_secret(project: Path, name: str) -> list[str]:
    path = project / _SECRETS / name
    if path.exists():
        return []
    path.parent.mkdir(mode=0o700, exist_ok=True)
    content = new_secret(name)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(content)
    kind = f"random password {content.strip()}" if name == "jupyter_password" else "random password"
    without = "created at the first start" if name.endswith(".pem") else "empty"
    return [f"{_SECRETS}/{name}: {kind if content else without}"]


if __name__ == "__main__":
    main(sys.argv[1:])
