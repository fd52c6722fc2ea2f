"""uv: where it is and how it is run."""

from __future__ import annotations

import functools
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from ds_docker_env.common.errors import UvError
from ds_docker_env.common.redaction import excerpt

# uv's explanation of a conflict once had 6 MB.
_KEPT = 20_000
_UNKNOWN = re.compile(r"\A\s*error: (unexpected argument|unrecognized subcommand).{0,80}")


def find() -> list[str]:
    """Return the command for uv: ``$UV`` (set by uvx), uv on PATH, or ``python -m uv``; raise `UvError`."""
    given = os.environ.get("UV") or shutil.which("uv")
    if given:
        return [given]
    if importlib.util.find_spec("uv"):
        return [sys.executable, "-m", "uv"]
    raise UvError("uv is needed to lock production's versions and is not here; install it with: pip install uv")


def run(*arguments: str, folder: Path, seconds: float = 600) -> subprocess.CompletedProcess[str]:
    """Run uv in a folder and return what it said, its middle cut if it is long; raise `UvError`."""
    # Without this uv downloads the very patch release of Python that it locks for.
    done = _call([*find(), *arguments], {"UV_PYTHON_DOWNLOADS": "never"}, seconds=seconds, cwd=folder, stdin="")
    if unknown := _UNKNOWN.search(done.stderr):
        raise UvError(f"uv is too old ({unknown[0]}); install a newer one with: pip install -U uv")
    if len(done.stderr) > _KEPT:
        # The reason of a conflict comes first, that of a failed build last.
        done.stderr = f"{done.stderr[: _KEPT // 2]}\n...\n{done.stderr[-_KEPT // 2 :]}"
    return done


@functools.cache
def version() -> str:
    """Return uv's name and version, such as ``uv 0.9.0``; raise `UvError`."""
    return " ".join(run("--version", folder=Path.cwd()).stdout.split()[:2])


@functools.cache
def cache() -> Path:
    """Return the folder that uv keeps downloads and builds in; raise `UvError`."""
    return Path(run("cache", "dir", folder=Path.cwd()).stdout.strip())


def run_module(module: str, libraries: Mapping[str, str], path: Path, stdin: str, seconds: float) -> str:
    """Run a module of ours with these libraries (import name: requirement) and return what it prints.

    Uses this Python if it happens to have them, else one that uv makes; raise `UvError`.
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
        done = _call([*python, "-m", module], environment, seconds=seconds, cwd=Path.cwd(), stdin=stdin)
        if not done.returncode or "Traceback" in done.stderr:
            break
    if done.returncode:
        said = done.stderr.strip().splitlines()[-1:] or [f"exit code {done.returncode}"]
        raise UvError(
            f"production could not be locked ({excerpt(said[0], 300)}); check the network and the package index"
        )
    return done.stdout


def _call(
    command: list[str], environment: dict[str, str], *, seconds: float, cwd: Path, stdin: str
) -> subprocess.CompletedProcess[str]:
    try:
        done = subprocess.run(
            command,
            cwd=cwd,
            env={**os.environ, **environment},
            input=stdin,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=max(seconds, 1),
            check=False,
        )
    except OSError as error:
        raise UvError(
            f"uv cannot be run ({command[0]}: {error.strerror}); install it with: pip install -U uv"
        ) from None
    except subprocess.TimeoutExpired:
        raise UvError(
            "uv needed too long; what it built is kept, so try once more, or check the package index"
        ) from None
    if done.returncode < 0:
        raise UvError(f"uv was stopped by signal {-done.returncode}; install it again with: pip install -U uv")
    return done
