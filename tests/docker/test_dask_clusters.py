"""What docs/how-to/dask-clusters.md says, with the project's image and without a cluster."""

from __future__ import annotations

import json
import os
import re
import secrets
import shlex
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from docker.conftest import TEMPLATE, generated
from docker.fargate import Fargate
from docker.project import Done, Project, blocks, eventually, sh

pytestmark = [
    pytest.mark.docker,
    pytest.mark.network,
    pytest.mark.skipif(
        os.environ.get("DS_DOCKER_ENV_EVERY_ENGINE") != "1",
        reason="takes three minutes: DS_DOCKER_ENV_EVERY_ENGINE=1, as each week",
    ),
]

PAGE = (TEMPLATE / "docs" / "how-to" / "dask-clusters.md").read_text(encoding="utf-8")
IMAGE = "registry.example.com/team/churn:1"
# What the operator makes of the page's pod specs.
DEPLOYMENTS = """
import json
from dask_kubernetes.operator.controller.controller import build_scheduler_deployment_spec, build_worker_deployment_spec
name, scheduler, worker = spec["metadata"]["name"], spec["spec"]["scheduler"]["spec"], spec["spec"]["worker"]
deployments = [build_scheduler_deployment_spec(name, scheduler, {}, {})]
for number in range(worker["replicas"]):
    more = build_worker_deployment_spec(f"{name}-default", "analysis", name, str(number), worker["spec"], {}, {})
    deployments.append(more)
print(json.dumps([deployment["spec"]["template"]["spec"] for deployment in deployments]))
"""
# Have a package that nobody else has.
OTHER = """
import pathlib, sys
sys.path.append("/tmp/more")
pathlib.Path("/tmp/more/other-1.0.dist-info").mkdir(parents=True)
pathlib.Path("/tmp/more/other-1.0.dist-info/METADATA").write_text("Name: other\\nVersion: 1.0\\n")
"""
# Ask who the cluster is, with a Kubernetes API that only knows its version.
ASK = """
import http.server, json, threading, kr8s
class Version(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        print(self.headers["Authorization"], flush=True)
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps({"major": "1", "minor": "34", "gitVersion": "v1.34.0"}).encode())
    def log_message(self, *_):
        pass
server = http.server.HTTPServer(("127.0.0.1", 8001), Version)
threading.Thread(target=server.serve_forever, daemon=True).start()
print(kr8s.api().namespace)
"""
SCHEDULER = "churn-scheduler.analysis.svc.cluster.local"


def fragments(language: str, section: str = "") -> list[str]:
    text = PAGE.partition(f"## {section}")[2].partition("\n## ")[0] if section else PAGE
    return blocks(text, language)


def python(code: str, *options: str, check: bool = True) -> Done:
    """Run code in the image, with an end."""
    return sh("docker", "run", "--rm", *options, IMAGE, "timeout", "150", "python", "-c", code, check=check)


@pytest.fixture(scope="module")
def project(built: Project, generate: Callable[..., Path]) -> Iterator[Project]:
    """Add the packages that the page names, lock with an image that is there, build and tag as the page does."""
    packages = re.findall(r"^\| \w+ \| `(.+)` \|$", PAGE, re.MULTILINE)
    assert len(packages) == 2
    with generated(generate, services="dask") as project:
        sh("docker", "tag", built.image, project.image)
        with (project.folder / "requirements.in").open("a") as file:
            file.writelines(f"{package}\n" for package in packages)
        project.compose("run", "--rm", "--no-deps", "jupyter", "lock")
        project.build()
        for line in fragments("sh")[0].replace("tag churn", f"tag {project.image}").splitlines()[:2]:
            sh(*shlex.split(line), folder=project.folder, environment=project.environment)
        yield project
        sh("docker", "image", "rm", "--force", IMAGE, check=False)


@pytest.fixture
def network() -> Iterator[str]:
    name = f"ds-docker-env-test-{secrets.token_hex(3)}"
    sh("docker", "network", "create", name)
    yield name
    for container in sh("docker", "ps", "--all", "--quiet", "--filter", f"network={name}").stdout.split():
        sh("docker", "rm", "--force", container)
    sh("docker", "network", "rm", name)


