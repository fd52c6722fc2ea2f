"""Debian's image registry on 127.0.0.1, which Docker reaches without TLS."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from docker.conftest import missing
from docker.project import ask, eventually, free_port

SETTINGS = """\
version: 0.1
storage: {{filesystem: {{rootdirectory: {folder}}}}}
http: {{addr: "{address}"}}
"""
LOGIN = "auth: {{htpasswd: {{realm: registry, path: {file}}}}}\n"


@contextmanager
def registry(folder: Path, login: str = "") -> Iterator[str]:
    """Start an empty registry; with a login, a line of htpasswd with bcrypt, it asks for it."""
    program = shutil.which("docker-registry")
    if program is None:
        missing("no registry: docker-registry is not a command")
    address = f"127.0.0.1:{free_port()}"
    settings = SETTINGS.format(folder=folder / "registry", address=address)
    if login:
        (folder / "login").write_text(login, encoding="utf-8")
        settings += LOGIN.format(file=folder / "login")
    (folder / "registry.yml").write_text(settings, encoding="utf-8")
    with subprocess.Popen([program, "serve", str(folder / "registry.yml")], stderr=subprocess.DEVNULL) as process:
        try:
            eventually(lambda: ask(f"http://{address}/v2/").status in (200, 401), "the registry answers")
            yield address
        finally:
            process.kill()
