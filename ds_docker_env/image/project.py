"""The folder of a project, as its container sees it."""

from __future__ import annotations

import contextlib
import os
import posixpath
import re
import shlex
import signal
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from ds_docker_env.common.decoding import decode
from ds_docker_env.common.errors import ProjectError, SourceError
from ds_docker_env.common.sources import LocalFile

_OWN = ("production.txt", "requirements.in", "requirements.txt", "constraints.txt", "overrides.txt", "tools.txt")
# Names to choose from.
_LISTED = 10
_RUN = "docker compose run --rm --no-deps"
_MOUNTED = "# The source is a path in the container that took it over, where its folder was mounted."


def read(name: str) -> str:
    """Return the text of a file of the project; raise `ProjectError`, `SourceError`."""
    if not Path(name).exists():
        raise ProjectError(
            f"{name}: is not in {Path.cwd()}; get it back from git, or begin with docker compose run in its folder"
        )
    return decode(LocalFile(name).read(), name)


def named_source(production: str, command: str) -> str:
    """Return the location that production.txt names, for `source_of`; raise `ProjectError` if it names none.

    Raise `SourceError` where it cannot be looked at from here.
    """
    found = re.search(r"^# source: (\S.*?)\s*$", production, re.MULTILINE)
    if not found:
        raise ProjectError("production.txt: has no line that begins with # source:; name production's file")
    if re.search(r"[?&;=]\.\.\.", found[1]):
        raise SourceError(
            f"{found[1]}: the value in place of ... may be a secret, so it is not kept; name the whole URL"
        )
    return visible(found[1], command, mounted=_MOUNTED in production)


def with_source(production: str, location: str) -> str:
    """Return production.txt with a note if its source is a path that means nothing on the host."""
    return production.replace("\n\n", f"\n{_MOUNTED}\n\n", 1) if location.startswith("/") else production


def visible(location: str, command: str, *, mounted: bool = False) -> str:
    """Return a location for `source_of` if it can be looked at from here; ``mounted`` if it was by a mount before.

    Raise `SourceError` with the way to bring it in where it is on the host, and for the project's own files.
    """
    if location == "standard input":
        raise SourceError(f"{location}: is gone, because it was piped in; pipe it in again, to {command} -")
    if location.startswith("image:"):
        image = shlex.quote(location.removeprefix("image:"))
        raise SourceError(
            f"{location}: a container cannot look into an image; run on the host: docker run --rm --entrypoint python "
            f"{image} -m pip freeze | {_RUN} -T jupyter {command} -"
        )
    if location == "-" or "://" in location or location.startswith("git+"):
        return location
    path = posixpath.normpath(location)
    inside = posixpath.relpath(path)
    if inside in _OWN:
        raise SourceError(f"{location}: is this project's own; name production's file")
    if os.path.exists(path) or not inside.startswith(".."):
        return path if inside.startswith("..") else inside
    folder, name = posixpath.split(path)
    if folder == "/":
        raise SourceError(f"{location}: is not in this container; mount the folder that holds it, and name it there")
    if Path(folder).is_dir():
        held = sorted(found.name for found in Path(folder).iterdir())[:_LISTED]
        raise SourceError(
            f"{location}: no such file; {folder} holds {', '.join(held) or 'nothing, so look at --volume'}"
        )
    host = "FOLDER" if mounted else folder if folder.startswith("/") else f"$PWD/{folder}"
    here = folder if folder.startswith("/") else f"/{posixpath.basename(folder).strip('.') or 'production'}"
    raise SourceError(
        f"{location}: is not in this container, which sees the project folder only; bring it in from the host: "
        f'{_RUN} --volume "{host}:{here}:ro" jupyter {command} {shlex.quote(f"{here}/{name}")}'
    )


def writable() -> None:
    """Raise `ProjectError` if files cannot be replaced in the project folder."""
    if sys.platform != "win32" and not os.access(".", os.W_OK | os.X_OK):
        raise ProjectError(
            f"{Path.cwd()}: cannot be written by user {os.getuid()}; start the container with docker compose run "
            "from a folder of yours that is not read-only"
        )


def replace(files: Mapping[str, str]) -> None:
    """Write all these files and remove those without text, or leave each as it is and raise `ProjectError`."""
    try:
        before = {name: Path(name).read_bytes() for name in files if Path(name).exists()}
        with tempfile.TemporaryDirectory(prefix=".taking-over-", dir=".") as folder:
            written = [name for name, text in files.items() if text]
            for name in written:
                Path(folder, name).write_text(files[name], encoding="utf-8", newline="\n")
                if Path(name).exists():
                    Path(folder, name).chmod(Path(name).stat().st_mode)
            # From here it is a matter of milliseconds, and half would be worse than all.
            for interruption in (signal.SIGINT, signal.SIGTERM):
                signal.signal(interruption, signal.SIG_IGN)
            try:
                for name in written:
                    Path(folder, name).replace(name)
                for name in files.keys() - written:
                    Path(name).unlink(missing_ok=True)
            except BaseException:
                for name in files:
                    with contextlib.suppress(OSError):
                        Path(name).unlink(missing_ok=True)
                        if name in before:
                            Path(name).write_bytes(before[name])
                raise
    except OSError as error:
        raise ProjectError(
            f"{error.filename or 'the project folder'}: cannot be written ({error.strerror}); "
            "check the folder, its owner and the space on the disk"
        ) from None
