"""The service that writes files at the root of a project, as a process of its own on this machine."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from offers import TEMPLATE

from ds_docker_env.common.errors import ProjectError
from ds_docker_env.common.settings import BEGIN, END
from ds_docker_env.image import passwords, profile, project, writer

SERVE = """\
import pathlib, sys
from ds_docker_env.image import writer
writer.SECONDS = 2
writer.main(pathlib.Path(sys.argv[1]), pathlib.Path.cwd())
"""
OWN = "[pip]\nindex-url = 'https://packages.example.com/simple/'\n"
BLOCK = f'{BEGIN}\nbuild-constraint-dependencies = ["setuptools<58"]\n{END}\n'

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="it runs in a container, on Linux")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a project the working directory, with a lock and one password."""
    folder = tmp_path / "project"
    (folder / ".secrets").mkdir(parents=True)
    (folder / ".secrets" / "mysql_password").write_text("before\n")
    (folder / "requirements.in").write_text("before\n")
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def served(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Run the writer in the project, and see the project as a notebook does."""
    path = tmp_path / "socket"
    # One that a container that was killed has left.
    path.touch()
    command, environment = [sys.executable, "-c", SERVE, str(path)], {**os.environ, "PYTHONPATH": str(TEMPLATE)}
    with subprocess.Popen(command, cwd=folder, env=environment) as process:
        monkeypatch.setattr(project, "WRITER", path)
        monkeypatch.setattr(project, "has_writer", lambda: True)
        yield folder
        process.terminate()
        # A container that waits for it would be killed.
        assert process.wait(5) != 0


def asked(**files: str) -> str:
    return writer.answered(json.dumps(files).encode())


def test_the_writer_writes_files_for_a_command_that_cannot(served: Path) -> None:
    project.writable()
    project.replace({"requirements.in": "after\n", "requirements.txt": "six==1.17.0\n", "constraints.txt": ""})
    assert (served / "requirements.in").read_text() == "after\n"
    assert (served / "requirements.txt").read_text() == "six==1.17.0\n"
    project.write({".secrets/mysql_password": "after\n"})
    assert (served / ".secrets" / "mysql_password").read_text() == "after\n"
    with pytest.raises(ProjectError, match=r"^Dockerfile: is not a file that commands write$"):
        project.replace({"Dockerfile": "FROM scratch\n"})


def test_the_writer_finishes_a_replacement_that_was_killed(served: Path) -> None:
    (served / ".~replacing").mkdir()
    (served / ".~replacing" / "requirements.in").write_text("after\n")
    (served / ".~replacing-1").mkdir()
    project.finish()
    assert (served / "requirements.in").read_text() == "after\n"
    assert [path.name for path in sorted(served.iterdir())] == [".secrets", "requirements.in"]


def test_a_client_that_hangs_delays_others_by_seconds_only(served: Path) -> None:
    if sys.platform == "win32":
        return
    with socket.socket(socket.AF_UNIX) as hanging:
        for _ in range(100):
            if not hanging.connect_ex(str(project.WRITER)):
                break
            time.sleep(0.1)
        hanging.sendall(b'{"requirements.in": "')
        before = time.monotonic()
        project.replace({"requirements.in": "after\n"})
        assert 1 < time.monotonic() - before < 10
    assert (served / "requirements.in").read_text() == "after\n"


def test_without_the_writer_a_command_says_how_to_start_it(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(project, "WRITER", tmp_path / "nothing")
    monkeypatch.setattr(project, "_WRITER_STARTS", 0)
    with pytest.raises(ProjectError, match=r"; run: docker compose up --detach writer$"):
        project.write({})


@pytest.mark.parametrize(
    "name",
    [
        *(".git/config", ".git/hooks/post-checkout", "docker-compose.override.yml", "compose.yaml", "Dockerfile"),
        *(".env", ".devcontainer.json", ".github/workflows/x.yml", ".gitlab-ci.yml", "tools.txt", "src/analysis.ipynb"),
        *("../requirements.in", "/etc/passwd", "./requirements.in", ".secrets/netrc", ".secrets/../x_password", ""),
    ],
)
def test_the_writer_refuses_other_files(folder: Path, name: str) -> None:
    assert asked(**{name: "x\n", "requirements.in": "after\n"}) == f"{name}: is not a file that commands write"
    assert (folder / "requirements.in").read_text() == "before\n"
    assert sorted(path.name for path in folder.rglob("*")) == [".secrets", "mysql_password", "requirements.in"]


@pytest.mark.parametrize("request_", [b"", b"[]", b'{"requirements.in": 1}', b"[" * 100_000, b'"\xff"'])
def test_the_writer_answers_any_request(folder: Path, request_: bytes) -> None:
    assert writer.answered(request_).startswith("writer: ")
    assert asked(**{"requirements.in": "\ud800"}).startswith("writer: ")
    assert asked(**{"requirements.in": "a\0b"}) == "requirements.in: contains an unprintable character"
    assert (folder / "requirements.in").read_text() == "before\n"


def test_the_writer_does_not_follow_links(folder: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (folder / "requirements.txt").symlink_to(outside / "hook")
    (folder / "overrides.txt").mkdir()
    for name in ("requirements.txt", "overrides.txt"):
        assert asked(**{name: "x\n"}).startswith(f"{name}: is a link or a directory")
    (folder / ".secrets" / "mysql_password").unlink()
    (folder / ".secrets").rmdir()
    (folder / ".secrets").symlink_to(outside)
    assert "is a link" in asked(**{".secrets/mysql_password": "x\n"})
    assert [*outside.iterdir()] == []


@pytest.mark.parametrize("password", ["", "two\nlines", "it's", "bell\a"])
def test_the_writer_takes_one_printable_line_as_a_password(folder: Path, password: str) -> None:
    assert asked(**{".secrets/mysql_password": password}).startswith(".secrets/mysql_password: ")
    assert (folder / ".secrets" / "mysql_password").read_text() == "before\n"


def test_a_password_is_written_into_the_file_that_containers_have_mounted(folder: Path) -> None:
    inode = Path(".secrets/mysql_password").stat().st_ino
    assert asked(**{".secrets/mysql_password": "after\n", ".secrets/replica_password": "new\n"}) == project.WRITTEN
    assert Path(".secrets/mysql_password").stat().st_ino == inode
    assert (folder / ".secrets" / "replica_password").stat().st_mode & 0o777 == 0o600
    assert passwords.read_password("mysql", folder / ".secrets") == "after"


def test_uv_on_the_host_keeps_its_own_settings(folder: Path) -> None:
    (folder / "uv.toml").write_text(BLOCK + OWN)
    problem = "uv.toml: commands change only settings of ds-docker-env; edit your own settings on the host"
    for text in (BLOCK, "", OWN.replace("example", "attacker"), f"{BLOCK}{OWN}offline = true\n"):
        assert asked(**{"uv.toml": text}) == problem
    assert asked(**{"uv.toml": OWN}) == project.WRITTEN
    metadata = '{ name = "a", version = "1.0", requires-dist = [] }'
    block = (
        f'{BEGIN}\nextra-build-dependencies = {{ a = ["numpy==1.26.4"] }}\ndependency-metadata = [{metadata}]\n{END}\n'
    )
    assert asked(**{"uv.toml": block + OWN}) == project.WRITTEN
    assert (folder / "uv.toml").read_text() == block + OWN


@pytest.mark.parametrize(
    "line",
    [
        'index-url = "https://attacker.example.com/simple/"',
        '[[index]]\nurl = "https://attacker.example.com/simple/"',
        'build-constraint-dependencies = ["setuptools @ https://attacker.example.com/setuptools.tar.gz"]',
        'extra-build-dependencies = { numpy = ["evil @ file:///project/src"] }',
        'extra-build-dependencies = { numpy = ["./src"] }',
    ],
)
def test_a_notebook_cannot_give_uv_on_the_host_an_index_or_an_address(folder: Path, line: str) -> None:
    said = asked(**{"uv.toml": f"{BEGIN}\n{line}\n{END}\n"})
    assert said == "uv.toml: contains settings that ds-docker-env does not write"
    assert not (folder / "uv.toml").exists()


def test_only_the_profile_in_use_leaves_a_credentials_file() -> None:
    text = (
        "[default]\naws_access_key_id = A\n\n[team]\r\nrole_arn = R\r\nsource_profile = base\r\n[base]\nx = a%b = c\n"
    )
    assert profile.only(text, "default") == "[default]\naws_access_key_id = A\n"
    assert profile.only(text, "team") == "[team]\nrole_arn = R\nsource_profile = base\n[base]\nx = a%b = c\n"
    assert profile.only(text, "missing") == profile.only("[broken", "default") == profile.only("", "default") == ""
