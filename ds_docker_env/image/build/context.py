"""Splits the directory of a project for the build: each step of the Dockerfile gets a directory of its own.

A step runs again if its directory changes. The directory holds only this step's inputs and the modules of the build,
without timestamps, modes, comments and empty directories.
"""

from __future__ import annotations

import json
import os
import pkgutil
import platform
import re
import shutil
import sys
from collections.abc import Collection
from pathlib import Path

from ds_docker_env.common import debian
from ds_docker_env.image import build
from ds_docker_env.image.build.layers import LAYERS, read_entries, split, without_comments
from ds_docker_env.image.build.running import EPOCH
from ds_docker_env.image.build.sources import BUILD_REQUIREMENTS, only

_PACKAGES = ("ds_docker_env", "ds_docker_env.common", "ds_docker_env.image", build.__name__)


def main(context: Path, root: Path) -> None:
    """Write the directories of the steps, and ``files``, which becomes the project's directory in the image.

    Exit with one line if the lock does not suit this processor or this Debian.
    """
    lock = (context / "requirements.txt").read_text(encoding="utf-8")
    _require_processor(lock)
    _, glibc = platform.libc_ver()
    if glibc and (problem := newer_glibc(lock, int(glibc.split(".")[1]))):
        sys.exit(problem)
    template = json.loads(pkgutil.get_data("ds_docker_env.image", "template.json") or b"")
    layers = split(lock, template["names"])
    _lay_out(root / "tools", context, "tools.txt", "company.crt")
    of_tools = (pkgutil.get_data("ds_docker_env.image", BUILD_REQUIREMENTS) or b"").decode()
    _write_build_requirements(root / "tools", of_tools, read_entries((context / "tools.txt").read_text("utf-8")))
    build_requirements = context / BUILD_REQUIREMENTS
    of_analysis = build_requirements.read_text(encoding="utf-8") if build_requirements.exists() else ""
    _lay_out(root / "debian", context)
    for name, requirements in layers.items():
        _lay_out(root / name, context, "uv.toml")
        (root / name / "requirements.txt").write_text(requirements, encoding="utf-8")
        _write_build_requirements(root / name, of_analysis, read_entries(requirements))
    _lay_out(root / "commands", context, *(path.name for path in context.glob("*.whl")))
    (root / "commands" / "lock.txt").write_text(without_comments(lock), encoding="utf-8")
    for name in ("src", ".dvc", ".dvcignore"):
        _copy(context / name, root / "files" / name)
    for folder in (Path(name) for name, _, _ in os.walk(root / "files" / "src", topdown=False)):
        if not any(folder.iterdir()) and folder.name != "src":
            folder.rmdir()
    for top in ("tools", "debian", *LAYERS, "commands", "files"):
        for path in (root / top, *(root / top).rglob("*")):
            os.utime(path, (int(EPOCH), int(EPOCH)), follow_symlinks=False)
            if not path.is_symlink():
                path.chmod(0o755)


def _require_processor(lock: str) -> None:
    only = re.search(r"^# (for linux/amd64 only: .*)$", lock, re.MULTILINE)
    if only and platform.machine() != "x86_64":
        sys.exit(f"requirements.txt: {only[1]}; set DOCKER_DEFAULT_PLATFORM=linux/amd64 in .env, then build again")


def newer_glibc(lock: str, here: int) -> str:
    """Return the problem of a lock whose header names a newer glibc than 2.``here``, or nothing."""
    wanted = re.search(r"^#.*-manylinux_2_(\d+)", lock, re.MULTILINE)
    if not wanted or int(wanted[1]) <= here:
        return ""
    return (
        f"requirements.txt: locked for glibc 2.{wanted[1]}, but the base image has 2.{here}; use a newer Debian in the "
        f"Dockerfile, or replace manylinux_2_{wanted[1]} with manylinux_2_{here} in its header, build again, "
        "and run: docker compose run --rm jupyter lock"
    )


def _lay_out(step: Path, context: Path, *names: str) -> None:
    """Write the directory of a step: its inputs, where the project has them, and the modules that Python runs there."""
    for name in names:
        _copy(context / name, step / name)
    modules = {f"{package}.__init__" for package in _PACKAGES} | {debian.__name__}
    modules |= {f"{build.__name__}.{module.name}" for module in pkgutil.iter_modules(build.__path__)}
    for module in modules:
        package, _, name = module.rpartition(".")
        path = step.joinpath(*package.split("."), f"{name}.py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(pkgutil.get_data(package, path.name) or b"")
    table = step / "ds_docker_env" / "common" / debian.PATH.name
    table.write_bytes(pkgutil.get_data("ds_docker_env.common", table.name) or b"")
    (step / "__main__.py").write_text(f"from {build.__name__} import steps\n\nsteps.main()\n", encoding="utf-8")


def _write_build_requirements(step: Path, text: str, names: Collection[str]) -> None:
    """Write the build requirements of the sources among these packages, if there are any."""
    if needed := only(text, names):
        (step / BUILD_REQUIREMENTS).write_text(needed, encoding="utf-8")


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, symlinks=True)
    elif source.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
