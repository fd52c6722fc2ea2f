"""An imitation of AWS Fargate: moto answers for the API, and Docker runs the tasks at the addresses that it gives."""

from __future__ import annotations

import itertools
import threading
from types import TracebackType
from typing import Any
from unittest import mock

import boto3
import moto.ecs.models
from moto.moto_api import state_manager
from moto.server import ThreadedMotoServer

from docker.project import sh
from docker.storage import tell_moto

REGION = "eu-west-1"
KEYS = {"AWS_ACCESS_KEY_ID": "not-a-key", "AWS_SECRET_ACCESS_KEY": "not-a-secret"}


class Fargate:
    """Has one subnet, which is a Docker network, and a security group and roles of these names."""

    def __init__(self, name: str, roles: list[str]) -> None:
        self.network = name
        config = "{{with index .IPAM.Config 0}}{{.Subnet}} {{.Gateway}}{{end}}"
        # Docker knows which addresses are free here, but takes single ones only in a subnet that it was told.
        sh("docker", "network", "create", name)
        subnet, gateway = sh("docker", "network", "inspect", name, "--format", config).stdout.split()
        sh("docker", "network", "rm", name)
        sh("docker", "network", "create", "--subnet", subnet, "--gateway", gateway, name)
        # moto gives any private address, and lets a task end as soon as it is looked at twice.
        prefix = gateway.rpartition(".")[0]
        addresses = itertools.count(100)
        self._addresses = mock.patch.object(moto.ecs.models, "random_private_ip", lambda: f"{prefix}.{next(addresses)}")
        self._addresses.start()
        state_manager.set_transition("ecs::task", {"progression": "manual", "times": 10**9})
        self._server = ThreadedMotoServer(ip_address=gateway, port=0, verbose=False)
        self._server.start()
        self.environment = {
            **KEYS,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ENDPOINT_URL": f"http://{gateway}:{self._server.get_host_and_port()[1]}",
        }
        self.ecs = self._client("ecs")
        self._ec2 = self._client("ec2")
        self.ecs.put_account_setting(name="taskLongArnFormat", value="enabled")
        self.vpc = self._ec2.create_vpc(CidrBlock=subnet)["Vpc"]["VpcId"]
        self._ec2.modify_vpc_attribute(VpcId=self.vpc, EnableDnsHostnames={"Value": True})
        self.subnet_id = self._ec2.create_subnet(VpcId=self.vpc, CidrBlock=subnet)["Subnet"]["SubnetId"]
        group = self._ec2.create_security_group(GroupName="dask", Description="dask", VpcId=self.vpc)
        self.security_group = group["GroupId"]
        for role in roles:
            self._client("iam").create_role(RoleName=role, AssumeRolePolicyDocument="{}")
        self.started: dict[str, str] = {}
        self._stop = threading.Event()
        self._runner = threading.Thread(target=self._run)

    def __enter__(self) -> Fargate:
        self._runner.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._runner.join()
        # Of what moto has of AWS there is one for all its servers in a process, also for those of the next test file.
        tell_moto(self.environment["AWS_ENDPOINT_URL"], "reset")
        state_manager.unset_transition("ecs::task")
        self._addresses.stop()
        self._server.stop()
        for container in self.started.values():
            sh("docker", "rm", "--force", container, check=False)
        sh("docker", "network", "rm", self.network, check=False)

    def tasks(self) -> list[Any]:
        found = []
        for cluster in self.ecs.list_clusters()["clusterArns"]:
            if arns := self.ecs.list_tasks(cluster=cluster)["taskArns"]:
                found += self.ecs.describe_tasks(cluster=cluster, tasks=arns)["tasks"]
        return found

    def _client(self, service: str) -> Any:
        return boto3.client(
            service,
            region_name=REGION,
            endpoint_url=self.environment["AWS_ENDPOINT_URL"],
            aws_access_key_id=KEYS["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=KEYS["AWS_SECRET_ACCESS_KEY"],
        )

    def _run(self) -> None:
        while not self._stop.wait(0.3):
            for task in self.tasks():
                if task["lastStatus"] == "RUNNING" and task["taskArn"] not in self.started:
                    self.started[task["taskArn"]] = self._start(task)

    def _start(self, task: Any) -> str:
        asked = self.ecs.describe_task_definition(taskDefinition=task["taskDefinitionArn"])["taskDefinition"]
        [container] = asked["containerDefinitions"]
        [override] = task["overrides"]["containerOverrides"]
        details = {detail["name"]: detail["value"] for detail in task["attachments"][0]["details"]}
        interfaces = self._ec2.describe_network_interfaces(NetworkInterfaceIds=[details["networkInterfaceId"]])
        address = interfaces["NetworkInterfaces"][0]["PrivateIpAddress"]
        environment = [f"--env={one['name']}={one['value']}" for one in override.get("environment", [])]
        where = ("--network", self.network, "--ip", address, *environment, container["image"])
        return sh("docker", "run", "--detach", *where, *override["command"]).stdout.strip()
