"""The directory of a project in its container."""

from __future__ import annotations

import contextlib
import json
import os
import posixpath
import re
import secrets
import shlex
import shutil
import signal
import socket
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from ds_docker_env.common.decoding import decode
from ds_docker_env.common.errors import ProjectError, SourceError
from ds_docker_env.common.logins import LOGINS
from ds_docker_env.common.shipped import BUILD_REQUIREMENTS
from ds_docker_env.common.signals import STOPPING
from ds_docker_env.common.sources import LocalFile

_OWN = (
    *("production.txt", "requirements.in", "requirements.txt", "constraints.txt", "overrides.txt", "tools.txt"),
    BUILD_REQUIREMENTS,
)
PROJECT = Path("/project")
LOCK, REQUIREMENTS = "requirements.txt", "requirements.in"
PRODUCTION, OVERRIDES = "production.txt", "overrides.txt"
# The writer's socket, in a volume that hides .secrets, and its answer if all files were written.
WRITER, WRITTEN = PROJECT / ".secrets" / "socket", "written"
_WRITER_STARTS = 10
# Holds the new files until each has taken its place.
_REPLACING = Path(".~replacing")
# Names to choose from.
_LISTED = 10
_MOUNTED = "# The source is a path in the container that took it over, where its folder was mounted."


def root() -> Path:
    """Return the directory of the project, wherever a command is typed, such as in a notebook of src."""
    return PROJECT if PROJECT.is_dir() else Path.cwd()


def read(name: str) -> str:
    """Return the text of a file of the project; raise `ProjectError`, `SourceError`."""
    path = root() / name
    if not path.exists():
        raise ProjectError(f"{name}: is not in {root()}; restore it from git, or run docker compose in its directory")
    # git stores \n, but an editor may have written \r\n.
    return decode(LocalFile(str(path)).read(), name).replace("\r\n", "\n")


def logins() -> dict[str, str]:
    """Return the variable that names the project's logins, if there are any and it is not set."""
    path = root() / LOGINS
    # A notebook cannot look into .secrets; `start` names a copy for commands of the host.
    if "NETRC" in os.environ or not os.access(path, os.R_OK) or not path.stat().st_size:
        return {}
    return {"NETRC": str(path)}


def named_source(production: str, command: str) -> str:
    """Return the location that production.txt names, for `source_of`; raise `ProjectError` if it is missing.

    Raise `SourceError` if it cannot be read here.
    """
    found = source(production)
    if re.search(r"[?&;=]\.\.\.", found):
        raise SourceError(f"{found}: ... stands for a value that may be a secret and was not kept; use the full URL")
    return visible(found, command, mounted=_MOUNTED in production)


def source(production: str) -> str:
    """Return the source that production.txt names; raise `ProjectError` if it is missing."""
    found = re.search(r"^# source: (\S.*?)\s*$", production, re.MULTILINE)
    if not found:
        raise ProjectError("production.txt: lacks a line that begins with # source:; restore it from git")
    return found[1]


def with_source(production: str, location: str) -> str:
    """Return production.txt with a note if its source is a path in the container."""
    return production.replace("\n\n", f"\n{_MOUNTED}\n\n", 1) if location.startswith("/") else production


def visible(location: str, command: str, *, mounted: bool = False) -> str:
    """Return a location for `source_of` if it can be read here; ``mounted`` if it was mounted before.

    Raise `SourceError` for the project's own files, and with a command that mounts a file on the host.
    """
    if location == "standard input":
        raise SourceError(f"{location}: cannot be read again; pipe the file into: {command} -")
    if location.startswith("image:"):
        image = quoted(location.removeprefix("image:"))
        raise SourceError(
            f"{location}: cannot be read in a container; on the host, run: docker run --rm --entrypoint python "
            f"{image} -m pip freeze | {_run(command)} -T jupyter {command} -"
        )
    if location == "-" or "://" in location or location.startswith("git+"):
        return location
    path = posixpath.normpath(location)
    inside = posixpath.relpath(path)
    if inside in _OWN:
        raise SourceError(f"{location}: is a file of this project; use production's file")
    if os.path.exists(path) or not inside.startswith(".."):
        return path if inside.startswith("..") else inside
    folder, name = posixpath.split(path)
    if folder == "/":
        raise SourceError(f"{location}: is not in this container; mount its directory, and use the file's path there")
    if Path(folder).is_dir():
        held = sorted(found.name for found in Path(folder).iterdir())[:_LISTED]
        advice = f"choose a file in {folder}: {', '.join(held)}" if held else f"{folder} is empty; check --volume"
        raise SourceError(f"{location}: no such file; {advice}")
    known = folder.startswith("/") and not mounted
    host, where = (folder, "") if known else ("DIRECTORY", " (DIRECTORY: the full path of its directory)")
    here = folder if folder.startswith("/") else f"/{posixpath.basename(folder).strip('.') or 'production'}"
    raise SourceError(
        f"{location}: is not in this container; to mount it, run on the host{where}: "
        f'{_run(command)} --volume "{host}:{here}:ro" jupyter {command} "{here}/{name}"'
    )


