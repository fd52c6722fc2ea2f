"""Unmet requirements of installed packages, as ``uv pip check`` finds them."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from ds_docker_env.common import uv
from ds_docker_env.common.errors import ProjectError
from ds_docker_env.common.target import Target
from ds_docker_env.image import installed
from ds_docker_env.pinning.explanation import sentence
from ds_docker_env.pinning.production.model import Production

_MET, _UNMET = 0, 1
_NEED = re.compile(r"The package `(.+)` requires `(.+)`, but (?:it's not installed|`(.+)` is installed)")


class Need(NamedTuple):
    """A requirement that is not met; ``version`` is the installed version, blank if the package is missing."""

    package: str
    requirement: Requirement
    version: str

    @property
    def name(self) -> str:
        return canonicalize_name(self.requirement.name)

    def applies(self, target: Target, python: str) -> bool:
        """Say whether the package has this requirement on a patch release of Python."""
        environment = target.marker_environment() | {"python_full_version": python}
        return not self.requirement.marker or self.requirement.marker.evaluate(environment)

    def is_productions(self, production: Production, overrides: Collection[str]) -> bool:
        """Say whether production runs these two versions although they conflict."""
        pinned = {pin.name for pin in production.pins}
        return bool(self.version) and (self.name in overrides or {self.package, self.name} <= pinned)

    def __str__(self) -> str:
        there = f"{self.name} {self.version} is installed" if self.version else f"{self.name} is missing"
        return f"{self.package}: requires {self.requirement.name}{self.requirement.specifier}, but {there}"


def unmet(environment: Path) -> tuple[list[Need], list[str]]:
    """Return the unmet requirements in an environment, the image's or an overlay, and uv's other findings.

    Raise `UvError`, and `ProjectError` where uv cannot read the environment.
    """
    # An overlay lacks a Python.
    python = environment if environment == installed.ANALYSIS else installed.LISTED
    checked = uv.run("pip", "check", "--python", str(python), "--no-cache", "--color", "never", folder=environment)
    if checked.returncode not in (_MET, _UNMET):
        raise ProjectError(f"{environment}: cannot be read; uv says: {sentence(checked.stderr)}")
    needs, others = [], []
    for line in re.findall(r"^The package .*", checked.stderr, re.MULTILINE):
        if found := _NEED.fullmatch(line):
            needs.append(Need(found[1], Requirement(found[2]), found[3] or ""))
        else:
            others.append(f"uv: {line}")
    return needs, others
