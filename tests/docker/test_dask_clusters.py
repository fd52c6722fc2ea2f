"""The Python of docs/how-to/dask-clusters.md, with its libraries and without a cluster."""

from __future__ import annotations

import json
import re
import textwrap

import pytest
from pages import page

from docker.project import blocks, sh

pytestmark = [pytest.mark.docker, pytest.mark.network]

PAGE = page("dask-clusters.md")
CLIENT = """
from dask.distributed import Client
client = Client(processes=False)
"""
# The pods that the operator makes from the page's specs.
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
from distributed import SpecCluster
classes = (SpecCluster, ECSCluster, FargateCluster)
known = {{name for one in classes for name in inspect.signature(one).parameters}}
print(sorted({{*where, *size, *{options}}} - known))
"""


def test_the_pages_python_works_with_the_libraries() -> None:
    prove, spec, use, fargate = blocks(PAGE, "python")
    packages = re.findall(r"^\| \w+ \| `add \"?(.+?)\"?` \|$", PAGE, re.MULTILINE)
    assert len(packages) == 2
    compute = textwrap.dedent(use.partition("\n")[2]).replace("wait_for_workers(4)", "wait_for_workers(1)")
    where, cluster, fargate_use = fargate.partition("with FargateCluster")
    compile(cluster + fargate_use, "dask-clusters.md", "exec")
    options = re.findall(r"\b(\w+)=", fargate_use.partition(" as cluster")[0])
    assert len(options) == 2
    code = "\n".join([CLIENT, compute, prove, spec, PODS, where, UNKNOWN.format(options=options)])
    libraries = (f"--with={package}" for package in packages)
    said = sh("uv", "run", "--no-project", *libraries, "python", "-c", code).stdout.splitlines()
    computed, described, unknown = said
    assert (computed, unknown) == ("328350", "[]")
    # On a cluster the image's settings, which require a certificate, are ignored.
    assert (
        described.count('{"name": "DASK_ROOT_CONFIG", "value": "/none"}')
        == len(re.findall("DASK_ROOT_CONFIG", where)) * 2
    )
    assert '"security_groups": ["sg-' in where
    replicas, *pods = json.loads(described)
    assert replicas == 4
    for pod, command in zip(pods, ("dask-scheduler", "dask-worker"), strict=True):
        [container] = pod["containers"]
        assert container["args"][0] == command
        assert pod["securityContext"]["runAsNonRoot"] is container["securityContext"]["readOnlyRootFilesystem"] is True
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert container["volumeMounts"] == [{"name": "tmp", "mountPath": "/tmp"}]
