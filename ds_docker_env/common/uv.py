"""uv: where it is and how it is run."""

from __future__ import annotations

import functools
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from ds_docker_env.common.certificates import ADVICE, untrusted
from ds_docker_env.common.errors import UvError
from ds_docker_env.common.progress import Say
from ds_docker_env.common.redaction import excerpt
from ds_docker_env.common.signals import STOPPED

# Otherwise uv downloads the very patch release of Python that it locks for.
ENVIRONMENT = {"UV_PYTHON_DOWNLOADS": "never"}
# uv's explanation of a conflict once had 6 MB.
_KEPT = 20_000
_UNKNOWN = re.compile(
    r"\A\s*error: (unexpected argument|unrecognized subcommand|invalid value '\S+=false' for '--exclude-newer).{0,80}"
)
_FULL = re.compile(r"(?:`([^`]+)`: )?(?:No space left on device|Disk quota exceeded)")
# What begins a line that says what a module is doing.
STEP = "step: "
# Seconds for a module to stop, and all that it has started.
_GRACE = 5


def find() -> list[str]:
    """Return the command for uv: ``$UV`` (set by uvx), uv on PATH, or ``python -m uv``; raise `UvError`."""
    given = os.environ.get("UV") or shutil.which("uv")
    if given:
        return [given]
    if importlib.util.find_spec("uv"):
        return [sys.executable, "-m", "uv"]
    raise UvError("uv is needed to lock production's versions and is not here; install it with: pip install uv")


def run(*arguments: str, folder: Path, seconds: float = 600) -> subprocess.CompletedProcess[str]:
    """Run uv in a folder, for a short answer, and return what it said; raise `UvError`."""
    command = [*find(), *arguments]
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env={**os.environ, **ENVIRONMENT},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=seconds,
            check=False,
        )
    except OSError as error:
        raise not_runnable(command, error) from None
    except subprocess.TimeoutExpired:
        raise UvError(f"uv did not answer within {seconds:g} s; install it again with: pip install -U uv") from None
    return checked(done)


def checked(done: subprocess.CompletedProcess[str]) -> subprocess.CompletedProcess[str]:
    """Return what uv said, its middle cut if it is long; raise `UvError` if it is old, was stopped or had no space."""
    if done.returncode < 0:
        raise UvError(f"uv was stopped by signal {-done.returncode}; install it again with: pip install -U uv")
    if done.returncode and (full := _FULL.search(done.stderr)):
        raise UvError(f"{full[1] or 'uv'}: no space left on device; free disk space, then run it again")
    if unknown := _UNKNOWN.search(done.stderr):
        raise UvError(f"uv is too old ({unknown[0]}); install a newer one with: pip install -U uv")
    if len(done.stderr) > _KEPT:
        # The reason of a conflict comes first, that of a failed build last.
        done.stderr = f"{done.stderr[: _KEPT // 2]}\n...\n{done.stderr[-_KEPT // 2 :]}"
    return done


def not_runnable(command: list[str], error: OSError) -> UvError:
    """Return what to say when the system cannot start uv."""
    return UvError(f"uv cannot be run ({command[0]}: {error.strerror}); install it with: pip install -U uv")


@functools.cache
def version() -> str:
    """Return uv's name and version, such as ``uv 0.9.0``; raise `UvError`."""
    return " ".join(run("--version", folder=Path.cwd()).stdout.split()[:2])


@functools.cache
def cache() -> Path:
    """Return the folder that uv keeps downloads and builds in; raise `UvError`."""
    return Path(run("cache", "dir", folder=Path.cwd()).stdout.strip())


def run_module(module: str, libraries: Mapping[str, str], path: Path, stdin: str, say: Say) -> str:
    """Run a module of ours with these libraries (import name: requirement) and return what it prints.

    Uses this Python if it happens to have them, else one that uv makes. ``say`` gets the lines of its standard error
    that begin with `STEP`; when nobody reads these any more, the module has to stop. Raise `UvError`.
    """
    uv = find()
    pythons = [[sys.executable]]
    if not all(importlib.util.find_spec(library) for library in libraries):
        wanted = [part for requirement in libraries.values() for part in ("--with", requirement)]
        made = ["--quiet", "--isolated", "--no-project", "--python", sys.executable, *wanted, "python"]
        # Without asking an index what is new, if all is here already.
        pythons = [[*uv, "run", "--offline", *made], [*uv, "run", *made]]
    environment = {"PYTHONPATH": str(path), "PYTHONIOENCODING": "utf-8"}
    for python in pythons:
        done = _converse([*python, "-m", module], environment, stdin, say)
        if done.returncode == STOPPED:
            # It may have had the signal before this process.
            raise KeyboardInterrupt
        if not done.returncode or "Traceback" in done.stderr:
            break
        say("downloading libraries")
    if done.returncode:
        said = done.stderr.strip().splitlines()[-1:] or [f"exit code {done.returncode}"]
        advice = ADVICE if untrusted(done.stderr) else "check the network and the package index"
        raise UvError(f"production could not be locked ({excerpt(said[0], 300)}); {advice}")
    return done.stdout


def _converse(
    command: list[str], environment: dict[str, str], stdin: str, say: Say
) -> subprocess.CompletedProcess[str]:
    """Run a command without a time limit, as uv has one for each answer of an index, and the module for itself."""
    said = []
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as stdout:
        given.write(stdin.encode())
        given.seek(0)
        try:
            process = subprocess.Popen(
                command,
                env={**os.environ, **environment},
                stdin=given,
                stdout=stdout,
                stderr=subprocess.PIPE,
                encoding="utf-8",
                errors="replace",
            )
        except OSError as error:
            raise not_runnable(command, error) from None
        try:
            for line in process.stderr or ():
                if line.startswith(STEP):
                    say(line.removeprefix(STEP).strip())
                else:
                    said.append(line)
        finally:
            _end(process)
        stdout.seek(0)
        answer = stdout.read().decode(errors="replace")
    return checked(subprocess.CompletedProcess(command, process.returncode, answer, "".join(said)))


def _end(process: subprocess.Popen[str]) -> None:
    if process.stderr:
        process.stderr.close()
    try:
        process.wait(_GRACE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
