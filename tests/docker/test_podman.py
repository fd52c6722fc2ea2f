"""The default project with Podman instead of Docker, by a user who is not root."""

from __future__ import annotations

import os
import secrets
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from docker.project import Done, eventually, sh

pytestmark = [
    pytest.mark.docker,
    pytest.mark.skipif(
        os.environ.get("DS_DOCKER_ENV_EVERY_ENGINE") != "1",
        reason="takes two minutes: DS_DOCKER_ENV_EVERY_ENGINE=1, as each week",
    ),
]

BASE = "python:3.13-trixie"


@dataclass(frozen=True)
class Machine:
    """A container with Podman, whose user has the project in the home directory."""

    name: str

    def sh(self, command: str, check: bool = True) -> Done:
        return sh("docker", "exec", self.name, "sh", "-c", command, check=check)

    def status(self, *options: str) -> str:
        """Return the HTTP status of the notebook's server."""
        curl = "curl --silent --output /dev/null --write-out '%{http_code}' http://127.0.0.1:8888/api/contents"
        return self.sh(f"{curl} {' '.join(options)}", check=False).stdout


@pytest.fixture(scope="module")
def machine(engine: None, generate: Callable[..., Path]) -> Iterator[Machine]:
    image = name = f"ds-docker-env-test-podman-{secrets.token_hex(3)}"
    project = generate(project_slug="churn", _base_image=BASE)
    recipe = Path(__file__).with_name("podman.Dockerfile")
    sh("docker", "build", "--quiet", "--tag", image, "--file", str(recipe), str(project))
    try:
        # Nested containers need a privileged one, and overlays a volume; the user inside is unprivileged.
        storage = f"{name}:/home/analyst/.local/share/containers"
        sh("docker", "run", "--detach", "--privileged", "--name", name, "--volume", storage, image)
        sh("docker", "cp", f"{project}/.", f"{name}:/home/analyst/project")
        mine = "chown -R analyst . && mkdir -p /dev/net && (mknod /dev/net/tun c 10 200; chmod 666 /dev/net/tun)"
        sh("docker", "exec", "--user", "root", name, "sh", "-c", mine)
        with subprocess.Popen(["docker", "save", BASE], stdout=subprocess.PIPE) as saved:
            load = ["docker", "exec", "--interactive", name, "podman", "load", "--quiet"]
            subprocess.run(load, stdin=saved.stdout, check=True, capture_output=True, timeout=300)
        yield Machine(name)
    finally:
        sh("docker", "rm", "--force", "--volumes", name, check=False)
        sh("docker", "volume", "rm", "--force", name, check=False)
        sh("docker", "image", "rm", "--force", image, check=False)


@pytest.fixture(scope="module")
def built(machine: Machine) -> Machine:
    machine.sh("podman-compose build")
    return machine


@pytest.mark.parametrize(
    "compose", ["podman-compose", "DOCKER_HOST=unix:///run/user/1500/podman/podman.sock podman compose"]
)
def test_the_notebook_starts_behind_its_password(built: Machine, compose: str) -> None:
    built.sh(f"{compose} up --detach")
    try:
        token = '--header "Authorization: token $(cat .secrets/jupyter_password)"'
        eventually(lambda: built.status(token) == "200", "the server answers")
        assert built.status() == "403"
    finally:
        built.sh(f"{compose} down --volumes")


def test_the_user_is_not_root_and_owns_the_report(built: Machine) -> None:
    assert built.sh("podman info --format '{{.Host.Security.Rootless}}'").stdout.strip() == "true"
    built.sh("podman-compose run --rm jupyter report")
    assert built.sh("stat --format %U src/analysis.html").stdout.strip() == "analyst"


def test_the_notebook_is_confined_as_with_docker(built: Machine) -> None:
    said = built.sh(
        "podman-compose run --rm jupyter sh -c 'grep -E \"^(CapEff|NoNewPrivs)\" /proc/self/status'",
        check=False,
    )
    assert "CapEff:\t0000000000000000" in said.stdout
    assert "NoNewPrivs:\t1" in said.stdout
