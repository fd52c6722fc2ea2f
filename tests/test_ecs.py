"""The requests of docs/how-to/ecs.md are checked against AWS's model of its API, and for rules beyond that model."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from botocore.session import get_session
from botocore.validate import ParamValidator
from ecs_page import CONTAINER, IMAGE, PAGE, ROLES, RUN, TASK
from rendering import Renderer

ACCOUNT, REGION = "123456789012", "eu-west-1"
# The names that ECS and Docker have for a processor.
PROCESSORS = {"X86_64": "linux/amd64", "ARM64": "linux/arm64"}
# Root's capabilities with Docker and Fargate.
CAPABILITIES = {
    *("AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE", "NET_RAW"),
    *("SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT"),
}


@pytest.fixture(scope="module")
def ecs() -> Any:
    return get_session().get_service_model("ecs")


def parameters(shape: Any, value: Any) -> Iterator[tuple[Any, Any]]:
    """Return each part of a request with its shape in AWS's model."""
    yield shape, value
    if shape.type_name == "structure":
        for name, one in value.items():
            yield from parameters(shape.members[name], one)
    elif shape.type_name == "list":
        for one in value:
            yield from parameters(shape.member, one)


def test_awss_model_has_every_parameter_of_the_task_and_its_run(ecs: Any) -> None:
    shape = ecs.operation_model("RegisterTaskDefinition").input_shape
    assert ParamValidator().validate(TASK, shape).generate_report() == ""
    assert "Unknown parameter" in ParamValidator().validate({**TASK, "secrets": []}, shape).generate_report()
    run = ecs.operation_model("RunTask").input_shape
    assert ParamValidator().validate(RUN, run).generate_report() == ""
    assert (RUN["taskDefinition"], RUN["launchType"]) == (TASK["family"], *TASK["requiresCompatibilities"])


def test_the_task_uses_the_pushed_image_and_its_processor(ecs: Any) -> None:
    assert IMAGE["image"] == CONTAINER["image"]
    assert IMAGE["platform"] == PROCESSORS[TASK["runtimePlatform"]["cpuArchitecture"]]
    rows = re.findall(r'^\|.*`"runtimePlatform": (\{.*\})` \| `platform: (\S+)` \|$', PAGE, re.MULTILINE)
    shown = {json.loads(task)["cpuArchitecture"]: image for task, image in rows}
    assert shown == PROCESSORS
    # Windows has its own member.
    assert set(shown) == set(ecs.shape_for("CPUArchitecture").enum)
    assert [json.loads(task) for task, _ in rows if "X86_64" in task] == [TASK["runtimePlatform"]]


def test_each_value_is_one_that_aws_lists(ecs: Any) -> None:
    requests = {"RegisterTaskDefinition": TASK, "RunTask": RUN}
    shapes = [pair for name, one in requests.items() for pair in parameters(ecs.operation_model(name).input_shape, one)]
    asked = [(shape.enum, value) for shape, value in shapes if getattr(shape, "enum", None)]
    assert {value for _, value in asked} >= {"FARGATE", "awsvpc", "X86_64", "awslogs"}
    assert [value for values, value in asked if value not in values] == []
    # Some lists are only in AWS's documentation.
    listed = {
        ecs.shape_for("KernelCapabilities").members["drop"]: CONTAINER["linuxParameters"]["capabilities"]["drop"],
        ecs.shape_for("Tmpfs").members["mountOptions"]: ["exec"],
    }
    for shape, words in listed.items():
        assert [word for word in words if f'"{word}"' not in shape.documentation] == []


def test_the_task_is_confined_as_in_compose() -> None:
    compose = yaml.safe_load(Renderer()("docker-compose.yml", services=""))["services"]["jupyter"]
    assert (CONTAINER["user"], compose["user"]) == ("root", "owner")
    asked = CONTAINER["linuxParameters"]
    assert CAPABILITIES - set(asked["capabilities"]["drop"]) == set(compose["cap_add"])
    writable = {one["containerPath"] for one in [*asked["tmpfs"], *CONTAINER["mountPoints"]]}
    assert writable == {"/tmp", "/home", "/run/secrets"}
    assert {"containerPath": "/tmp", "size": 1024, "mountOptions": ["exec"]} in asked["tmpfs"]


def test_the_task_names_the_password_without_its_value() -> None:
    assert CONTAINER["environment"] == [{"name": "AWS_DEFAULT_REGION", "value": REGION}]
    [password] = CONTAINER["secrets"]
    assert password["valueFrom"].startswith(f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/")
    assert [one["Resource"] for one in ROLES["execution"]["Statement"] if one["Action"] == "ssm:GetParameters"] == [
        password["valueFrom"]
    ]


def test_roles_have_named_actions_on_named_resources() -> None:
    for policy in ROLES.values():
        for statement in policy["Statement"]:
            actions = [statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"]
            assert not any("*" in action for action in actions)
            # AWS grants this action for all repositories only.
            assert statement["Resource"].count("*") <= 1
            assert statement["Resource"] != "*" or actions == ["ecr:GetAuthorizationToken"]
