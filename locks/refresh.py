"""Lock again everything that ships with the template, at today's versions: ``uv run locks/refresh.py``."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from ds_docker_env.common import uv
from ds_docker_env.common.shipped import LOCKS, lock_name
from ds_docker_env.common.target import Target
from ds_docker_env.pinning.resolver import compile_command, header, same_versions

CONTEXT = json.loads((LOCKS.parent / "cookiecutter.json").read_text(encoding="utf-8"))

# Debian's own Python, https://packages.debian.org/python3
DEBIAN_PYTHON = {"bookworm": "3.11.2", "trixie": "3.13.5"}


def refresh(inputs: list[str], output: str, python: str, documented: str) -> None:
    """Lock files together; stop with what uv says if that fails. A lock that would only be newer stays."""
    print(f"{output} ...", flush=True)
    path = LOCKS / output
    before = path.read_text(encoding="utf-8") if path.exists() else ""
    command = compile_command(python, *inputs, output=output)
    done = uv.run(*command, "--upgrade", "--quiet", "--custom-compile-command", header(documented), folder=LOCKS)
    if done.returncode:
        sys.exit(done.stderr)
    if same_versions(path.read_text(encoding="utf-8"), before):
        path.write_text(before, encoding="utf-8", newline="\n")


def refresh_all(kind: str, made_for: str, python: str, documented: str) -> set[str]:
    """Lock what every project has, and apart from it what any may have: an option may need something older."""
    plain, optional = lock_name(kind, made_for), lock_name(kind, made_for, options=True)
    refresh([f"{kind}.in"], plain, python, documented)
    options = sorted(path.name for path in LOCKS.glob(f"{kind}-*.in"))
    refresh([f"{kind}.in", *options], optional, python, documented)
    return {plain, optional}


if __name__ == "__main__":
    if CONTEXT["_package_index"]:
        os.environ["UV_DEFAULT_INDEX"] = CONTEXT["_package_index"]
    made = set()
    for version in CONTEXT["python_version"]:
        full_python = Target(version).full_python
        documented = " ".join(["uv", *compile_command(full_python, "requirements.in")])
        made |= refresh_all("requirements", version, full_python, documented)
    for debian in CONTEXT["debian_release"]:
        made |= refresh_all("tools", debian, DEBIAN_PYTHON[debian], "locks/refresh.py of ds-docker-env")
    for lock in LOCKS.glob("*.txt"):
        if lock.name not in made:
            lock.unlink()
