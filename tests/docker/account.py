"""An imitation of an AWS account with Fargate: moto answers and checks roles, Docker runs a task as it is defined."""

from __future__ import annotations

import json
import secrets
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from unittest import mock

import boto3
import moto.ecs.models
import moto.logs.responses
import moto.ssm.responses
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.moto_api import state_manager
from moto.sts.models import sts_backends

from docker.project import sh
from docker.storage import Storage

REGION = "eu-west-1"
# ECS serves the credentials of a task's role at this address, which a Docker network can have.
SUBNET, HOST, AGENT = "169.254.170.0/24", "169.254.170.1", "169.254.170.2"
# Keys that `run` implements as Fargate does. A definition with other keys is refused.
HONOURED = {
    *("name", "image", "essential", "user", "readonlyRootFilesystem", "linuxParameters", "mountPoints"),
    *("environment", "secrets", "entryPoint", "command", "logConfiguration"),
}


class Account(Storage):
    """It has the bucket, one subnet and one security group; its user may do everything.

    Raise `OSError` if this machine cannot use the address.
    """

    def __init__(self, folder: Path, image: str, bucket: str) -> None:
        self._folder = folder
        with ExitStack() as undo:
            network = f"ds-docker-env-test-{secrets.token_hex(3)}"
            sh("docker", "network", "create", "--subnet", SUBNET, "--gateway", HOST, network)
            undo.callback(sh, "docker", "network", "rm", network, check=False)
            self._network = ("--network", network)
            at = (*self._network, "--ip", AGENT, "--volume", f"{folder}:/credentials:ro", "--entrypoint", "python3")
            serve = ("-m", "http.server", "80", "--directory", "/credentials")
            agent = sh("docker", "run", "--detach", *at, image, *serve).stdout.strip()
            undo.callback(sh, "docker", "rm", "--force", agent, check=False)
            # moto determines resources of requests to S3 only.
            logs, ssm = moto.logs.responses.LogsResponse, moto.ssm.responses.SimpleSystemManagerResponse
            undo.enter_context(mock.patch.object(logs, "_determine_resource", _log_stream, create=True))
            undo.enter_context(mock.patch.object(ssm, "_determine_resource", _parameter, create=True))
            # moto counts the memory of containers; on Fargate only the task has a limit.
            backend, count = moto.ecs.models.EC2ContainerServiceBackend, "_calculate_task_resource_requirements"
            undo.enter_context(mock.patch.object(backend, count, lambda *_: {}))
            super().__init__(HOST, bucket)
            self._undo = undo.pop_all()
        # By default moto ends a task when it is described a second time.
        state_manager.set_transition("ecs::task", {"progression": "manual", "times": 10**9})
        ec2 = self.client("ec2")
        vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        ec2.modify_vpc_attribute(VpcId=vpc, EnableDnsHostnames={"Value": True})
        self.subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.0.0/24")["Subnet"]["SubnetId"]
        self.group = ec2.create_security_group(GroupName="task", Description="task", VpcId=vpc)["GroupId"]
        self.client("ecs").put_account_setting(name="taskLongArnFormat", value="enabled")

    def __exit__(self, *error: object) -> None:
        super().__exit__(*error)
        state_manager.unset_transition("ecs::task")
        self._undo.close()

    @property
    def environment(self) -> dict[str, str]:
        """Environment variables of the user's AWS CLI."""
        return {
            "AWS_ACCESS_KEY_ID": self.key["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": self.key["SecretAccessKey"],
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ENDPOINT_URL": self.url,
        }

    def client(self, service: str, role: str | None = None) -> Any:
        """Boto3's client for the user, or for a role."""
        key = self._key_of(role) if role else self.key
        return boto3.client(
            service,
            region_name=REGION,
            endpoint_url=self.url,
            aws_access_key_id=key["AccessKeyId"],
            aws_secret_access_key=key["SecretAccessKey"],
            aws_session_token=key.get("Token"),
        )

    def run(self, arn: str) -> None:
        """Run the container of a task until it ends, and note its exit code."""
        ecs = self.client("ecs")
        [cluster] = ecs.list_clusters()["clusterArns"]
        [task] = ecs.describe_tasks(cluster=cluster, tasks=[arn])["tasks"]
        definition = ecs.describe_task_definition(taskDefinition=task["taskDefinitionArn"])["taskDefinition"]
        [container] = definition["containerDefinitions"]
        assert {name for name, value in container.items() if value} <= HONOURED
        executor = definition["executionRoleArn"]
        log = container["logConfiguration"]["options"]
        options = [
            *(*self._network, "--pull", "never", "--user", container["user"]),
            *("--memory", f"{definition['memory']}m", "--memory-swap", f"{definition['memory']}m"),
            f"--read-only={str(container['readonlyRootFilesystem']).lower()}",
            *(f"--cap-drop={one}" for one in container["linuxParameters"]["capabilities"]["drop"]),
            *(f"--tmpfs={_tmpfs(one)}" for one in container["linuxParameters"]["tmpfs"]),
            # Fargate's volumes are empty and owned by root.
            *(f"--mount=type=volume,dst={one['containerPath']},volume-nocopy" for one in container["mountPoints"]),
            *(f"--env={one['name']}={one['value']}" for one in container["environment"]),
            *(f"--env={one['name']}={self._secret(one['valueFrom'], executor)}" for one in container["secrets"]),
            f"--env=AWS_CONTAINER_CREDENTIALS_RELATIVE_URI={self._lend(definition['taskRoleArn'])}",
            # A real task does not need this variable.
            f"--env=AWS_ENDPOINT_URL={self.url}",
            *("--log-driver", container["logConfiguration"]["logDriver"]),
            *(f"--log-opt=awslogs-{name}={log[f'awslogs-{name}']}" for name in ("group", "region")),
            f"--log-opt=awslogs-stream={log['awslogs-stream-prefix']}/{container['name']}/{arn.rpartition('/')[2]}",
            f"--log-opt=awslogs-endpoint={self.url}",
            f"--log-opt=awslogs-credentials-endpoint={self._lend(executor)}",
            f"--entrypoint={container['entryPoint'][0]}",
        ]
        command = [*container["entryPoint"][1:], *container["command"]]
        started = sh("docker", "run", "--detach", *options, container["image"], *command).stdout.strip()
        try:
            code = int(sh("docker", "wait", started).stdout)
        finally:
            sh("docker", "rm", "--force", "--volumes", started)
        found = moto.ecs.models.ecs_backends[DEFAULT_ACCOUNT_ID][REGION].tasks[cluster.rpartition("/")[2]][arn]
        found.status, found.containers[0].exitCode = "STOPPED", code
        found.stopped_reason = "Essential container in task exited"

    def _secret(self, arn: str, role: str) -> str:
        name = arn.partition(":parameter")[2]
        [found] = self.client("ssm", role).get_parameters(Names=[name], WithDecryption=True)["Parameters"]
        return str(found["Value"])

    def _lend(self, role: str) -> str:
        """Write a key of the role where a container finds it, and return the path."""
        name = secrets.token_hex(16)
        (self._folder / name).write_text(json.dumps(self._key_of(role)), encoding="utf-8")
        return f"/{name}"

    def _key_of(self, role: str) -> dict[str, str]:
        """Lend a role to ECS, if it trusts ECS; moto does not assume roles as a service."""
        found = self.client("iam").get_role(RoleName=role.rpartition("/")[2])["Role"]
        [trust] = found["AssumeRolePolicyDocument"]["Statement"]
        assert trust["Principal"] == {"Service": "ecs-tasks.amazonaws.com"}
        assert trust["Condition"] == {"StringEquals": {"aws:SourceAccount": DEFAULT_ACCOUNT_ID}}
        lent = sts_backends[DEFAULT_ACCOUNT_ID]["aws"].assume_role(REGION, "ecs", role, "", 3600, "")
        return {
            "AccessKeyId": lent.access_key_id,
            "SecretAccessKey": lent.secret_access_key,
            "Token": lent.session_token,
            "Expiration": lent.expiration.strftime("%Y-%m-%dT%H:%M:%SZ"),
        }


def _log_stream(asked: Any) -> str:
    group, stream = (asked._get_param(f"log{part}Name") for part in ("Group", "Stream"))
    return f"arn:aws:logs:{REGION}:{DEFAULT_ACCOUNT_ID}:log-group:{group}:log-stream:{stream}"


def _parameter(asked: Any) -> str:
    [name] = asked._get_param("Names") or [asked._get_param("Name")]
    return f"arn:aws:ssm:{REGION}:{DEFAULT_ACCOUNT_ID}:parameter{name}"


def _tmpfs(asked: dict[str, Any]) -> str:
    options = [f"size={asked['size']}m", *asked.get("mountOptions", [])]
    return f"{asked['containerPath']}:{','.join(options)}"
