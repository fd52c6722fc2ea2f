"""Lock again everything that ships with the template, at today's versions: ``uv run locks/refresh.py``."""

from __future__ import annotations

import sys
from pathlib import Path

LOCKS = Path(__file__).parent
sys.path.insert(0, str(LOCKS.parent / "hooks"))

from ds_docker_env import uv  # noqa: E402
from ds_docker_env.resolver import compile_command, header  # noqa: E402
from ds_docker_env.target import PYTHON_VERSIONS, Target  # noqa: E402

# Debian's own Python, https://packages.debian.org/python3
DEBIAN_PYTHON = {"bookworm": "3.11.2", "trixie": "3.13.5"}


def refresh(source: str, output: str, python: str, documented: str) -> None:
    """Lock one file; stop with what uv says if that fails."""
    print(f"{output} ...", flush=True)
    command = compile_command(python, source, output=output)
    done = uv.run(*command, "--upgrade", "--quiet", "--custom-compile-command", header(documented), folder=LOCKS)
    if done.returncode:
        sys.exit(done.stderr)


if __name__ == "__main__":
    for version in PYTHON_VERSIONS:
        full_python = Target(version).full_python
        documented = " ".join(["uv", *compile_command(full_python, "requirements.in")])
        refresh("requirements.in", f"requirements-{version}.txt", full_python, documented)
    for debian, full_python in DEBIAN_PYTHON.items():
        refresh("tools.in", f"tools-{debian}.txt", full_python, "locks/refresh.py of ds-docker-env")
