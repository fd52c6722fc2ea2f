"""``setup`` in a new clone, and from the wheel, as the base image runs it."""

from __future__ import annotations

import stat
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ANSWERS

from ds_docker_env.generation.answers import Answers
from ds_docker_env.generation.wheel import pack
from ds_docker_env.image.setup import main

COMPOSE = (
    "secrets:\n  jupyter_password: {file: .secrets/jupyter_password}\n  netrc: {file: .secrets/netrc}\n"
    "  dask.pem: {file: .secrets/dask.pem}\n"
)
on_posix = pytest.mark.skipif(sys.platform == "win32", reason="it runs in a container, on Linux")


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    project = tmp_path / "project"
    project.mkdir()
    (project / "docker-compose.yml").write_text(COMPOSE)
    return project


def tree(folder: Path) -> dict[str, str]:
    return {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*") if path.is_file()}


@on_posix
def test_a_clone_gets_a_name_and_secrets_once(clone: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["churn"], clone)
    said, made = capsys.readouterr().out, tree(clone)
    assert made[".env"].splitlines()[-1].startswith("COMPOSE_PROJECT_NAME=churn-")
    password = made[".secrets/jupyter_password"].strip()
    assert len(password) >= 16 and password in said
    assert made[".secrets/netrc"] == made[".secrets/dask.pem"] == ""
    assert ".secrets/dask.pem: created at the first start\n" in said
    assert said.endswith("Next: docker compose up --build\n")
    assert stat.S_IMODE((clone / ".secrets" / "jupyter_password").stat().st_mode) == 0o600

    main(["churn"], clone)
    assert tree(clone) == made
    assert password not in capsys.readouterr().out


@on_posix
def test_two_clones_get_different_names(clone: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "docker-compose.yml").write_text(COMPOSE)
    for project in (clone, other):
        main(["churn"], project)
    assert tree(clone)[".env"] != tree(other)[".env"]
    assert tree(clone)[".secrets/jupyter_password"] != tree(other)[".secrets/jupyter_password"]


@on_posix
def test_the_users_settings_stay_and_a_team_can_change_them(clone: Path) -> None:
    (clone / ".env").write_text("MEMORY=16g")
    main(["churn"], clone)
    assert (clone / ".env").read_text().startswith("MEMORY=16g\nCOMPOSE_PROJECT_NAME=churn-")
    (clone / ".env").unlink()
    clone.chmod(0o2775)
    main(["churn"], clone)
    assert stat.S_IMODE((clone / ".env").stat().st_mode) == 0o664


@on_posix
def test_a_file_that_cannot_be_written_is_named_in_one_line(clone: Path) -> None:
    (clone / ".secrets").write_text("")
    with pytest.raises(SystemExit) as ended:
        main(["churn"], clone)
    assert str(ended.value.code).startswith("setup: .secrets")
    assert "\n" not in str(ended.value.code)


@on_posix
def test_the_wheel_needs_nothing_but_python(tmp_path: Path) -> None:
    wheel = pack(Answers.of({**ANSWERS, "__production_requirements": ""}))
    (tmp_path / wheel.name).write_bytes(wheel.content)
    # Without site-packages; /project exists only in a container.
    run = [sys.executable, "-S", "-m", "ds_docker_env.image.setup", "churn"]
    beside = {"PYTHONPATH": str(tmp_path / wheel.name)}
    said = subprocess.run(run, env=beside, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (said.returncode, said.stdout) == (1, "")
    assert said.stderr.startswith("setup: ") and said.stderr.count("\n") == 1


@on_posix
@pytest.mark.parametrize(
    "blank", ["COMPOSE_PROJECT_NAME=\nMEMORY=16g\n", "COMPOSE_PROJECT_NAME=''\n", "#COMPOSE_PROJECT_NAME=a\n"]
)
def test_a_blank_name_is_not_a_name(clone: Path, blank: str) -> None:
    (clone / ".env").write_text(blank)
    main(["churn"], clone)
    assert (clone / ".env").read_text().splitlines()[-1].startswith("COMPOSE_PROJECT_NAME=churn-")
