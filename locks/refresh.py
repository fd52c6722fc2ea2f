"""Renew all locks that ship with the template: ``uv run locks/refresh.py``."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NoReturn

sys.path.insert(0, str(Path(__file__).parents[1]))

from ds_docker_env.common.shipped import LOCKS, lock_name
from ds_docker_env.common.target import LOCK_AGAIN, PYTHON_VERSIONS, Target
from ds_docker_env.pinning import watched
from ds_docker_env.pinning.cooldown import Cooldown
from ds_docker_env.pinning.processors import for_arm64, for_both
from ds_docker_env.pinning.production.model import Production
from ds_docker_env.pinning.resolver import Attempt, Resolver, compile_command, header, same_versions
from ds_docker_env.pinning.wheels import build_requirements

CONTEXT = json.loads((LOCKS.parent / "cookiecutter.json").read_text(encoding="utf-8"))

# Debian's own Python, https://packages.debian.org/python3
DEBIAN_PYTHON = {"bookworm": "3.11.2", "trixie": "3.13.5"}

OF_TOOLS = "locks/refresh.py of ds-docker-env"


def refresh(inputs: list[str], output: str, python: str, documented: str, again: str) -> None:
    """Lock files together for both processors; exit with uv's message if that fails.

    A lock with the same versions stays. ``UV_EXCLUDE_NEWER`` with today's date allows releases of the last days.
    """
    print(f"{output} ...", flush=True)
    path = LOCKS / output
    before = path.read_text(encoding="utf-8") if path.exists() else ""
    command = compile_command(python, Target(PYTHON_VERSIONS[0]).platform, *inputs, output=output)
    # The settings in pyproject.toml are for the tests.
    command += ["--no-config"]
    cooldown = Cooldown.of(before, ())
    amd64 = _lock(path, [*command, "--upgrade"], documented, cooldown, before)
    solve = partial(_lock, path, for_arm64(command), documented, cooldown)
    lock = for_both(amd64.text or _stop(amd64), "", solve, why=_stop, again=again)
    path.write_text(before if same_versions(lock, before) else lock, encoding="utf-8", newline="\n")
    for line in cooldown.lines():
        print(line)


def refresh_build_requirements(name: str, target: Target) -> set[str]:
    """Lock the build requirements of a lock; return the name of the file if there is one."""
    lock, path = (LOCKS / name).read_text(encoding="utf-8"), LOCKS / f"build-{name}"
    with TemporaryDirectory() as folder:
        resolver = Resolver(Path(folder), Production("the template", ""), set(), target)
        made = build_requirements(resolver, lock, before="")
    for line in made.lines:
        print(line)
    if made.text:
        path.write_text(made.text, encoding="utf-8", newline="\n")
    return {path.name} if made.text else set()


def refresh_all(kind: str, made_for: str, python: str, documented: str, again: str = LOCK_AGAIN) -> set[str]:
    """Lock the packages of every project, and separately those with all options, which may need older versions."""
    plain, optional = lock_name(kind, made_for), lock_name(kind, made_for, options=True)
    refresh([f"{kind}.in"], plain, python, documented, again)
    options = sorted(path.name for path in LOCKS.glob(f"{kind}-*.in"))
    refresh([f"{kind}.in", *options], optional, python, documented, again)
    return {plain, optional}


def _lock(path: Path, command: Sequence[str], documented: str, cooldown: Cooldown, preferred: str) -> Attempt:
    """Lock with the versions of another lock if possible, and without releases of the last days."""
    while True:
        path.write_text(preferred, encoding="utf-8", newline="\n")
        noted = ["--custom-compile-command", header(documented, cooldown.noted)]
        done = watched.run(*command, *noted, *cooldown.options, folder=LOCKS)
        if not cooldown.learn(done.stderr):
            return Attempt("" if done.returncode else path.read_text(encoding="utf-8"), done.stderr)


def _stop(attempt: Attempt) -> NoReturn:
    sys.exit(attempt.stderr)


if __name__ == "__main__":
    if CONTEXT["_package_index"]:
        os.environ["UV_DEFAULT_INDEX"] = CONTEXT["_package_index"]
    made = set()
    for version in CONTEXT["python_version"]:
        target = Target(version)
        documented = " ".join(["uv", *compile_command(target.full_python, target.platform, "requirements.in")])
        for lock in refresh_all("requirements", version, target.full_python, documented):
            made |= {lock} | refresh_build_requirements(lock, target)
    for debian in CONTEXT["debian_release"]:
        target = Target(DEBIAN_PYTHON[debian].rpartition(".")[0])
        for lock in refresh_all("tools", debian, DEBIAN_PYTHON[debian], OF_TOOLS, OF_TOOLS):
            made |= {lock} | refresh_build_requirements(lock, target)
    for path in LOCKS.glob("*.txt"):
        if path.name not in made:
            path.unlink()
