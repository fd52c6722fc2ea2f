"""The Python of docs/how-to/dask-clusters.md, against the libraries that it names and without a cluster."""

from __future__ import annotations

import json
import re
import textwrap

import pytest
from pages import page

from docker.project import blocks, sh

pytestmark = [pytest.mark.docker, pytest.mark.network]

PAGE = page("dask-clusters.md")
# What the operator makes of the page's pod specs.
PODS = """
import json
from dask_kubernetes.operator.controller.controller import build_scheduler_deployment_spec, build_worker_deployment_spec
name, scheduler, worker = spec["metadata"]["name"], spec["spec"]["scheduler"]["spec"], spec["spec"]["worker"]
deployments = [
    build_scheduler_deployment_spec(name, scheduler, {}, {}),
    build_worker_deployment_spec(f"{name}-default", "analysis", name, "0", worker["spec"], {}, {}),
]
print(json.dumps([worker["replicas"], *(deployment["spec"]["template"]["spec"] for deployment in deployments)]))
"""
UNKNOWN = """
import inspect
from dask_cloudprovider.aws import ECSCluster
known = {name for cluster in (ECSCluster, FargateCluster) for name in inspect.signature(cluster).parameters}
print(sorted({*where, *NAMED} - known))
"""


def python(code: str) -> str:
    packages = re.findall(r"^\| \w+ \| `(.+)` \|$", PAGE, re.MULTILINE)
    assert len(packages) == 2
    options = [f"--with={package}" for package in packages]
    return sh("uv", "run", "--no-project", *options, "python", "-c", code).stdout


def test_the_cluster_of_the_page_computes_and_its_parts_have_the_same_packages() -> None:
    prove, _, use, _ = blocks(PAGE, "python")
    compute = textwrap.dedent(use.partition("\n")[2]).replace("wait_for_workers(4)", "wait_for_workers(1)")
    client = "from dask.distributed import Client\nclient = Client(processes=False)\n"
    assert python(client + compute + prove) == "328350\n"


def test_dasks_operator_takes_the_pods_of_the_page_and_kubernetes_holds_them_back() -> None:
    _, spec, *_ = blocks(PAGE, "python")
    replicas, *pods = json.loads(python(spec + PODS))
    assert replicas == 4
    for pod, command in zip(pods, ("dask-scheduler", "dask-worker"), strict=True):
        [container] = pod["containers"]
        assert container["args"][0] == command
        assert pod["securityContext"]["runAsNonRoot"] is container["securityContext"]["readOnlyRootFilesystem"] is True
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert container["volumeMounts"] == [{"name": "tmp", "mountPath": "/tmp"}]


def test_fargate_is_asked_for_what_dask_knows_and_for_a_closed_group() -> None:
    *_, code = blocks(PAGE, "python")
    where, cluster, use = code.partition("with FargateCluster")
    compile(cluster + use, "dask-clusters.md", "exec")
    assert '"security_groups": ["sg-' in where
    named = re.findall(r"\b(\w+)=", use.partition(" as cluster")[0])
    assert len(named) == 3
    assert python(where + UNKNOWN.replace("NAMED", repr(named))) == "[]\n"
