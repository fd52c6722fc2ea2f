"""What GitHub reads of a project: the workflow and Dependabot's settings, for every project that the questions give."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from rendering import Renderer, answers

from ds_docker_env.generation.services import SERVICES

WORKFLOW, DEPENDABOT = ".github/workflows/analysis.yml", ".github/dependabot.yml"


@pytest.fixture(scope="module")
def render() -> Renderer:
    return Renderer()


@pytest.fixture(scope="module")
def workflows(render: Renderer) -> dict[str, dict[str, str]]:
    """Return each distinct text, with answers that give it."""
    return {render(WORKFLOW, **asked): asked for asked in answers()}


def steps(job: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {step.get("name", step.get("uses")): step for step in job["steps"]}


def test_every_workflow_looks_hand_written(workflows: dict[str, dict[str, str]], render: Renderer) -> None:
    assert len(workflows) == 4 * 2 ** len({"mysql", "postgres"} & {*SERVICES})
    readmes = [render("README.md", **asked, ci="github") for asked in workflows.values()]
    for text in [*workflows, *readmes, *(render(DEPENDABOT, **asked) for asked in workflows.values())]:
        assert text[0] != "\n"
        assert "\n\n\n" not in text
        assert re.search(r"[^\n]\n$", text)
        assert not re.search(r"[ \t]$", text, re.MULTILINE)
    sections = [readme.partition("\n## On GitHub\n")[2].partition("\n## ")[0] for readme in readmes]
    assert all(sections)
    assert max(len(line) for text in [*workflows, *sections] for line in text.splitlines()) <= 120


def test_every_project_has_the_steps_that_it_needs_in_this_order(workflows: dict[str, dict[str, str]]) -> None:
    for text, asked in workflows.items():
        production, dvc = asked["production_requirements"], asked["dvc_s3_url"]
        names = [name for name in steps(yaml.safe_load(text)["jobs"]["analysis"]) if "/" not in name]
        assert names == [
            *("Secrets", "Store", "Layers", "Build", "New layers", "Keep layers"),
            *(["Check"] if production else []),
            *("Audit", "Lint"),
            *(["Credentials", "Data"] if dvc else []),
            *("Run", "Keep", "Image"),
        ]


def test_every_secret_that_compose_needs_is_made_in_the_job(
    workflows: dict[str, dict[str, str]], render: Renderer
) -> None:
    for text, asked in workflows.items():
        needed = set(re.findall(r"\.secrets/\w+", render("docker-compose.yml", **asked)))
        made = steps(yaml.safe_load(text)["jobs"]["analysis"])["Secrets"]["run"]
        assert set(re.findall(r"\.secrets/\w+", made)) == needed


def test_each_job_may_do_what_it_needs_and_no_more(workflows: dict[str, dict[str, str]]) -> None:
    for text, asked in workflows.items():
        workflow = yaml.safe_load(text)
        assert workflow["permissions"] == {}
        analysis, push = workflow["jobs"].values()
        assert analysis["permissions"] == {"contents": "read"} | ({"id-token": "write"} if asked["dvc_s3_url"] else {})
        assert push["permissions"] == {"packages": "write"}
        assert push["if"] == "github.ref_type == 'tag'"
        assert not re.search(r"checkout|compose|docker (?:build|run)", str(push["steps"]))


def test_actions_are_pinned_and_nothing_is_pasted_into_a_command(workflows: dict[str, dict[str, str]]) -> None:
    for text in workflows:
        used = re.findall(r"uses: (.*)", text)
        assert all(re.fullmatch(r"actions/[\w/-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action) for action in used)
        commands = [step.get("run", "") for job in yaml.safe_load(text)["jobs"].values() for step in job["steps"]]
        assert "${{" not in "".join(commands)


@pytest.mark.parametrize("production", ["", "/api/requirements.txt"], ids=["without", "with"])
def test_dependabot_never_moves_a_pin_apart_from_production(render: Renderer, production: str) -> None:
    updates = yaml.safe_load(render(DEPENDABOT, production_requirements=production))["updates"]
    settings = {update["package-ecosystem"]: update for update in updates}
    assert set(settings) == {"docker", "github-actions", "pip"}
    assert settings["pip"]["open-pull-requests-limit"] == 0
    # Without a list of versions this stops security updates as well, and leaves the alerts.
    assert settings["pip"]["ignore"] == [{"dependency-name": "*"}]
    [ignored] = settings["docker"]["ignore"]
    assert {kind.partition("-")[2] for kind in ignored["update-types"]} == {
        *("update:semver-major", "update:semver-minor", "update:semver-patch")
    }


@pytest.mark.skipif(
    os.name != "posix" or shutil.which("jq") is None, reason="needs a POSIX shell and jq, as a runner has"
)
def test_the_keys_of_the_role_go_into_a_file_and_into_no_log(render: Renderer, tmp_path: Path) -> None:
    """With stand-ins of what GitHub and AWS answer."""
    workflow = yaml.safe_load(render(WORKFLOW, dvc_s3_url="s3://bucket/churn"))
    step = steps(workflow["jobs"]["analysis"])["Credentials"]
    keys = {"AccessKeyId": "AKIA-OF-AN-HOUR", "SecretAccessKey": "canary/secret", "SessionToken": "canary-session"}
    answers = {
        "curl": f"echo \"$@\" >asked-github; echo '{json.dumps({'value': 'canary-token'})}'",
        "aws": f"echo \"$@\" >asked-aws; echo '{json.dumps({'Credentials': keys})}'",
    }
    (tmp_path / "bin").mkdir()
    (tmp_path / ".secrets").mkdir()
    for name, script in answers.items():
        (tmp_path / "bin" / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / "bin" / name).chmod(0o755)
    given = {
        "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}",
        **{"AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/churn", "GITHUB_RUN_ID": "7"},
        **{
            "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "canary-request",
            "ACTIONS_ID_TOKEN_REQUEST_URL": "https://id.example.com/?x=1",
        },
    }
    shell = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]]
    done = subprocess.run(shell, cwd=tmp_path, env=given, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (tmp_path / ".secrets" / "aws_credentials").read_text() == (
        "[default]\naws_access_key_id = AKIA-OF-AN-HOUR\n"
        "aws_secret_access_key = canary/secret\naws_session_token = canary-session\n"
    )
    assert "https://id.example.com/?x=1&audience=sts.amazonaws.com" in (tmp_path / "asked-github").read_text()
    assert "--web-identity-token file://.secrets/token" in (tmp_path / "asked-aws").read_text()
    assert (tmp_path / ".secrets" / "token").read_text() == "canary-token\n"
