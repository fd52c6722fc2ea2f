"""The packages that are installed in an environment, read from its files without running its Python."""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib.metadata import distributions
from pathlib import Path

from packaging.utils import canonicalize_name

from ds_docker_env.common.errors import ProjectError
from ds_docker_env.common.target import PYTHON_VERSIONS, Target, this_machine
from ds_docker_env.image.build.packages import ANALYSIS, LISTED, release
from ds_docker_env.pinning.parity import Locked

__all__ = ["ANALYSIS", "LISTED", "Installed", "patch_release", "read_installed", "read_target", "release"]


@dataclass(frozen=True)
class Installed:
    """The Python of an environment, on Linux, and its packages by normalised name."""

    target: Target
    packages: dict[str, Locked]


def read_installed(environment: Path) -> Installed:
    """Read a virtual environment; raise `ProjectError` as `read_target` does."""
    target = read_target(environment)
    packages: dict[str, Locked] = {}
    for found in distributions(path=list(map(str, environment.glob("lib/python3*/site-packages")))):
        if name := found.metadata["Name"]:
            packages.setdefault(canonicalize_name(name), Locked(found.version, hashes=None))
    return Installed(target, packages)


def read_target(environment: Path) -> Target:
    """Return the Python of a virtual environment on this Debian, without reading its packages.

    Raise `ProjectError` if the environment is missing or its Python is unknown.
    """
    site = next(environment.glob("lib/python3*/site-packages"), None)
    if site is None:
        raise ProjectError(f"{environment}: contains no packages; run: docker compose run --rm --no-deps jupyter check")
    python = site.parent.name.removeprefix("python")
    if python not in PYTHON_VERSIONS:
        raise ProjectError(f"{environment}: unknown Python {python}; use one of {', '.join(PYTHON_VERSIONS)}")
    return Target(python, this_machine(), release())


def patch_release(environment: Path) -> str:
    """Return the whole version of the Python of an environment that uv made, such as ``3.11.14``."""
    [version] = re.findall(r"^version_info = (\S+)$", (environment / "pyvenv.cfg").read_text("utf-8"), re.MULTILINE)
    return str(version)
