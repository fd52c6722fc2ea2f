"""uv: where it is and how it is run."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

from ds_docker_env.errors import UvError

# uv's explanation of a conflict once had 6 MB.
_KEPT = 20_000


def find() -> list[str]:
    """Return the command for uv: ``$UV`` (set by uvx), uv on PATH, or ``python -m uv``; raise `UvError`."""
    given = os.environ.get("UV") or shutil.which("uv")
    if given:
        return [given]
    if importlib.util.find_spec("uv"):
        return [sys.executable, "-m", "uv"]
    raise UvError("uv is needed to lock production's versions and is not here; install it with: pip install uv")


def run(*arguments: str, folder: Path, seconds: float = 600) -> subprocess.CompletedProcess[str]:
    """Run uv in a folder and return what it said, cut to 20,000 characters; raise `UvError`."""
    command = find()
    try:
        done = subprocess.run(
            [*command, *arguments],
            cwd=folder,
            # Without this uv downloads the very patch release of Python that it locks for.
            env={**os.environ, "UV_PYTHON_DOWNLOADS": "never"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=max(seconds, 1),
            check=False,
        )
    except OSError as error:
        raise UvError(
            f"uv cannot be run ({command[0]}: {error.strerror}); install it again with: pip install -U uv"
        ) from None
    except subprocess.TimeoutExpired:
        raise UvError("uv did not finish in time; check the network and the package index") from None
    if done.returncode < 0:
        raise UvError(f"uv was stopped by signal {-done.returncode}; install it again with: pip install -U uv")
    done.stderr = done.stderr[:_KEPT]
    return done
