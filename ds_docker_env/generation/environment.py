"""The .env of a new project: its name for Compose, and another port if JupyterLab's is in use."""

from __future__ import annotations

import re
import socket
from pathlib import Path

from ds_docker_env.common.clone import SETTINGS, has_name, new_name, with_settings
from ds_docker_env.generation.staging import Staging

PORT = 8888
# How many ports to try.
_TRIED = 20
# Until 2026.12 the name was in docker-compose.yml. Volumes have it.
_FORMER_NAME = re.compile(r"^name: \"([a-z0-9][a-z0-9_-]*)\"", re.MULTILINE)
_CHOSEN_PORT = re.compile(r"^[ \t]*PORT[ \t]*=[ \t]*(\d{1,5})", re.MULTILINE)


def write_environment(staging: Staging, slug: str) -> tuple[int, list[str]]:
    """Write .env unless it has a project name; return JupyterLab's port, and the summary's lines."""
    before = Path(SETTINGS).read_text(encoding="utf-8") if Path(SETTINGS).exists() else staging.former(SETTINGS)
    chosen = _CHOSEN_PORT.search(before)
    port, said = int(chosen[1]) if chosen else PORT, list[str]()
    if has_name(before):
        return port, said
    former = _FORMER_NAME.search(staging.former("docker-compose.yml"))
    added = {"COMPOSE_PROJECT_NAME": former[1] if former else new_name(slug)}
    if not (chosen or former) and (port := _free_port()) != PORT:
        added["PORT"] = str(port)
        said = [f"Port:       {port}, in {SETTINGS}, because {PORT} is in use"]
    Path(SETTINGS).write_text(with_settings(before, **added), encoding="utf-8", newline="\n")
    return port, said


def _free_port() -> int:
    """Return the first free port from `PORT` on."""
    for port in range(PORT, PORT + _TRIED):
        try:
            socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            continue
        return port
    return PORT
