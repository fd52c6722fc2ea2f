"""Finding and running uv."""

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
from urllib.parse import urlsplit

from ds_docker_env.common.certificates import ADVICE, untrusted
from ds_docker_env.common.errors import UvError
from ds_docker_env.common.progress import Say
from ds_docker_env.common.redaction import excerpt
from ds_docker_env.common.signals import STOPPED

# Otherwise uv downloads the exact patch release of Python for which it locks.
ENVIRONMENT = {"UV_PYTHON_DOWNLOADS": "never"}
# One explanation of a conflict had 6 MB.
_KEPT = 20_000
_UNKNOWN = re.compile(
    r"\A\s*error: (unexpected argument|unrecognized subcommand|invalid value '\S+=false' for '--exclude-newer).{0,80}"
)
_URL = re.compile(r"https?://[^\s`'\")]+")
_FULL = re.compile(r"(?:`([^`]+)`: )?(?:No space left on device|Disk quota exceeded)")
# Begins a line with the step of a module.
STEP = "step: "
# Seconds for a module and its processes to stop.
_GRACE = 5


def find() -> list[str]:
    """Return the command for uv: ``$UV`` (set by uvx), uv on PATH, or ``python -m uv``; raise `UvError`."""
    given = os.environ.get("UV") or shutil.which("uv")
    if given:
        return [given]
    if importlib.util.find_spec("uv"):
        return [sys.executable, "-m", "uv"]
    raise UvError("uv: not installed, but needed to lock production's versions; run: pip install uv")


def run(*arguments: str, folder: Path, seconds: float = 600) -> subprocess.CompletedProcess[str]:
    """Run uv in a directory and return its result; raise `UvError`."""
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
        raise UvError(f"uv: did not answer within {seconds:g} s; run: pip install -U uv") from None
    return checked(done)


def checked(done: subprocess.CompletedProcess[str]) -> subprocess.CompletedProcess[str]:
    """Return uv's result, with a long stderr cut; raise `UvError` if uv is old or killed, or the disk is full."""
    if done.returncode < 0:
        raise UvError(f"uv: stopped by signal {-done.returncode}; run: pip install -U uv")
    if done.returncode and (full := _FULL.search(done.stderr)):
        raise UvError(f"{full[1] or 'uv'}: no space left on device; free disk space, then run it again")
    if unknown := _UNKNOWN.search(done.stderr):
        raise UvError(f"uv: is too old ({unknown[0]}); run: pip install -U uv")
    if len(done.stderr) > _KEPT:
        # The reason of a conflict comes first, that of a failed build last.
        done.stderr = f"{done.stderr[: _KEPT // 2]}\n...\n{done.stderr[-_KEPT // 2 :]}"
    return done


def not_runnable(command: list[str], error: OSError) -> UvError:
    """Return the error for a uv that the system cannot start."""
    return UvError(f"uv: cannot be run ({command[0]}: {error.strerror}); run: pip install -U uv")


@functools.cache
def version() -> str:
    """Return uv's name and version, such as ``uv 0.9.0``; raise `UvError`."""
    return " ".join(run("--version", folder=Path.cwd()).stdout.split()[:2])


@functools.cache
def cache() -> Path:
    """Return uv's cache directory; raise `UvError`."""
    return Path(run("cache", "dir", folder=Path.cwd()).stdout.strip())


def run_module(module: str, libraries: Mapping[str, str], path: Path, stdin: str, say: Say) -> str:
    """Run a module of this package with these libraries (import name: requirement) and return its output.

    Use this Python if it has them, else one that uv makes. ``say`` gets the lines of standard error that begin with
    `STEP`. The module has to stop when its standard error is closed. Raise `UvError`.
    """
    uv = find()
    pythons = [[sys.executable]]
    if not all(importlib.util.find_spec(library) for library in libraries):
        wanted = [part for requirement in libraries.values() for part in ("--with", requirement)]
        made = ["--quiet", "--isolated", "--no-project", "--python", sys.executable, *wanted, "python"]
        # First offline, as uv's cache may have all of them.
        pythons = [[*uv, "run", "--offline", *made], [*uv, "run", *made]]
    environment = {"PYTHONPATH": str(path), "PYTHONIOENCODING": "utf-8"}
    for python in pythons:
        done = _converse([*python, "-m", module], environment, stdin, say)
        if done.returncode == STOPPED:
            # The module may have got the signal first.
            raise KeyboardInterrupt
        if not done.returncode or "Traceback" in done.stderr:
            break
        say("downloading libraries")
    if done.returncode:
        why = reason(done.stderr) or f"exit code {done.returncode}"
        advice = ADVICE if untrusted(done.stderr) else "check the network and the package index"
        raise UvError(f"production could not be locked ({excerpt(why, 300)}); {advice}")
    return done.stdout


def reason(said: str) -> str:
    """Return the last line of a program's messages, which is the cause of an error, with the host if there is one."""
    lines = said.strip().splitlines()
    last = lines[-1].strip().removeprefix("cause: ") if lines else ""
    found = _URL.search(said)
    host = urlsplit(found[0]).hostname if found else ""
    return f"{host}: {last}" if host and host not in last else last


def _converse(
    command: list[str], environment: dict[str, str], stdin: str, say: Say
) -> subprocess.CompletedProcess[str]:
    """Run a command without a time limit: uv limits each request, and the module limits itself."""
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
