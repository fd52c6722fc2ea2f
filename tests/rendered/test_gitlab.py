"""The pipeline and Renovate's settings of ``ci=gitlab``, as far as their text goes."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from itertools import takewhile
from pathlib import Path
from typing import Any

import pytest
import yaml
from platforms import made_secrets
from rendering import Renderer

from ds_docker_env.generation import services
from ds_docker_env.generation.services import DATABASES

PRODUCTION = {"production_requirements": "/api/requirements.txt"}
DATA = {"dvc_s3_url": "s3://bucket/churn"}
SERVICES = {"services": ",".join(DATABASES)}
EVERY = [
    PRODUCTION | DATA | SERVICES,
    PRODUCTION | DATA,
    PRODUCTION,
    DATA,
    SERVICES,
    {"services": ",".join(services.SERVICES[:1])},
    {},
]
KEYS = """\
[default]
aws_access_key_id = AKIA1
aws_secret_access_key = canary/secret
aws_session_token = canary-session
"""
linux = pytest.mark.skipif(sys.platform != "linux", reason="needs the shell of a runner")


@pytest.fixture(scope="module")
def render() -> Renderer:
    return Renderer()


def pipeline(render: Renderer, **answers: str) -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load(render(".gitlab-ci.yml", **answers))
    return read


def steps(render: Renderer, **answers: str) -> list[str]:
    """Return the comments above the steps of the job."""
    text = render(".gitlab-ci.yml", **answers).partition("  script:\n")[2]
    return re.findall(r"^ +# ([^:,\n]+)", text, re.MULTILINE)


def test_the_steps_are_those_that_a_project_has_something_for(render: Renderer) -> None:
    names = [
        *("Make the secrets", "Build the image", "Check production's versions", "Audit the packages and the code"),
        *("Lint the code", "Write AWS credentials of the role AWS_ROLE_ARN", "Pull the data", "Run the notebooks"),
        *("Push the checked image", "Keep the reports"),
    ]
    assert steps(render, **PRODUCTION, **DATA, **SERVICES) == names
    assert steps(render) == [name for name in names if not re.search("Check production|AWS|data", name)]


def test_every_rendering_looks_hand_written(render: Renderer) -> None:
    for asked in EVERY:
        readme = render("README.md", **asked, ci="gitlab").partition("\n## On GitLab\n")[2].partition("\n## ")[0]
        assert len(readme.strip().splitlines()) == 3
        for text in (readme, render(".gitlab-ci.yml", **asked)):
            assert not re.search(r"\n\n\n|[ \t]\n|\n\n\Z|[{}]%", text)
            assert text.endswith("\n")
            assert max(map(len, text.splitlines())) <= 120
    assert "GitLab" not in render("README.md")


@linux
def test_each_file_that_compose_mounts_is_made_in_the_job(render: Renderer, tmp_path: Path) -> None:
    for number, asked in enumerate(EVERY):
        needed = set(re.findall(r"\.secrets/(\w+)", render("docker-compose.yml", **asked)))
        script = takewhile(lambda command: "docker" not in command, pipeline(render, **asked)["analysis"]["script"])
        made = made_secrets("\n".join(script), tmp_path / str(number))
        assert set(made) == needed
        assert all(re.fullmatch(r"[0-9a-f]{32}\n", made[name]) for name in needed if name.endswith("_password"))


def test_a_change_has_one_pipeline_and_a_push_elsewhere_has_none(render: Renderer) -> None:
    conditions = [rule["if"] for rule in pipeline(render)["workflow"]["rules"]]
    assert conditions == [
        "$CI_COMMIT_TAG =~ /^v/",
        '$CI_PIPELINE_SOURCE == "merge_request_event"',
        "$CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH",
    ]


def test_only_the_default_branch_writes_the_cache_and_a_tag_does_not_read_it(render: Renderer) -> None:
    tag, change, default = (
        rule.get("variables", {}).get("CACHE", "") for rule in pipeline(render)["workflow"]["rules"]
    )
    assert tag == ""
    assert "cache-from=" in change and "cache-to=" not in change
    assert default.startswith(change) and "cache-to=" in default


def test_images_are_named_by_digest(render: Renderer) -> None:
    job = pipeline(render)["analysis"]
    assert re.fullmatch(r"docker:[\d.]+-dind@sha256:[0-9a-f]{64}", job["image"])
    assert job["services"] == [{"name": job["image"], "alias": "docker"}]


def test_the_checkout_leaves_no_token_in_the_folder_that_the_notebook_reads(render: Renderer) -> None:
    """Git asks a helper, which reads the environment: https://docs.gitlab.com/runner/configuration/feature-flags/."""
    assert pipeline(render)["analysis"]["variables"]["FF_GIT_URLS_WITHOUT_TOKENS"] == "true"


@linux
def test_the_token_of_the_job_becomes_keys_of_the_role_in_the_secret_and_is_in_no_file(
    render: Renderer, tmp_path: Path
) -> None:
    """With stand-ins of apk and of AWS's answer."""
    assert "id_tokens" not in pipeline(render)["analysis"]
    job = pipeline(render, **DATA)["analysis"]
    assert job["id_tokens"] == {"AWS_ID_TOKEN": {"aud": "$CI_SERVER_URL"}}
    [command] = [command for command in job["script"] if "aws sts" in command]
    stand_ins = 'apk() { :; }; aws() { echo "$*" >asked; printf "AKIA1\tcanary/secret\tcanary-session\n"; }\n'
    role = "arn:aws:iam::123456789012:role/churn"
    for given, keys in {"": "", role: KEYS}.items():
        (tmp_path / ".secrets").mkdir(exist_ok=True)
        (tmp_path / ".secrets" / "aws_credentials").touch()
        variables = {"AWS_ROLE_ARN": given, "AWS_ID_TOKEN": "canary-token", "CI_JOB_ID": "7"}
        done = subprocess.run(
            ["sh", "-ec", stand_ins + command], cwd=tmp_path, env={**os.environ, **variables}, capture_output=True
        )
        assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
        assert (tmp_path / ".secrets" / "aws_credentials").read_text() == keys
    asked = (tmp_path / "asked").read_text()
    assert "--web-identity-token canary-token" in asked and f"--role-arn {role}" in asked
    assert [path.name for path in (tmp_path / ".secrets").iterdir()] == ["aws_credentials"]


def test_renovate_moves_neither_a_package_nor_python_nor_a_service(render: Renderer) -> None:
    settings = json.loads(render("renovate.json"))
    assert settings["enabledManagers"] == ["dockerfile", "gitlabci", "pip_requirements"]
    off = {tuple(rule["matchManagers"]): rule for rule in settings["packageRules"] if rule["enabled"] is False}
    assert "matchUpdateTypes" not in off["pip_requirements",]
    assert off["dockerfile",]["matchUpdateTypes"] == ["major", "minor", "patch"]
    assert settings["vulnerabilityAlerts"] == {"enabled": False}
    assert settings["dependencyDashboardOSVVulnerabilitySummary"] == "all"