def on_host(command: str, *words: str, location: str = "") -> str:
    """Return the command for the host; a location outside the project is mounted again, from a path DIRECTORY."""
    run = _run(command)
    if location == "-":
        run += " -T"
    elif location.startswith("/"):
        run += f' --volume "DIRECTORY:{posixpath.dirname(location)}:ro"'
    return " ".join([run, "jupyter", command, *map(quoted, words)])


def quoted(word: str) -> str:
    """Return a word for a shell, in double quotes, because cmd does not know others."""
    if not word or re.search(r"[^\w@%+=:,./-]", word):
        return shlex.quote(word) if re.search(r'["$`\\]', word) else f'"{word}"'
    return word


def _run(command: str) -> str:
    # Other commands need the service writer.
    return "docker compose run --rm" + (" --no-deps" if command == "check" else "")


def writable() -> None:
    """Raise `ProjectError` if files cannot be replaced in the project directory."""
    if has_writer():
        write({})
        return
    if sys.platform != "win32" and not os.access(".", os.W_OK | os.X_OK):
        raise ProjectError(
            f"{Path.cwd()}: cannot be written by user {os.getuid()}; run docker compose in a directory that "
            "you own and that is not read-only"
        )


def has_writer() -> bool:
    """Say whether this container sees the project read-only, and the service ``writer`` writes for it."""
    folder, mounts = WRITER.parent, Path("/proc/self/mounts")
    return mounts.exists() and f" {folder} " in mounts.read_text(encoding="utf-8") and not os.access(folder, os.W_OK)


def write(files: Mapping[str, str]) -> None:
    """Let the service ``writer`` replace these files; raise `ProjectError`."""
    if sys.platform == "win32":
        return
    deadline = time.monotonic() + _WRITER_STARTS
    with socket.socket(socket.AF_UNIX) as connection:
        while True:
            try:
                connection.connect(str(WRITER))
                break
            except OSError:
                if time.monotonic() > deadline:
                    raise ProjectError(
                        f"{PROJECT}: the service writer, which writes here, is not running; run: "
                        "docker compose up --detach writer"
                    ) from None
                time.sleep(0.1)
        try:
            connection.sendall(json.dumps(files).encode())
            connection.shutdown(socket.SHUT_WR)
            answer = connection.makefile(encoding="utf-8").read()
        except OSError as error:
            answer = f"{PROJECT}: the service writer has stopped ({error.strerror}); run the command again"
    if answer != WRITTEN:
        raise ProjectError(*(answer.splitlines() or [f"{PROJECT}: the service writer did not answer; run it again"]))


def replace(files: Mapping[str, str]) -> None:
    """Write all these files and remove those without text, or raise `ProjectError` and change nothing.

    If the process is killed meanwhile, files are `half_replaced`, and `finish` does the rest.
    """
    if has_writer():
        write(files)
        return
    new = Path(f"{_REPLACING}-{secrets.token_hex(4)}")
    try:
        before = {name: Path(name).read_bytes() for name in files if Path(name).exists()}
        try:
            new.mkdir()
            for name, text in files.items():
                with (new / name).open("x", encoding="utf-8", newline="\n") as file:
                    file.write(text)
                    file.flush()
                    os.fsync(file.fileno())
                if name in before:
                    (new / name).chmod(Path(name).stat().st_mode)
            new.rename(_REPLACING)
        except BaseException:
            shutil.rmtree(new, ignore_errors=True)
            raise
        # The rest takes milliseconds and must not stop halfway.
        for interruption in STOPPING:
            signal.signal(interruption, signal.SIG_IGN)
        try:
            finish()
        except BaseException:
            for name in files:
                with contextlib.suppress(OSError):
                    Path(name).unlink(missing_ok=True)
                    if name in before:
                        Path(name).write_bytes(before[name])
            shutil.rmtree(_REPLACING, ignore_errors=True)
            raise
    except OSError as error:
        raise ProjectError(
            f"{error.filename or 'the project'}: cannot be written ({error.strerror}); "
            "check the directory, its owner and the free disk space"
        ) from None


def half_replaced() -> bool:
    """Say whether a `replace` was killed after it had written all its files."""
    return (root() / _REPLACING).is_dir()


def finish() -> None:
    """Finish a `replace` that was killed, or remove its new files if some are missing."""
    project = root()
    if has_writer():
        if any(project.glob(f"{_REPLACING}*")):
            write({})
        return
    for unfinished in project.glob(f"{_REPLACING}-*"):
        shutil.rmtree(unfinished, ignore_errors=True)
    written = project / _REPLACING
    # In a read-only project, removing a missing directory is an error, too.
    if not written.is_dir():
        return
    for new in sorted(written.iterdir()):
        if new.stat().st_size:
            new.replace(project / new.name)
        else:
            (project / new.name).unlink(missing_ok=True)
            new.unlink()
    with contextlib.suppress(FileNotFoundError):
        written.rmdir()
