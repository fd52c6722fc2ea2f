"""The reach of a malicious cell and a malicious worker, in running containers."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from docker.conftest import copied
from docker.kernel import started_kernel
from docker.project import Project, eventually

pytestmark = pytest.mark.docker

CANARY = "canary-of-the-logins"
# Files that the host runs next: for git, Compose, the engine, an editor, pipelines.
RUN_NEXT = (
    *(".git/config", ".git/hooks/post-checkout", "docker-compose.yml", "docker-compose.override.yml", "compose.yaml"),
    *("Dockerfile", ".env", ".devcontainer.json", ".github/workflows/x.yml", ".gitlab-ci.yml", "tools.txt"),
)
ATTACK = f"""\
import json, os, pathlib, socket

def tried(what, act):
    try:
        print("REACHED", what, act() or "")
    except OSError:
        pass

def write(name):
    path = pathlib.Path("/project", name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.open("a").write("# attacked\\n")

def ask(files):
    with socket.socket(socket.AF_UNIX) as writer:
        writer.connect("/project/.secrets/socket")
        writer.sendall(json.dumps(files).encode())
        writer.shutdown(socket.SHUT_WR)
        return writer.makefile().read()

for name in {RUN_NEXT!r}:
    tried(name, lambda: write(name))
    print(ask({{name: "# attacked"}}))
for name in ("/project/.secrets/netrc", "/opt/host/netrc", "/dev/shm/netrc", "/project/.secrets/jupyter_password"):
    tried(name, lambda: pathlib.Path(name).read_text())
tried("src", lambda: os.rename("/project/src", "/project/gone"))
tried("socket", lambda: os.remove("/project/.secrets/socket"))
tried("/opt/host", lambda: os.listdir("/opt/host"))
for process in os.listdir("/proc"):
    if process.isdigit() and "writer" in pathlib.Path("/proc", process, "cmdline").read_text():
        print("REACHED the writer")
"""
# Where root owns the project, a cell can replace a program of its container, which the health check runs as root.
TAMPER = """\
path = "/opt/tools/commands/responds"
open(path, "w").write('''#!/bin/sh
for file in .git/config docker-compose.override.yml .env; do echo attacked >>/project/$file && echo WROTE; done
grep CapEff /proc/self/status >/tmp/tampered
''')
"""


@pytest.fixture(params=[0, 4242], ids=["root's project", "a person's project"])
def attacked(request: pytest.FixtureRequest, built: Project, tmp_path: Path) -> Iterator[Project]:
    """Start a project of root, as with a rootless engine, or of another user."""
    if sys.platform == "win32" or os.geteuid() != 0:
        pytest.skip("only root can give files to others")
    project = copied(built, tmp_path)
    (project.folder / ".secrets" / "netrc").write_text(f"machine example.com login me password {CANARY}\n")
    for path in (project.folder, *project.folder.rglob("*")):
        os.chown(path, request.param, request.param, follow_symlinks=False)
    with project.up():
        yield project


def content(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and folder / "src" not in path.parents
    }


def test_a_cell_can_neither_write_files_that_the_host_runs_nor_read_logins(attacked: Project) -> None:
    before = content(attacked.folder)
    refusals = "\n".join(f"{name}: is not a file that commands write" for name in RUN_NEXT)
    with started_kernel(attacked) as kernel:
        assert kernel.run(ATTACK) == refusals
        if attacked.folder.stat().st_uid == 0:
            assert kernel.run(TAMPER) == ""
            said = "import pathlib; print(pathlib.Path('/tmp/tampered').exists())"
            eventually(lambda: kernel.run(said) == "True", "the health check")
    assert content(attacked.folder) == before
    # Commands of the image get the logins, shells do not.
    read = ("sh", "-c", "cat /dev/shm/netrc; echo NETRC=$NETRC")
    assert attacked.run(*read, check=False).stdout == "NETRC=\n"


def test_a_notebook_can_write_through_the_writer_after_a_restart(attacked: Project) -> None:
    attacked.compose("restart", "--timeout", "3")
    attacked.wait_until_answering()
    line = 'project.write({"constraints.txt": "six<2\\n"})'
    ask = f"from ds_docker_env.image import project; {line}"
    attacked.compose("exec", "--no-TTY", "jupyter", "/opt/tools/bin/python", "-I", "-c", ask)
    written = attacked.folder / "constraints.txt"
    assert written.read_text() == "six<2\n"
    assert written.stat().st_uid == attacked.folder.stat().st_uid
    attacked.compose("stop", "--timeout", "5", "writer")
    said = attacked.compose("run", "--rm", "--no-deps", "--no-TTY", "jupyter", "remove", "matplotlib", check=False)
    assert said.stderr.endswith("writes here, is not running; run: docker compose up --detach writer\n")
