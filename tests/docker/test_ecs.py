"""The commands of docs/how-to/ecs.md, with the real AWS CLI and an imitation of AWS that starts the project's image."""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError
from ecs_page import FILES, IMAGE, RUN, TASK, commands

from docker.conftest import generated, have_image, missing
from docker.project import NOTEBOOK, Project, sh
from docker.registry import registry

if TYPE_CHECKING:
    from docker.account import Account

pytestmark = [pytest.mark.docker, pytest.mark.network]

BUCKET = "example-analyses"
REPLICA = Path(".secrets", "replica_password")
PASSWORD = "correct horse battery staple"
# The bcrypt hash of the token of moto's ECR.
LOGIN = "AWS:$2b$05$abcdefghijklmnopqrstuu/4ofrUS75HrKu6f.iuRo0I/XlrmpqlC\n"
BASE = "python:3.13-trixie"
CUSTOMERS = b"id,city\n1,Bonn\n2,Ulm\n"
MD5 = hashlib.md5(CUSTOMERS, usedforsecurity=False).hexdigest()
# The file of `dvc add` and the object of `dvc push`.
POINTER = f"outs:\n- md5: {MD5}\n  size: {len(CUSTOMERS)}\n  hash: md5\n  path: customers.csv\n"
STORED = f"churn/files/md5/{MD5[:2]}/{MD5[2:]}"
# The cell proves that it got the right password.
CELL = f"""\
import hashlib
from pathlib import Path

import pandas as pd

print(pd.read_csv("data/customers.csv").city.str.cat(sep=" and "))
environments = [path.read_text() for path in Path("/proc").glob("[0-9]*/environ")]
print(sum("PATH=" in one for one in environments) > 2, any("REPLICA" in one for one in environments))
password = Path("/run/secrets/replica_password").read_text().strip()
if hashlib.sha256(password.encode()).hexdigest() != "{hashlib.sha256(PASSWORD.encode()).hexdigest()}":
    raise PermissionError("login refused")
"""


