"""Running git and Docker so that they can neither hang nor flood."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping

from ds_docker_env.common.sources.interface import MAX_BYTES

PROTOCOLS = ("file", "http", "https", "ssh", "git")
# A hook of git's that runs this template would point git at its own repository.
_OF_A_REPOSITORY = (
    *("GIT_DIR", "GIT_COMMON_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_NAMESPACE"),
    *("GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_SHALLOW_FILE", "GIT_GRAFT_FILE", "GIT_PREFIX", "GIT_QUARANTINE_PATH"),
)


def run(
    command: list[str], *, seconds: float, environment: Mapping[str, str], stdin: bytes = b""
) -> subprocess.CompletedProcess[bytes]:
    """Run a command with all that it starts, stopped when it says nothing for so many seconds, or more than 10 MB.

    Raise `subprocess.TimeoutExpired` or `OSError`.
    """
    deadline = time.monotonic() + seconds
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
                    deadline = time.monotonic() + seconds
                if time.monotonic() > deadline:
                    raise subprocess.TimeoutExpired(command, seconds)
                if max(said) > MAX_BYTES + 1000:
                    break
                time.sleep(pause)
                pause = min(pause * 1.5, 0.05)
        finally:
            if process.poll() is None:
                _stop(process)
        out.seek(0)
        err.seek(0)
        return subprocess.CompletedProcess(command, process.returncode, out.read(), err.read())


def run_git(*arguments: str, seconds: float = 10) -> str | None:
    """Return what git says, or nothing if it fails or is missing."""
    try:
        done = run(["git", *arguments], seconds=seconds, environment=git_environment())
    except (OSError, subprocess.TimeoutExpired):
        return None
    return None if done.returncode else os.fsdecode(done.stdout).strip()


def git_environment() -> dict[str, str]:
    """Return an environment in which git asks nothing, speaks English and knows no repository but ours."""
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
