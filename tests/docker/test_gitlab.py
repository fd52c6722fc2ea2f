"""The pipeline on GitLab, executed by gitlab-ci-local in a clean clone on this machine's engine and registry."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from conftest import committed
from rendering import Renderer

from docker.advisories import Advisories
from docker.conftest import PINNED, copied, missing
from docker.npm import commands_of
from docker.project import Project, sh
from docker.registry import registry
from docker.signing import PASSWORD, key_pair

pytestmark = pytest.mark.docker

RUNNER = "gitlab-ci-local@4.75.1"
TOKEN = "a-token-of-this-job"
# The bcrypt hash of the token.
LOGIN = "gitlab-ci-token:$2b$05$abcdefghijklmnopqrstuu1wx7x3W6Ev6.2Z.M3WBNmVe06ssyBAm\n"
# The token is backwards, because the notebook searches its own file, too; gitlab-ci-local's files have it.
LOOK_FOR_THE_TOKEN = f"""\
token = "{TOKEN[::-1]}"[::-1]
files = [file for file in pathlib.Path("/project").rglob("*") if ".gitlab-ci-local" not in file.parts]
readable = [file for file in files if file.is_file() and os.access(file, os.R_OK)]
assert pathlib.Path("/project/.git/config") in readable
assert not [file for file in readable if token.encode() in file.read_bytes()]
assert token not in str(os.environ)
"""
# The image of an engine is not available here, so the job runs in a shell with this machine's engine.
ENGINE = re.compile(r"^  image: docker:.*\n  services:\n(?:    .*\n)+", re.MULTILINE)
STEPS = {
    "docker compose config": "build",
    "docker compose run --rm --no-deps jupyter sbom": "check",
    "docker compose run --rm --no-deps jupyter audit": "audit",
    "docker compose run --rm --no-deps jupyter ruff check": "lint",
    "docker compose run --rm jupyter report": "run",
    'if [ -n "$CI_COMMIT_TAG" ]': "push",
}


@pytest.fixture(scope="module")
def runner(engine: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install gitlab-ci-local."""
    if shutil.which("rsync") is None:
        missing(f"no {RUNNER}: rsync is not a command")
    return commands_of(RUNNER, tmp_path_factory.mktemp("runner")) / "gitlab-ci-local"


@dataclass(frozen=True)
class Job:
    """The output of the job, and the step at which it stopped."""

    steps: list[str]
    said: str
    red: str
    reports: list[str]


@dataclass(frozen=True)
class GitLab:
    """A project that is pushed to GitLab, and the runner of its pipelines."""

    project: Project
    runner: Path
    address: str

    @property
    def image(self) -> str:
        return f"{self.address}/shop/churn"

    @property
    def environment(self) -> dict[str, str]:
        home = self.project.folder.parent
        return {"HOME": str(home), "DOCKER_CONFIG": str(home / "docker")}

    def run(self, **variables: str) -> Job:
        """Commit the changes and run the job in a clean clone, with the variables of an event."""
        folder, clone = self.project.folder, self.project.folder.parent / "clone"
        committed(folder)
        sh("git", "clone", "--quiet", str(folder), str(clone))
        # As a hook of GitLab.com's runners does.
        with_token = f"https://gitlab-ci-token:{TOKEN}@gitlab.example.com/shop/churn.git"
        sh("git", "remote", "set-url", "origin", with_token, folder=clone)
        # GitLab's checkouts are writable for everyone.
        for path in (clone, *filter(Path.is_dir, clone.rglob("*"))):
            path.chmod(0o777)
        given = {
            "CI_COMMIT_BRANCH": "",
            "CI_REGISTRY": self.address,
            "CI_REGISTRY_IMAGE": self.image,
            "CI_REGISTRY_USER": "gitlab-ci-token",
            "CI_REGISTRY_PASSWORD": TOKEN,
            **variables,
        }
        done = sh(
            *(str(self.runner), "--force-shell-executor", "--no-color", "--file", "on-this-machine.yml"),
            *("--ignore-predefined-vars", ",".join(given)),
            *(word for name, value in given.items() for word in ("--variable", f"{name}={value}")),
            folder=clone,
            environment=self.environment | {"PATH": f"{folder.parent}:{os.environ['PATH']}"},
            check=False,
        )
        log = re.sub(r"\x1b\[[0-9;]*m", "", done.stdout + done.stderr)
        begun = re.findall(r"^analysis \$ (.*)$", log, re.MULTILINE)
        steps = [name for line in begun for command, name in STEPS.items() if line.startswith(command)]
        said = "\n".join(re.findall(r"^analysis > (.*)$", log, re.MULTILINE))
        assert begun, log
        red = steps[-1] if done.returncode else ""
        return Job(steps, said, red, sorted(path.name for path in clone.glob("src/reports/*")))


