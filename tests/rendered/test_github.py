"""The workflow and Dependabot's settings of ``ci=github``, for every project that the questions give."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from platforms import made_secrets
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


def steps(text: str) -> dict[str, dict[str, Any]]:
    """Return the steps of the only job, by name."""
    [job] = yaml.safe_load(text)["jobs"].values()
    return {step["name"]: step for step in job["steps"]}


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
        assert list(steps(text)) == [
            *("Check out the project", "Make the secrets", "Set up BuildKit", "Build the image"),
            *(["Check production's versions"] if asked["production_requirements"] else []),
            *("Audit the packages and the code", "Lint the code"),
            *(["Write AWS credentials of the role AWS_ROLE_ARN", "Pull the data"] if asked["dvc_s3_url"] else []),
            *("Run the notebooks", "Keep the reports", "Log in to the registry", "Push the checked image"),
        ]


@pytest.mark.skipif(sys.platform != "linux", reason="needs the shell of a runner")
def test_every_secret_that_compose_needs_is_made_in_the_job(
    workflows: dict[str, dict[str, str]], render: Renderer, tmp_path: Path
) -> None:
    for number, (text, asked) in enumerate(workflows.items()):
        needed = set(re.findall(r"\.secrets/(\w+)", render("docker-compose.yml", **asked)))
        made = made_secrets(steps(text)["Make the secrets"]["run"], tmp_path / str(number))
        assert set(made) == needed
        assert all(re.fullmatch(r"[0-9a-f]{32}\n", made[name]) for name in needed if name.endswith("_password"))


def test_only_the_login_gets_the_token_and_nothing_of_the_project_runs_after_it(
    workflows: dict[str, dict[str, str]],
) -> None:
    for text, asked in workflows.items():
        workflow = yaml.safe_load(text)
        assert workflow["permissions"] == {}
        [job] = workflow["jobs"].values()
        role = {"id-token": "write"} if asked["dvc_s3_url"] else {}
        assert job["permissions"] == {"contents": "read", "packages": "write"} | role
        assert [name for name, step in steps(text).items() if "github.token" in str(step)] == ["Log in to the registry"]
        *before, login, push = job["steps"]
        assert login["if"] == push["if"] == "github.ref_type == 'tag'"
        assert {line.split(maxsplit=2)[1] for line in push["run"].splitlines()[1:]} == {"tag", "push", "image"}
        assert before[0]["with"] == {"persist-credentials": False}


def test_actions_are_pinned_and_nothing_is_pasted_into_a_command(workflows: dict[str, dict[str, str]]) -> None:
    for text in workflows:
        used = re.findall(r"uses: (.*)", text)
        pinned = r"(?:actions|aws-actions|docker)/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+"
        assert all(re.fullmatch(pinned, action) for action in used)
        assert "${{" not in "".join(step.get("run", "") for step in steps(text).values())


def test_the_keys_of_the_role_go_into_the_file_that_compose_mounts_and_not_into_the_environment(
    render: Renderer,
) -> None:
    asked = {"dvc_s3_url": "s3://bucket/churn"}
    step = steps(render(WORKFLOW, **asked))["Write AWS credentials of the role AWS_ROLE_ARN"]
    secret = yaml.safe_load(render("docker-compose.yml", **asked))["secrets"]["aws_credentials"]["file"]
    assert step["env"] == {"AWS_SHARED_CREDENTIALS_FILE": secret.partition(":-")[2].rstrip("}")}
    # With a profile, the action exports no credentials unless it is told to.
    assert step["with"]["aws-profile"] == "default"
    assert not {"output-env-credentials", "output-credentials"} & set(step["with"])


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
