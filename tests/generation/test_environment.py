"""The .env of a new project."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import Generated

from ds_docker_env.generation import environment

Run = Callable[..., Generated]
FORCE = "--overwrite-if-exists"


@pytest.fixture
def busy(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Listen at JupyterLab's port."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        monkeypatch.setattr(environment, "PORT", port)
        yield port


def test_two_projects_of_the_same_title_have_different_names(bake: Run) -> None:
    names = [re.findall(r"^COMPOSE_PROJECT_NAME=(.+)$", bake().read(".env"), re.MULTILINE) for _ in range(2)]
    assert all(re.fullmatch(r"data_science_analysis-[0-9a-f]{6}", name) for [name] in names)
    assert names[0] != names[1]


def test_a_busy_port_is_replaced(busy: int) -> None:
    free = environment._free_port()
    assert busy < free <= busy + 20


def test_a_project_from_before_keeps_the_name_that_its_volumes_have(cookiecutter: Run, existing: Path) -> None:
    (existing / ".env").write_text("MEMORY=16g\n")
    compose = re.sub(r"^name: .*$", 'name: "churn"', (existing / "docker-compose.yml").read_text(), flags=re.MULTILINE)
    (existing / "docker-compose.yml").write_text(compose)
    again = cookiecutter(FORCE)
    assert again.exit_code == 0, again.stderr
    assert (existing / ".env").read_text() == "MEMORY=16g\nCOMPOSE_PROJECT_NAME=churn\n"