@pytest.fixture
def gitlab(built: Project, runner: Path, tmp_path: Path) -> Iterator[GitLab]:
    project = copied(built, tmp_path)
    pipeline = Renderer()(".gitlab-ci.yml", project_slug=project.image, production_requirements="requirements.txt")
    locks = map(project.read, ("requirements.txt", "tools.txt"))
    with Advisories(*locks) as advisories, registry(tmp_path, LOGIN) as address:
        for name, text in {
            ".gitlab-ci.yml": pipeline,
            "on-this-machine.yml": ENGINE.sub("", pipeline),
            "docker-compose.override.yml": advisories.override(tmp_path / "proxy.pem"),
        }.items():
            (project.folder / name).write_text(text, encoding="utf-8")
        sh("git", "init", "--quiet", "--initial-branch", "main", folder=project.folder)
        # A stand-in for Alpine's apk, which would install cosign.
        (tmp_path / "apk").write_text("#!/bin/sh\n", encoding="utf-8")
        (tmp_path / "apk").chmod(0o755)
        yield GitLab(project, runner, address)
    built.remove()


def test_a_tag_is_checked_run_pushed_and_signed_and_hides_the_token_from_notebooks(
    gitlab: GitLab, tmp_path: Path
) -> None:
    keys = key_pair(tmp_path / "keys")
    gitlab.project.write_notebook("import os\nimport pathlib", LOOK_FOR_THE_TOKEN, name="src/curious.ipynb")
    key = {"COSIGN_KEY": str(keys / "cosign.key"), "COSIGN_PASSWORD": PASSWORD, "COSIGN_TLOG_UPLOAD": "false"}
    job = gitlab.run(CI_COMMIT_TAG="v1.0", **key)
    assert not job.red, job.said
    assert job.steps == list(STEPS.values())
    held = f"{len(PINNED)} of {len(PINNED)} versions of production.txt are installed"
    assert held in job.said
    assert "No known vulnerability to fix in" in job.said
    assert "All checks passed!" in job.said
    assert job.reports == ["analysis.html", "curious.html"]
    [digest] = re.findall(r"^v1\.0: digest: (sha256:[0-9a-f]{64}) ", job.said, re.MULTILINE)
    name = f"{gitlab.image}:v1.0"
    assert sh("docker", "image", "inspect", "--format", "{{.RepoDigests}}", name).stdout.count(f"/churn@{digest}") == 1
    sh("docker", "image", "rm", name)
    assert TOKEN not in job.said
    verify = ("cosign", "verify-attestation", "--key", str(keys / "cosign.pub"), "--insecure-ignore-tlog")
    signed = sh(*verify, "--type", "cyclonedx", name, environment=gitlab.environment)
    statement = json.loads(base64.b64decode(json.loads(signed.stdout)["payload"]))
    assert statement["subject"] == [{"name": gitlab.image, "digest": {"sha256": digest.removeprefix("sha256:")}}]
    assert statement["predicate"]["bomFormat"] == "CycloneDX"


def test_a_failing_cell_fails_the_run_of_a_merge_request_and_keeps_all_reports(gitlab: GitLab) -> None:
    gitlab.project.write_notebook("1 / 0", name="src/broken.ipynb")
    job = gitlab.run(CI_PIPELINE_SOURCE="merge_request_event")
    assert job.red == "run"
    assert "ZeroDivisionError: division by zero" in job.said
    assert job.reports == ["analysis.html", "broken.html"]
    assert "importing cache manifest from" in job.said
    assert "exporting cache" not in job.said