def run_as_kubernetes_does(pod: Any, network: str, *options: str) -> None:
    """Start the container of a pod, with all that its security context forbids and as a user that no image knows."""
    [container] = pod["containers"]
    context = container["securityContext"]
    assert context["readOnlyRootFilesystem"] is pod["securityContext"]["runAsNonRoot"] is True
    assert context["allowPrivilegeEscalation"] is False
    forbidden = ("--read-only", "--cap-drop", *context["capabilities"]["drop"], "--security-opt", "no-new-privileges")
    environment = {one["name"]: one["value"] for one in container["env"]}
    mounts = [f"--tmpfs={mount['mountPath']}" for mount in container["volumeMounts"]]
    command = [re.sub(r"\$\((\w+)\)", lambda found: environment[found[1]], word) for word in container["args"]]
    sh(
        *("docker", "run", "--detach", "--network", network, "--user", "1000710000:0", *forbidden, *mounts, *options),
        *(f"--env={name}={value}" for name, value in environment.items()),
        *(container["image"], *command),
    )


def test_the_pods_of_the_page_compute_on_kubernetes_terms(project: Project, network: str) -> None:
    spec, use, *_ = fragments("python", "Kubernetes")
    scheduler, *workers = json.loads(python(spec + DEPLOYMENTS).stdout)
    assert len(workers) == 4
    run_as_kubernetes_does(scheduler, network, "--network-alias", SCHEDULER)
    for worker in workers:
        run_as_kubernetes_does(worker, network)
    [prove] = fragments("python", "The client")
    connect = f"from dask.distributed import Client\nclient = Client('tcp://{SCHEDULER}:8786')\n"
    compute = textwrap.dedent(use.partition("\n")[2])
    said = python(connect + compute + prove, "--network", network)
    assert said.stdout.split() == ["328350"]

    refused = python(OTHER + connect + prove, "--network", network, check=False)
    assert refused.returncode == 1
    assert "AssertionError: ('scheduler', {('other', '1.0')})" in refused.stderr


def test_the_notebook_asks_the_cluster_that_kubeconfig_names(project: Project, tmp_path: Path) -> None:
    [override] = fragments("yaml", "Kubernetes")
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "ours",
        "contexts": [{"name": "ours", "context": {"cluster": "ours", "user": "me", "namespace": "analysis"}}],
        "clusters": [{"name": "ours", "cluster": {"server": "http://127.0.0.1:8001"}}],
        "users": [{"name": "me", "user": {"token": "not-a-token"}}],
    }
    (tmp_path / "config").write_text(json.dumps(config))
    (tmp_path / "config").chmod(0o600)
    path = project.folder / "docker-compose.override.yml"
    path.write_text(override.replace("~/.kube/config", str(tmp_path / "config")))
    try:
        said = project.compose("run", "--rm", "--no-deps", "--no-TTY", "jupyter", "timeout", "60", "python", "-c", ASK)
    finally:
        path.unlink()
    assert said.stdout.splitlines() == ["Bearer not-a-token", "analysis"]


def test_the_cluster_of_the_page_computes_on_fargate_and_is_closed(project: Project) -> None:
    [code] = fragments("python", "Fargate")
    roles = re.findall(r":role/([\w-]+)", code)
    with Fargate(f"ds-docker-env-test-{secrets.token_hex(3)}", roles) as aws:
        for example, ours in (
            (r"vpc-0\w+", aws.vpc),
            (r"subnet-0\w+", aws.subnet_id),
            (r"sg-0\w+", aws.security_group),
        ):
            code, count = re.subn(example, ours, code)
            assert count == 1
        environment = [f"--env={name}={value}" for name, value in aws.environment.items()]
        said = python(code, "--network", aws.network, *environment)
        assert said.stdout.split() == ["328350"]
        assert len(aws.started) == 5
        assert {task["lastStatus"] for task in aws.tasks()} <= {"STOPPED"}


def test_a_part_that_nobody_needs_any_more_ends_by_itself(project: Project, network: str) -> None:
    worker = ("dask-worker", "tcp://nowhere.example.com:8786", "--death-timeout", "1")
    ended = sh("docker", "run", "--rm", "--network", network, IMAGE, *worker, check=False, timeout=120)
    assert "Reason: worker-death-timeout" in ended.stderr or "Timed out" in ended.stderr, ended.stderr
    name = f"{network}-scheduler"
    sh(
        "docker",
        "run",
        "--detach",
        "--name",
        name,
        "--network",
        network,
        IMAGE,
        "dask-scheduler",
        "--idle-timeout",
        "2s",
    )
    state = ("docker", "inspect", "--format", "{{.State.Status}}", name)
    eventually(lambda: sh(*state).stdout.strip() == "exited", "the idle scheduler ends")


def test_the_page_is_tested_as_it_stands() -> None:
    for code in fragments("python"):
        compile(textwrap.dedent(code), "dask-clusters.md", "exec")
    assert len(fragments("python")) == 4