@pytest.fixture(scope="module")
def account(engine: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    # This import takes seconds, which fast tests do not need.
    from docker.account import HOST, Account

    have_image(BASE)
    try:
        account = Account(tmp_path_factory.mktemp("credentials"), BASE, BUCKET)
    except OSError:
        missing(f"containers cannot reach this machine: it cannot have the address {HOST}")
    with account:
        yield account


@pytest.fixture(scope="module")
def project(account: Account, generate: Callable[..., Path]) -> Iterator[Project]:
    """Generate, with data and a password, and write the page's files."""
    answers = {"dvc_s3_url": f"s3://{BUCKET}/churn", "python_version": "3.13", "debian_release": "trixie"}
    with generated(generate, **answers) as project:
        for name, text in {**FILES, "src/data/customers.csv.dvc": POINTER, REPLICA: f"{PASSWORD}\n"}.items():
            (project.folder / name).parent.mkdir(exist_ok=True)
            (project.folder / name).write_text(text, encoding="utf-8")
        project.write_notebook(CELL, name=NOTEBOOK.as_posix())
        account.s3.put_object(Bucket=BUCKET, Key=STORED, Body=CUSTOMERS)
        yield project


@pytest.fixture(scope="module")
def follow(account: Account, project: Project) -> Callable[..., str]:
    """Run a block of the page, with this account's names in place of the examples."""
    # 150 MB, so not among the development tools.
    shell = ("uv", "run", "--no-project", "--with", "awscli==1.46.3", "bash", "-euo", "pipefail", "-c")

    def _follow(block: str, replaced: dict[str, str] | None = None, **environment: str) -> str:
        for example, real in (replaced or {}).items():
            block = block.replace(example, real)
        everything = {**project.environment, **account.environment, **environment}
        return sh(*shell, block, folder=project.folder, environment=everything).stdout

    return _follow


@pytest.fixture(scope="module")
def ecr(engine: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("registry")
    with registry(folder, LOGIN) as address:
        yield address
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def pushed(
    account: Account,
    project: Project,
    follow: Callable[..., str],
    ecr: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[str]:
    """Run the commands for the first time, and push, on a laptop with any processor."""
    ours = {
        IMAGE["image"].partition("/")[0]: ecr,
        RUN["networkConfiguration"]["awsvpcConfiguration"]["subnets"][0]: account.subnet,
        RUN["networkConfiguration"]["awsvpcConfiguration"]["securityGroups"][0]: account.group,
    }
    for path in (project.folder / "ecs").iterdir():
        text = path.read_text(encoding="utf-8")
        for example, real in ours.items():
            text = text.replace(example, real)
        path.write_text(text, encoding="utf-8")
    follow(commands("Set up AWS once")[0])
    [push] = commands("Push the image")
    docker = str(tmp_path_factory.mktemp("docker"))
    with pytest.raises(AssertionError, match="does not support value set by DOCKER_DEFAULT_PLATFORM: linux/arm64"):
        follow(push, ours, DOCKER_CONFIG=docker, DOCKER_DEFAULT_PLATFORM="linux/arm64")
    assert "linux/amd64\n" in follow(push, ours, DOCKER_CONFIG=docker)
    yield f"{ecr}/churn:1"
    sh("docker", "image", "rm", "--force", f"{ecr}/churn:1", check=False)


def run(account: Account, follow: Callable[..., str]) -> tuple[list[str], str]:
    """Run the page's commands; return the description of the task, and its log."""
    start, look = commands("Run the task")
    _, arn = follow(start).split()
    account.run(arn)
    said, _, log = follow(look, {"0123456789abcdef0123456789abcdef": arn.rpartition("/")[2]}).partition("\n")
    return said.split("\t"), re.sub(r"\x1b\[[0-9;]*m", "", log)


def test_the_task_reads_data_and_password_and_saves_its_report_to_s3(
    account: Account, follow: Callable[..., str], pushed: str
) -> None:
    said, log = run(account, follow)
    assert said == ["0", "Essential container in task exited"]
    [key] = account.objects("reports/")
    assert log.splitlines()[-1] == f"report: s3://{BUCKET}/{key}"
    report = account.content(key).decode()
    assert "Bonn and Ulm" in report
    assert "True False" in report
    assert PASSWORD not in report + log
    assert account.s3.head_object(Bucket=BUCKET, Key=key)["ContentType"] == "text/html"


def test_a_failing_cell_is_in_the_tasks_exit_code_and_log(
    account: Account, follow: Callable[..., str], pushed: str
) -> None:
    before = account.objects("reports/")
    account.client("ssm").put_parameter(Name="/churn/replica_password", Value="another", Overwrite=True)
    said, log = run(account, follow)
    assert said == ["1", "Essential container in task exited"]
    assert "PermissionError: login refused" in log
    assert account.objects("reports/") == before


def test_the_image_has_notebook_and_pointers_and_reports_a_missing_role(account: Account, pushed: str) -> None:
    run = ("docker", "run", "--rm", "--env", f"AWS_ENDPOINT_URL={account.url}", pushed)
    found = sh(*run, "find", ".", "-type", "f", "-printf", "%P\n").stdout.split()
    ours = {NOTEBOOK.as_posix(), "src/task.sh", "src/data/customers.csv.dvc"}
    assert set(found) == {".dvc/config", ".dvcignore", *ours}
    without = sh(*run, "dvc", "pull", check=False)
    assert without.returncode != 0
    assert "AWS credentials are missing" in without.stderr


def test_the_roles_have_only_the_permissions_of_the_page(account: Account, pushed: str) -> None:
    def refused(role: str, service: str, action: str, **asked: Any) -> bool:
        with pytest.raises(ClientError, match="AccessDenied"):
            getattr(account.client(service, TASK[f"{role}RoleArn"]), action)(**asked)
        return True

    report = {"Bucket": BUCKET, "Key": "reports/churn/1.html"}
    account.client("s3", TASK["taskRoleArn"]).put_object(**report)
    assert refused("task", "s3", "get_object", **report)
    assert refused("task", "s3", "put_object", Bucket=BUCKET, Key=STORED)
    assert refused("task", "s3", "put_object", Bucket=BUCKET, Key="reports/other/1.html")
    assert refused("task", "ssm", "get_parameters", Names=["/churn/replica_password"])
    assert refused("execution", "ssm", "get_parameters", Names=["/other/password"])
    assert refused("execution", "logs", "create_log_stream", logGroupName="/ecs/other", logStreamName="1")
    assert refused("execution", "s3", "get_object", Bucket=BUCKET, Key=STORED)
