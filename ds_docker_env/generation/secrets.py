"""The secret files of a project: passwords, and logins for package indexes."""

from __future__ import annotations

import os
from pathlib import Path

from ds_docker_env.common.clone import new_secret
from ds_docker_env.common.errors import ProjectError
from ds_docker_env.common.services import WITH_PASSWORD
from ds_docker_env.generation.staging import MISSING, Staging


def write_password(staging: Staging) -> str:
    """Write a random password for the notebook; return the line of the summary."""
    path = Path(".secrets", "jupyter_password")
    password = new_secret(path.name)
    if not write_secret(staging, path, password):
        return f"Password:   unchanged, in {path.as_posix()}"
    return f"Password:   {password.strip()} (shown once; it is in {path.as_posix()})"


def write_service_password(staging: Staging, service: str) -> str:
    """Write a random password for a service; return the line of the summary."""
    path = Path(".secrets", f"{service}_password")
    label = f"{WITH_PASSWORD[service]}:".ljust(11)
    state = "random" if write_secret(staging, path, new_secret(path.name)) else "unchanged"
    return f"{label} {state} password in {path.as_posix()}"


def write_logins(staging: Staging, package_index: str) -> list[str]:
    """Write the logins of all indexes for the image build and `lock`; return the summary's lines."""
    from ds_docker_env.common.logins import LOGINS, as_netrc, logins

    path = LOGINS.as_posix()
    lock = Path("requirements.txt")
    text = (lock if lock.exists() else staging.target / lock).read_text(encoding="utf-8")
    found = logins(f"--index-url {package_index}\n{text}")
    written = write_secret(staging, LOGINS, as_netrc(found))
    said = f"for {', '.join(found)}, copied to {path} for the image build" if written else f"unchanged, in {path}"
    return [f"Logins:     {said}"] if found else []


def write_secret(staging: Staging, path: Path, text: str) -> bool:
    """Write a file that only its owner may read; return False if the project already has it."""
    former = staging.target / path
    if former.is_dir():
        raise ProjectError(f"{path.as_posix()}: is a directory, but a file is expected here; remove it")
    if former.exists() and (former.stat().st_size or not text or staging.mode == MISSING):
        return False
    path.parent.mkdir(mode=0o700, exist_ok=True)
    # In bytes: on Windows, text would get a \r, which databases take for a part of the password.
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(text.encode())
    return True
