"""The pipeline and Renovate's settings of ``ci=gitlab``, as far as their text goes."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import yaml
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


@pytest.fixture(scope="module")
def render() -> Renderer:
    return Renderer()


def pipeline(render: Renderer, **answers: str) -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load(render(".gitlab-ci.yml", **answers))
    return read


def steps(render: Renderer, **answers: str) -> list[str]:
    """Return the words that the steps of the job are called by."""
    text = render(".gitlab-ci.yml", **answers).partition("  script:\n")[2]
    return re.findall(r"^ +# ([A-Z][a-z]+)(?::.*)?$", text, re.MULTILINE)


def test_the_steps_are_those_that_a_project_has_something_for(render: Renderer) -> None:
    least = ["Secrets", "Build", "Audit", "Lint", "Run", "Push", "Keep"]
    assert steps(render) == least
    most = steps(render, **PRODUCTION, **DATA, **SERVICES)
    assert most == ["Secrets", "Build", "Check", "Audit", "Lint", "Data", "Run", "Push", "Keep"]


def test_every_rendering_looks_hand_written(render: Renderer) -> None:
    for asked in EVERY:
        readme = render("README.md", **asked, ci="gitlab").partition("\n## On GitLab\n")[2].partition("\n## ")[0]
        assert len(readme.strip().splitlines()) == 3
        for text in (readme, render(".gitlab-ci.yml", **asked)):
            assert not re.search(r"\n\n\n|[ \t]\n|\n\n\Z|[{}]%", text)
            assert text.endswith("\n")
            assert max(map(len, text.splitlines())) <= 120
    assert "GitLab" not in render("README.md")


def test_each_file_that_compose_mounts_is_made_in_the_job(render: Renderer) -> None:
    for asked in EVERY:
        secrets = yaml.safe_load(render("docker-compose.yml", **asked))["secrets"].values()
        script = "\n".join(pipeline(render, **asked)["analysis"]["script"])
        for path in re.findall(r"\.secrets/\w+", str(secrets)):
            database = re.sub(r"\.secrets/(\w+)_password", r"\1", path)
            assert f">{path}" in script or f"touch {path}" in script or f" {database}" in script


def test_a_change_has_one_pipeline_and_a_push_elsewhere_has_none(render: Renderer) -> None:
    conditions = [rule["if"] for rule in pipeline(render)["workflow"]["rules"]]
    assert conditions == [
        "$CI_COMMIT_TAG =~ /^v/",
        '$CI_PIPELINE_SOURCE == "merge_request_event"',
        "$CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH",
    ]


def test_only_the_default_branch_writes_layers_and_a_tag_does_not_read_them(render: Renderer) -> None:
    tag, change, default = (
        rule.get("variables", {}).get("LAYERS", "") for rule in pipeline(render)["workflow"]["rules"]
    )
    assert tag == ""
    assert "cache-from=" in change and "cache-to=" not in change
    assert default.startswith(change) and "cache-to=" in default


def test_images_are_named_by_digest(render: Renderer) -> None:
    job = pipeline(render)["analysis"]
    assert re.fullmatch(r"docker:[\d.]+-dind@sha256:[0-9a-f]{64}", job["image"])
    assert job["services"] == [{"name": job["image"], "alias": "docker"}]


def test_no_key_of_aws_is_asked_for_but_a_token_of_the_job(render: Renderer) -> None:
    assert "id_tokens" not in pipeline(render)["analysis"]
    assert pipeline(render, **DATA)["analysis"]["id_tokens"] == {"AWS_ID_TOKEN": {"aud": "$CI_SERVER_URL"}}
    assert "access_key" not in render(".gitlab-ci.yml", **DATA).lower()


def test_renovate_moves_neither_a_package_nor_python_nor_a_service(render: Renderer) -> None:
    settings = json.loads(render("renovate.json"))
    assert settings["enabledManagers"] == ["dockerfile", "gitlabci", "pip_requirements"]
    off = {tuple(rule["matchManagers"]): rule for rule in settings["packageRules"] if rule["enabled"] is False}
    assert "matchUpdateTypes" not in off["pip_requirements",]
    assert off["dockerfile",]["matchUpdateTypes"] == ["major", "minor", "patch"]
    assert settings["vulnerabilityAlerts"] == {"enabled": False}
    assert settings["dependencyDashboardOSVVulnerabilitySummary"] == "all"
