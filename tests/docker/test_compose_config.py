from __future__ import annotations

import json
from pathlib import Path

import pytest
from test_compose import CHOICES, Renderer

from docker.project import sh

pytestmark = pytest.mark.docker


@pytest.mark.parametrize("services", CHOICES, ids=[services or "none" for services in CHOICES])
def test_compose_takes_every_choice_of_services(engine: None, services: str, tmp_path: Path) -> None:
    text = Renderer()("docker-compose.yml", services=services, dvc_s3_url="s3://bucket/churn")
    (tmp_path / "docker-compose.yml").write_text(text)
    done = sh("docker", "compose", "config", "--format", "json", folder=tmp_path)
    assert done.stderr == ""
    assert set(json.loads(done.stdout)["secrets"]) >= {"jupyter_password"}
