"""The texts of the pipelines of ``ci=github`` and ``ci=gitlab``: the golden trees show one of each."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from itertools import takewhile
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import git
from platforms import made_secrets
from rendering import Renderer, answers

GITHUB, GITLAB = ".github/workflows/analysis.yml", ".gitlab-ci.yml"
DATA = {"dvc_s3_url": "s3://bucket/churn"}
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


@pytest.fixture(scope="module")
def pipelines(render: Renderer) -> dict[str, dict[str, str]]:
    """Return each distinct text of both, with its answers."""
    return {render(name, **asked): asked for name in (GITHUB, GITLAB) for asked in answers()}


def job(text: str) -> dict[str, Any]:
    """Return the only job."""
    pipeline = yaml.safe_load(text)
    found: dict[str, Any] = pipeline["analysis"] if "analysis" in pipeline else pipeline["jobs"]["analysis"]
    return found


def test_every_pipeline_has_its_steps_in_order(pipelines: dict[str, dict[str, str]]) -> None:
    for text, asked in pipelines.items():
        on_github = "steps" in job(text)
        names = [
            *(["Check out the project"] if on_github else []),
            *("Make the secrets", *(["Set up BuildKit"] if on_github else []), "Build the image"),
            "Check production's versions and list the packages"
            if asked["production_requirements"]
            else "List the packages",
            *("Audit the packages and the code", "Lint the code"),
            *(["Write AWS credentials of the role AWS_ROLE_ARN", "Pull the data"] if asked["dvc_s3_url"] else []),
            *("Run the tests", "Run the notebooks"),
        ]
        if on_github:
            last = ["Keep the reports and the list of packages", "Install cosign", "Push and sign the checked image"]
            assert [step["name"] for step in job(text)["steps"]] == names + last
        else:
            comments = re.findall(r"^ +# ([^:,\n]+)", text.partition("  script:\n")[2], re.MULTILINE)
            assert comments == [*names, "Push and sign the checked image", "Keep the reports and the list of packages"]
        assert len(text.splitlines()) <= 90


@linux
def test_pytest_runs_if_the_project_has_tests(render: Renderer, tmp_path: Path) -> None:
    [command] = [line for line in job(render(GITLAB))["script"] if "pytest" in line]
    (tmp_path / "src").mkdir()
    (tmp_path / "docker").write_text("#!/bin/sh\necho $*\n")
    (tmp_path / "docker").chmod(0o755)

    def said() -> str:
        environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
        shell = ["bash", "-eo", "pipefail", "-c", command]
        return subprocess.run(
            shell, cwd=tmp_path, env=environment, check=True, stdout=subprocess.PIPE, text=True
        ).stdout

    assert said() == ""
    (tmp_path / "src" / "features").mkdir()
    (tmp_path / "src" / "features" / "test_rates.py").touch()
    assert said() == "compose run --rm jupyter python -m pytest\n"
    steps = {step["name"]: step for step in job(render(GITHUB))["steps"]}
    assert steps["Run the tests"]["if"] == "hashFiles('src/**/test_*.py', 'tests/**/test_*.py')"


@linux
def test_the_job_makes_every_secret_of_compose_as_in_a_new_clone(
    pipelines: dict[str, dict[str, str]], render: Renderer, tmp_path: Path
) -> None:
    for number, (text, asked) in enumerate(pipelines.items()):
        compose = render("docker-compose.yml", **asked)
        if "steps" in job(text):
            [script] = [step["run"] for step in job(text)["steps"] if step["name"] == "Make the secrets"]
        else:
            script = "\n".join(takewhile(lambda command: "docker login" not in command, job(text)["script"][1:]))
        made = made_secrets(script, compose, tmp_path / str(number))
        assert set(made) == set(re.findall(r"\.secrets/([\w.]+)", compose))
        assert all(made[name] for name in made if name.endswith("_password"))


def test_only_the_last_command_gets_githubs_token_and_project_code_runs_before_it(
    pipelines: dict[str, dict[str, str]],
) -> None:
    for text in pipelines:
        if "steps" in job(text):
            assert job(text)["permissions"] == {"contents": "read", "id-token": "write", "packages": "write"}
            *before, install, push = job(text)["steps"]
            assert install["if"] == push["if"] == "github.ref_type == 'tag'"
            assert "github.token" in str(push)
            assert not [
                step for step in (*before, install) if "github.token" in str(step) or "secrets.COSIGN" in str(step)
            ]
            assert before[0]["with"] == {"persist-credentials": False}
            programs = set(re.findall(r"\b((?:docker|cosign) \w+)", push["run"]))
            assert programs == {
                *("docker login", "docker tag", "docker push", "docker buildx", "cosign sign", "cosign attest")
            }


@linux
@pytest.mark.parametrize(
    "key, visible, signed",
    [("", "public", True), ("", "private", False), ("env://COSIGN_PRIVATE_KEY", "private", True)],
)
def test_a_tag_is_signed_with_the_key_and_without_one_only_in_public_projects(
    key: str, visible: str, signed: bool, render: Renderer, tmp_path: Path
) -> None:
    """Stand-ins of Docker, cosign and apk print their arguments."""
    off = "$(env | grep -c '^COSIGN_.*=false$')"
    for name in ("docker", "cosign", "apk"):
        (tmp_path / name).write_text(f"#!/bin/sh\necho {name} $* {off} >&2\ncase $* in *inspect*) echo pushed;; esac\n")
        (tmp_path / name).chmod(0o755)
    push = job(render(GITHUB))["steps"][-1]
    assert push["if"] == "github.ref_type == 'tag'"
    assert push["env"]["SIGN"] == "${{ vars.COSIGN_KEY || !github.event.repository.private }}"
    assert push["env"]["COSIGN_TLOG_UPLOAD"] == "${{ !vars.COSIGN_KEY }}"
    assert "SIGSTORE_ID_TOKEN" in job(render(GITLAB))["id_tokens"]
    scripts = {
        push["run"]: {
            **{"SIGN": key or str(visible == "public").lower(), "COSIGN_KEY": key},
            **({"COSIGN_TLOG_UPLOAD": "false"} if key else {}),
        },
        job(render(GITLAB))["script"][-1]: {
            **{"CI_COMMIT_TAG": "v1", "CI_SERVER_HOST": "gitlab.com", "CI_PROJECT_VISIBILITY": visible},
            **{"COSIGN_KEY": key, "CI_JOB_NAME": "analysis"},
        },
    }
    for script, variables in scripts.items():
        variables |= {"PATH": f"{tmp_path}:{os.environ['PATH']}", "GITHUB_STEP_SUMMARY": os.devnull}
        done = subprocess.run(["bash", "-ec", script], env=variables, check=True, capture_output=True, text=True)
        said = [line for line in done.stderr.splitlines() if line.startswith("cosign")]
        # A key turns three settings off: the log, and two features of cosign 3 that need it.
        last = f"pushed {3 if key else 0}"
        attest = f"cosign attest --yes --type cyclonedx --predicate sbom.json {last}"
        assert said == ([f"cosign sign --yes {last}", attest] if signed else [])


def test_gitlabs_token_is_not_in_the_files_that_containers_see(
    pipelines: dict[str, dict[str, str]], tmp_path: Path
) -> None:
    """The runner keeps it out of .git/config, and the job replaces the address that an administrator's hook wrote."""
    for analysis in (job(text) for text in pipelines if "script" in job(text)):
        assert analysis["variables"]["FF_GIT_URLS_WITHOUT_TOKENS"] == "true"
        first, *others = analysis["script"]
        git("init", "--quiet", folder=tmp_path)
        git("config", "remote.origin.url", "https://ci:canary@gitlab.example.com/shop/churn.git", folder=tmp_path)
        command = first.replace("$CI_PROJECT_URL", "https://gitlab.example.com/shop/churn")
        subprocess.run(shlex.split(command, comments=True), cwd=tmp_path, check=True)
        assert "canary" not in (tmp_path / ".git" / "config").read_text()
        assert git("remote", "get-url", "origin", folder=tmp_path) == "https://gitlab.example.com/shop/churn.git\n"
        assert not [command for command in others if "CI_REPOSITORY_URL" in command or "CI_JOB_TOKEN" in command]


