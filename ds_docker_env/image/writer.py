"""Writes the files at the root of a project for commands in containers that see it read-only.

Debian's Python runs this module from the wheel in a container of its own, so that code of packages cannot interfere.
The writer listens on a socket in a volume. A request is a JSON object of names and texts, which the client ends by
closing its side; the answer is `WRITTEN` or the problem.
"""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import sys
from collections.abc import Mapping
from pathlib import Path

from ds_docker_env.common.errors import GenerationError, ProjectError
from ds_docker_env.common.settings import BEGIN, END
from ds_docker_env.image import passwords, project
from ds_docker_env.image.setup import become_owner

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

NAMES = {
    *("requirements.in", "requirements.txt", "build-requirements.txt"),
    *("production.txt", "constraints.txt", "overrides.txt", "uv.toml"),
}
_PASSWORD = re.compile(r"\.secrets/([a-z0-9_]+)_password")
_BYTES = 20_000_000
# For one request.
SECONDS = 10
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
# The only keys that commands may write, because uv on the host reads this file, too.
_KEYS = {"build-constraint-dependencies", "extra-build-dependencies", "dependency-metadata"}
_REQUIREMENT = re.compile(r"[\w.,<>=!~*\[\] -]*")


def main(path: Path = Path("/run/writer/socket"), folder: Path = project.PROJECT) -> None:
    """Answer requests for a project one after the other, as its owner.

    Each request has a process of its own, with `SECONDS` to read it.
    """
    if sys.platform == "win32":
        return
    # The first process of a container ignores a signal without a handler.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(128 + signal.SIGTERM))
    path.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        path.chmod(0o666)
        server.listen()
        become_owner(folder)
        if folder.stat().st_mode & 0o020:
            # A team's directory is writable for its group, and so are its files.
            os.umask(0o002)
        os.chdir(folder)
        while True:
            connection, _ = server.accept()
            with connection:
                if not os.fork():
                    signal.alarm(SECONDS)
                    os._exit(_serve(connection))
                os.wait()


def _serve(connection: socket.socket) -> int:
    if sys.platform == "win32":
        return 1
    try:
        request = connection.makefile("rb").read(_BYTES + 1)
        signal.alarm(6 * SECONDS)
        answer = answered(request)
        signal.alarm(SECONDS)
        connection.sendall(answer.encode())
    except OSError as error:
        print(f"writer: {error}", file=sys.stderr, flush=True)
    return 0


def answered(request: bytes) -> str:
    """Write the files of a request into the working directory; return `WRITTEN`, or the problem and write nothing."""
    try:
        files = json.loads(request) if len(request) <= _BYTES else None
        if not isinstance(files, dict) or not all(isinstance(text, str) for text in files.values()):
            raise ProjectError(f"writer: invalid request; send an object of names and texts, at most {_BYTES:,} bytes")
        if problems := [f"{name}: {problem}" for name, text in files.items() if (problem := _problem(name, text))]:
            raise ProjectError(*problems)
        project.finish()
        project.writable()
        for name in filter(_PASSWORD.fullmatch, files):
            passwords.write(Path(name), files[name].encode())
        project.replace({name: text for name, text in files.items() if name in NAMES})
    except GenerationError as error:
        return "\n".join(error.problems)
    except (OSError, ValueError, RecursionError) as error:
        return f"writer: {error}"
    return project.WRITTEN


def _problem(name: str, text: str) -> str:
    """Return why a file is not written, or nothing."""
    secret = _PASSWORD.fullmatch(name)
    if name not in NAMES and not secret:
        return "is not a file that commands write"
    path = Path(name)
    if any(each.is_symlink() for each in (path, path.parent)) or (path.exists() and not path.is_file()):
        return "is a link or a directory, but a file is expected here; remove it"
    if _CONTROL.search(text):
        return "contains an unprintable character"
    if secret:
        return passwords.problem(text.removesuffix("\n"), secret[1])
    return _changed_settings(path, text) if name == "uv.toml" else ""


def _changed_settings(path: Path, text: str) -> str:
    before = path.read_text(encoding="utf-8") if path.exists() else ""
    if _parts(text)[1] != _parts(before)[1]:
        return "commands change only settings of ds-docker-env; edit your own settings on the host"
    block = tomllib.loads(_parts(text)[0])
    return "" if block.keys() <= _KEYS and _plain(block) else "contains settings that ds-docker-env does not write"


def _parts(text: str) -> tuple[str, str]:
    """Return the block that commands write in a uv.toml, and the user's own settings after it."""
    block, _, own = text.partition(f"{END}\n") if text.startswith(BEGIN) else ("", "", text)
    return block, own


def _plain(value: object) -> bool:
    """Say whether all texts in a value are names and versions, so neither addresses nor paths."""
    if isinstance(value, Mapping):
        return all(map(_plain, (*value.keys(), *value.values())))
    return all(map(_plain, value)) if isinstance(value, list) else bool(_REQUIREMENT.fullmatch(str(value)))


if __name__ == "__main__":
    main()
