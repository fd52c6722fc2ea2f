"""What happens when somebody installs by hand, from the notebook."""

from __future__ import annotations

import pytest

from docker.conftest import PINNED, copied
from docker.project import Project

pytestmark = pytest.mark.docker

CELLS = {
    "before": "%pip freeze",
    "magic": "%pip install humanize",
    "shell": "!pip install humanize; echo exit code $?",
    "pip3": "!pip3 install humanize; echo exit code $?",
    "pip3.11": "!pip3.11 install humanize; echo exit code $?",
    "module": "!python -m pip install humanize; echo exit code $?",
    "uv": "!uv pip install humanize; echo exit code $?",
    "after": "%pip freeze",
    "import": "import humanize",
    "elsewhere": "!find / -xdev -iname 'humanize-*' 2>/dev/null",
    "host": "import sys; print(sys.executable, sys.prefix)",
}


@pytest.fixture(scope="module")
def said(built: Project, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    project = copied(built, tmp_path_factory.mktemp("packages"))
    try:
        return dict(zip(CELLS, project.outputs(*CELLS.values()), strict=True))
    finally:
        project.remove()


@pytest.mark.parametrize("how", ["magic", "shell", "pip3", "pip3.11"])
def test_pip_install_says_how_packages_are_added(said: dict[str, str], how: str) -> None:
    assert "requirements.in" in said[how]
    assert "README.md" in said[how]
    assert "Successfully installed" not in said[how]


@pytest.mark.parametrize("how", ["shell", "pip3", "pip3.11", "module", "uv"])
def test_installing_by_hand_fails(said: dict[str, str], how: str) -> None:
    assert "exit code 0" not in said[how]


def test_installing_by_hand_changes_nothing(said: dict[str, str]) -> None:
    assert said["before"] == said["after"]
    assert "ModuleNotFoundError" in said["import"]
    assert said["elsewhere"] == ""


def test_the_kernel_runs_in_the_analysis_environment(said: dict[str, str]) -> None:
    assert said["host"] == "/opt/analysis/bin/python /opt/analysis"


def test_the_kernel_holds_productions_versions_exactly(said: dict[str, str]) -> None:
    frozen = dict(line.lower().split("==") for line in said["after"].splitlines() if "==" in line)
    assert {name: frozen.get(name.lower()) for name in PINNED} == PINNED