@linux
def test_the_image_of_a_second_processor_is_added_to_the_tag_of_the_first(render: Renderer, tmp_path: Path) -> None:
    """On GitHub the second job of a matrix adds it, on GitLab the job analysis-arm64."""
    (tmp_path / "docker").write_text("#!/bin/sh\necho $* >&2\n")
    (tmp_path / "docker").chmod(0o755)
    on_github, on_gitlab = job(render(GITHUB)), job(render(GITLAB))
    assert on_github["env"]["SECOND"] == "${{ strategy.job-index > 0 && '-arm64' || '' }}"
    variables = {"GITHUB_REPOSITORY": "Shop/Churn", "GITHUB_REF_NAME": "v1", "GITHUB_STEP_SUMMARY": os.devnull}
    variables |= {"SIGN": "false"}
    variables |= {"CI_REGISTRY_IMAGE": "ghcr.io/shop/churn", "CI_COMMIT_TAG": "v1"}
    variables["PATH"] = f"{tmp_path}:{os.environ['PATH']}"

    def said(script: str, **changed: str) -> list[str]:
        done = subprocess.run(
            ["bash", "-ec", script], env=variables | changed, check=True, capture_output=True, text=True
        )
        words = [line.partition("ghcr.io/")[2] for line in done.stderr.splitlines() if "inspect" not in line]
        return [each for each in words if each]

    for second, pushed in {
        "": ["v1", "v1"],
        "-arm64": ["v1-arm64", "v1-arm64", "v1 ghcr.io/shop/churn:v1-arm64"],
    }.items():
        expected = [f"shop/churn:{tags}" for tags in pushed]
        assert said(on_github["steps"][-1]["run"], SECOND=second) == expected
        assert said(on_gitlab["script"][-1], CI_JOB_NAME=f"analysis{second}") == expected


@linux
def test_gitlabs_id_token_becomes_aws_keys_in_the_secret_and_is_not_written_to_a_file(
    render: Renderer, tmp_path: Path
) -> None:
    """Stand-ins replace apk and AWS."""
    analysis = job(render(GITLAB, **DATA))
    assert analysis["id_tokens"]["AWS_ID_TOKEN"] == {"aud": "$CI_SERVER_URL"}
    assert "AWS_ID_TOKEN" not in job(render(GITLAB))["id_tokens"]
    [command] = [command for command in analysis["script"] if "aws sts" in command]
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
