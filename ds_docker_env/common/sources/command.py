"""Running git and Docker with limits on time and output."""

from __future__ import annotations

import contextlib
import math
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from ds_docker_env.common.sources.interface import MAX_BYTES

PROTOCOLS = ("file", "http", "https", "ssh", "git")
# Variables that git sets in hooks; they would point git at the wrong repository.
_OF_A_REPOSITORY = (
    *("GIT_DIR", "GIT_COMMON_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_NAMESPACE"),
    *("GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_SHALLOW_FILE", "GIT_GRAFT_FILE", "GIT_PREFIX", "GIT_QUARANTINE_PATH"),
)


class TooLargeError(Exception):
    """A command wrote too much."""


class Folder(NamedTuple):
    """A directory that a command writes into, with its limit in bytes."""

    path: Path
    most: int

    def overflows(self) -> bool:
        """Say whether it exceeds the limit; files may change meanwhile."""
        size = 0
        for directory, _, files in os.walk(self.path):
            for name in files:
                with contextlib.suppress(OSError):
                    size += os.lstat(os.path.join(directory, name)).st_size
        return size > self.most


def run(
    command: list[str],
    *,
    seconds: float,
    environment: Mapping[str, str],
    stdin: bytes = b"",
    longest: float = math.inf,
    folder: Folder | None = None,
) -> subprocess.CompletedProcess[bytes]:
    """Run a command in a process group, killed after so many seconds without output, or after 10 MB of output.

    It is killed after ``longest`` seconds in any case. Raise `subprocess.TimeoutExpired`, `OSError`, or `TooLargeError`
    if its ``folder`` overflows.
    """
    began = time.monotonic()
    deadline = began + min(seconds, longest)
    # Files, because a process that outlives the command (ssh's ControlPersist) would keep a pipe open.
    with contextlib.ExitStack() as stack:
        given, out, err = (stack.enter_context(tempfile.TemporaryFile()) for _ in range(3))
        given.write(stdin)
        given.seek(0)
        process = subprocess.Popen(
            command, stdin=given, stdout=out, stderr=err, env=dict(environment), start_new_session=True
        )
        pause, said = 0.001, [0, 0]
        try:
            while process.poll() is None:
                before, said = said, [os.fstat(file.fileno()).st_size for file in (out, err)]
                if said != before:
                    deadline = min(time.monotonic() + seconds, began + longest)
                if time.monotonic() > deadline:
                    raise subprocess.TimeoutExpired(command, seconds)
                if max(said) > MAX_BYTES + 1000:
                    break
                if folder and folder.overflows():
                    raise TooLargeError
                time.sleep(pause)
                pause = min(pause * 1.5, 0.05)
        finally:
            if process.poll() is None:
                _stop(process)
        out.seek(0)
        err.seek(0)
        if folder and folder.overflows():
            raise TooLargeError
        # It may have written much more before it was killed.
        said_at_last = [file.read(MAX_BYTES + 1000) for file in (out, err)]
        return subprocess.CompletedProcess(command, process.returncode, *said_at_last)


def run_git(*arguments: str, seconds: float = 10, variables: Mapping[str, str] | None = None) -> str | None:
    """Return the output of git, with these additional variables, or None if git fails or is missing."""
    try:
        done = run(["git", *arguments], seconds=seconds, environment={**git_environment(), **(variables or {})})
    except (OSError, subprocess.TimeoutExpired):
        return None
    return None if done.returncode else os.fsdecode(done.stdout).strip()


def git_environment() -> dict[str, str]:
    """Return an environment in which git does not prompt, speaks English and finds its repository by itself."""
    kept = {name: value for name, value in os.environ.items() if name not in (*_OF_A_REPOSITORY, "SSH_ASKPASS")}
    fixed = {"GIT_TERMINAL_PROMPT": "0", "GIT_ALLOW_PROTOCOL": ":".join(PROTOCOLS), "LC_ALL": "C", "LANGUAGE": "C"}
    return {**kept, **fixed}


def _stop(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if sys.platform == "win32":
            process.kill()
        else:
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()
