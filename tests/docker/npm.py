"""Programs from the npm registry."""

from __future__ import annotations

import shutil
from pathlib import Path

from docker.conftest import missing
from docker.project import sh


def commands_of(package: str, folder: Path) -> Path:
    """Install a package, with its version, and return the directory of its commands; skip, or fail, if npm fails."""
    if shutil.which("npm") is None:
        missing(f"no {package}: npm is not a command")
    done = sh("npm", "install", "--prefix", str(folder), "--no-audit", "--no-fund", package, check=False)
    if done.returncode:
        missing(f"no {package}: npm cannot install it: {done.stderr.strip()}")
    return folder / "node_modules" / ".bin"
