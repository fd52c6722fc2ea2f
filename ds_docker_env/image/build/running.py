"""Running programs in a step of the build, and the settings that make their results the same in every build."""

from __future__ import annotations

import os
import subprocess
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path

# The directory of the step, and the cache of the builder.
STEP = Path("/build")
CACHE = Path("/root/.cache/compiled")
# The first year of a zip file.
EPOCH = str(int(datetime(1980, 1, 1, tzinfo=timezone.utc).timestamp()))
# Debian's tools and compilers would write timestamps and directories into their output.
ENVIRONMENT = {"SOURCE_DATE_EPOCH": EPOCH, "LDFLAGS": "-s", "PYTHONDONTWRITEBYTECODE": "1"}


def run(*command: object) -> None:
    """Run a command; raise `subprocess.CalledProcessError` if it fails."""
    subprocess.run([str(part) for part in command], env={**os.environ, **ENVIRONMENT}, check=True)


def forget_times(since: float) -> None:
    """Give all files of the image that changed since then one timestamp: a cached layer equals a rebuilt one."""
    command = ("find", "/", "-xdev", "-newermt", f"@{int(since) - 1}", "-print0")
    for path in filter(None, subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout.split(b"\0")):
        # The builder's own mounts are read-only and outside the layer.
        with suppress(OSError):
            os.utime(path, (int(EPOCH), int(EPOCH)), follow_symlinks=False)


def compile_packages(environment: Path, *directories: Path) -> None:
    """Compile the packages of an environment, and modules in further directories, with the environment's Python."""
    program = Path(__file__).with_name("compilation.py")
    packages = environment.glob("lib/python3*/site-packages")
    run(environment / "bin" / "python", "-B", "-S", program, CACHE, *packages, *directories)
