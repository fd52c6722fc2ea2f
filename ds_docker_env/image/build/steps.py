"""Runs one step of the image build."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable

from ds_docker_env.image.build import commands, debian, packages, tools
from ds_docker_env.image.build.running import forget_times

STEPS: dict[str, Callable[..., None]] = {
    "tools": tools.install,
    "debian": debian.main,
    "packages": packages.install,
    "commands": commands.install,
}


def main() -> None:
    """Run the step that the first argument names; exit with the code of a program that fails."""
    name, *arguments = sys.argv[1:]
    started = time.time()
    try:
        STEPS[name](*arguments)
        forget_times(started)
    except subprocess.CalledProcessError as error:
        # The program has said why.
        sys.exit(error.returncode)
