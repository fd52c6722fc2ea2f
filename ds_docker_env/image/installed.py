"""What is installed in an environment, read from its files and not by its own Python."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import distributions
from pathlib import Path

from packaging.utils import canonicalize_name

from ds_docker_env.common.errors import ProjectError
from ds_docker_env.common.target import PYTHON_VERSIONS, Target
from ds_docker_env.pinning.parity import Locked

ANALYSIS = Path("/opt/analysis")


@dataclass(frozen=True)
class Installed:
    """The Python of an environment, on Linux, and its packages by normalised name."""

    target: Target
    packages: dict[str, Locked]


def read_installed(environment: Path) -> Installed:
    """Read a virtual environment; raise `ProjectError` where there is none or its Python is not known here."""
    site = next(environment.glob("lib/python3*/site-packages"), None)
    if site is None:
        raise ProjectError(
            f"{environment}: holds no packages; run it with docker compose run --rm --no-deps jupyter check"
        )
    python = site.parent.name.removeprefix("python")
    if python not in PYTHON_VERSIONS:
        raise ProjectError(f"{environment}: runs Python {python}, but only {', '.join(PYTHON_VERSIONS)} are known here")
    packages: dict[str, Locked] = {}
    for found in distributions(path=[str(site)]):
        if name := found.metadata["Name"]:
            packages.setdefault(canonicalize_name(name), Locked(found.version, hashes=None))
    return Installed(Target(python), packages)
