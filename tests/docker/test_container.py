"""The settings of the containers, and their end."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from docker.conftest import copied, generated, have_image
from docker.kernel import started_kernel
from docker.project import Project, sh
from ds_docker_env.common.services import SERVICES

pytestmark = pytest.mark.docker


@pytest.fixture(scope="module")
def containers(built: Project, generate: Callable[..., Path]) -> Iterator[dict[str, Any]]:
    """Create the containers of a project with every option and its own limits, without starting them."""
    with generated(generate, services=", ".join(SERVICES), dvc_s3_url="s3://bucket/churn") as project:
        for service in yaml.safe_load(project.read("docker-compose.yml"))["services"].values():
            if "$" not in (image := service.get("image", "$")):
                have_image(image)
        (project.folder / ".env").write_text("MEMORY=1g\nCPUS=0.5\n", encoding="utf-8")
        (project.folder / ".secrets" / "aws_credentials").touch()
        sh("docker", "tag", built.image, project.image)
        project.compose("create")
        ids = project.compose("ps", "--all", "--quiet").stdout.split()
        made = json.loads(sh("docker", "inspect", *ids).stdout)
        yield {one["Config"]["Labels"]["com.docker.compose.service"]: one for one in made}


def test_every_container_has_the_configured_limits(containers: dict[str, Any]) -> None:
    assert len(containers) == len(SERVICES) + 3
    for service, container in containers.items():
        host = container["HostConfig"]
        limits = (host["Memory"], host["MemorySwap"], host["NanoCpus"], host["PidsLimit"])
        assert limits == (2**30, 2**30, 500_000_000, 2048), service


def test_containers_mount_only_the_project_from_the_host(containers: dict[str, Any]) -> None:
    for service, container in containers.items():
        host = container["HostConfig"]
        assert not host["Privileged"], service
        assert host["CapDrop"] == ["ALL"], service
        assert host["SecurityOpt"] == ["no-new-privileges:true"], service
        assert not {"host"} & {host[name] for name in ("NetworkMode", "PidMode", "IpcMode", "UTSMode", "UsernsMode")}
        assert not host["Devices"], service
        bound = {mount["Destination"]: mount for mount in container["Mounts"] if mount["Type"] == "bind"}
        writable = {where for where, mount in bound.items() if mount["RW"]}
        allowed = {"writer": {"/project"}, "passwords": {"/project/src", "/project/.secrets"}}
        assert writable <= allowed.get(service, {"/project/src", "/project/.dvc"}), service
        others = [mount for where, mount in bound.items() if not where.startswith("/project")]
        assert all(".secrets" in mount["Source"] for mount in others), service
        published = [binding for bindings in (host["PortBindings"] or {}).values() for binding in bindings]
        assert {binding["HostIp"] for binding in published} <= {"127.0.0.1"}, service


@pytest.mark.parametrize("cell", ["import time; time.sleep(100)", "while True: pass"], ids=["waiting", "computing"])
def test_a_stop_takes_at_most_three_seconds_and_keeps_files_of_a_writing_kernel(copy: Project, cell: str) -> None:
    # One try may be too slow while another test builds an image.
    assert any(_stops_in_time(copy, cell) for _ in range(3))


def _stops_in_time(copy: Project, cell: str) -> bool:
    with copy.up(), started_kernel(copy) as kernel:
        assert kernel.run("file = open('src/data/open.txt', 'w'); file.write('kept'); print('open')") == "open"
        kernel.begin(cell)
        time.sleep(1)
        # After that, Docker kills the container, with exit code 137.
        copy.compose("stop", "--timeout", "3")
        return copy.inspect()["State"]["ExitCode"] == 0 and copy.read("src/data/open.txt") == "kept"


def test_a_project_works_in_a_path_with_spaces_and_accents(built: Project, tmp_path: Path) -> None:
    beside = tmp_path / "Analyse d'été 1"
    beside.mkdir()
    with copied(built, beside).up() as project:
        [said] = project.outputs_beside_services("open('data/là.txt', 'w').write('ici')")
        assert said == "3"
        assert project.read("src/data/là.txt") == "ici"
        project.run("report")
        assert (project.folder / "src" / "analysis.html").exists()
