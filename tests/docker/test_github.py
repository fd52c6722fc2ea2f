"""The workflow of ``ci=github``: the commands of its steps, one after another, each run in a clean clone."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nbformat
import pytest
import yaml

from docker.advisories import LOCKED, Advisories
from docker.conftest import PINNED, PRODUCTION, missing
from docker.project import Project, sh
from docker.registry import registry

pytestmark = pytest.mark.docker

WORKFLOW = Path(".github", "workflows", "analysis.yml")
IDENTITY = ("-c", "user.name=Ada", "-c", "user.email=ada@example.com")
TOKEN = "a-token-of-this-run"
# The bcrypt hash of the token.
LOGIN = "ada:$2b$05$abcdefghijklmnopqrstuuT5iqe/kRCBdD0cNUl29LJJUlYKsTEvG\n"
# Where a company's base image has the certificate of its proxy.
ON_THIS_MACHINE = """\
services:
  jupyter:
    network_mode: host
    environment: ["HTTPS_PROXY={proxy}"]
    volumes: ["{certificate}:/etc/ssl/certs/ca-certificates.crt:ro"]
"""


@dataclass
class Run:
    """One run of the workflow: what each step said, and where it stopped, if it did."""

    folder: Path
    said: dict[str, str] = field(default_factory=dict)
    red: str = ""

    @property
    def summary(self) -> str:
        return (self.folder / "summary").read_text(encoding="utf-8")

    def kept(self, artifact: str) -> list[str]:
        return sorted(path.name for path in (self.folder / artifact).glob("*"))


@dataclass
class GitHub:
    """Stands in for the runner: does what the steps' actions do, and runs their commands as the runner would."""

    project: Path
    folder: Path
    contexts: dict[str, str]
    override: str

    def run(self, name: str, ref_type: str = "branch", **changed: str) -> Run:
        """Commit these files, if there are any, and run every job that the event calls for."""
        run = Run(self.folder / name)
        run.folder.mkdir()
        self._contexts = {**self.contexts, "github.ref_type": ref_type, "cancelled()": ""}
        author = run.folder / "author"
        sh("git", "clone", "--quiet", str(self.project), str(author))
        for file, text in changed.items():
            (author / file).write_text(text, encoding="utf-8")
        sh("git", "add", ".", folder=author)
        sh("git", *IDENTITY, "commit", "--quiet", "--allow-empty", "--message", name, folder=author)
        workflow = yaml.safe_load((author / WORKFLOW).read_text(encoding="utf-8"))
        assert workflow["defaults"]["run"]["shell"] == "bash"
        for key, job in workflow["jobs"].items():
            if not run.red and self._holds(job.get("if", "")):
                self._do(run, run.folder / key, author, job["steps"])
        return run

    def _do(self, run: Run, workspace: Path, author: Path, steps: list[dict[str, Any]]) -> None:
        workspace.mkdir()
        for step in steps:
            condition = str(step.get("if", ""))
            if (run.red and "cancelled()" not in condition) or not self._holds(condition):
                continue
            if "uses" in step:
                self._act(step["uses"].partition("@")[0], step.get("with", {}), run, workspace, author)
                continue
            done = subprocess.run(
                ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
                cwd=workspace,
                env=self._environment(run, step.get("env", {})),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
                timeout=600,
            )
            run.said[step["name"]] = re.sub(r"\x1b\[[0-9;]*m", "", done.stdout)
            run.red = step["name"] if done.returncode else run.red
        if (workspace / "docker-compose.yml").exists():
            sh("docker", "compose", "down", "--volumes", "--timeout", "3", folder=workspace, check=False)

    def _act(self, action: str, inputs: dict[str, Any], run: Run, workspace: Path, author: Path) -> None:
        if action == "actions/checkout":
            sh("git", "clone", "--quiet", str(author), str(workspace))
            (workspace / "docker-compose.override.yml").write_text(self.override, encoding="utf-8")
        elif action == "actions/cache/restore":
            if (self.folder / "layers").exists():
                sh("cp", "--archive", "--link", str(self.folder / "layers"), str(workspace / inputs["path"]))
                self._contexts["steps.layers.outputs.cache-hit"] = "true"
        elif action == "actions/cache/save":
            (workspace / inputs["path"]).rename(self.folder / "layers")
        elif action == "actions/upload-artifact":
            found, kept = workspace / inputs["path"], run.folder / inputs.get("name", "artifacts")
            if found.is_dir():
                shutil.copytree(found, kept)
            elif found.exists():
                kept.mkdir()
                found.rename(kept / found.name)
        else:
            assert action == "actions/download-artifact"
            (run.folder / "artifacts" / inputs["name"]).rename(workspace / inputs["name"])

    def _environment(self, run: Run, settings: dict[str, str]) -> dict[str, str]:
        own = {name: re.sub(r"\$\{\{ (\S+) \}\}", self._value, text) for name, text in settings.items()}
        if "REGISTRY" in own:
            own["REGISTRY"] = self.contexts["registry"]
        return {
            **os.environ,
            **{
                "BUILDKIT_PROGRESS": "plain",
                "DOCKER_CONFIG": str(self.folder / "docker-config"),
                "GITHUB_ACTOR": "ada",
            },
            **{"GITHUB_REPOSITORY": "Shop/Churn", "GITHUB_REF_NAME": "v1.0", "GITHUB_RUN_ID": "1"},
            "GITHUB_STEP_SUMMARY": str(run.folder / "summary"),
            **own,
        }

    def _value(self, name: re.Match[str]) -> str:
        return self._contexts.get(name[1], "")

    def _holds(self, condition: str) -> bool:
        """Understand what the workflow uses of GitHub's expressions."""
        for part in filter(None, condition.strip("${} ").split(" && ")):
            found = re.fullmatch(r"(!?)([\w.()-]+)(?: (==|!=) '(\w+)')?", part)
            assert found, part
            value = self._contexts.get(found[2], "")
            truth = value == found[4] if found[3] else bool(value)
            if truth == (found[1] == "!" or found[3] == "!="):
                return False
        return True


@pytest.fixture(scope="module")
def project(engine: None, generate: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """Generate what other tests build as well, with a pipeline, and commit it."""
    production = tmp_path_factory.mktemp("production") / "requirements.txt"
    production.write_text(PRODUCTION, encoding="utf-8")
    slug = f"ds-docker-env-test-{secrets.token_hex(3)}"
    answers = {"python_version": "3.11", "debian_release": "bookworm", "ci": "github", "project_slug": slug}
    project = Project(generate(production_requirements=str(production), **answers), image=slug, name=slug)
    sh("git", "init", "--quiet", folder=project.folder)
    sh("git", "add", ".", folder=project.folder)
    sh("git", *IDENTITY, "commit", "--quiet", "--message", "Begin", folder=project.folder)
    yield project
    sh("docker", "image", "rm", "--force", slug, check=False)


@pytest.fixture(scope="module")
def advisories(project: Project, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Advisories]:
    with Advisories() as advisories:
        for name, version in LOCKED.findall(project.read("requirements.txt")):
            advisories.know(name, version)
        yield advisories


@pytest.fixture(scope="module")
def github(project: Project, advisories: Advisories, tmp_path_factory: pytest.TempPathFactory) -> GitHub:
    if "containerd" not in sh("docker", "info", "--format", "{{ .DriverStatus }}").stdout:
        missing("the engine does not use containerd's image store, and the workflow would start it anew")
    folder = tmp_path_factory.mktemp("github")
    advisories.write_certificate(folder / "proxy.pem")
    override = ON_THIS_MACHINE.format(proxy=advisories.url, certificate=folder / "proxy.pem")
    return GitHub(project.folder, folder, {"github.token": TOKEN}, override)


@pytest.fixture(scope="module")
def first(github: GitHub) -> Run:
    return github.run("first")


def test_a_fresh_project_is_green_and_its_report_is_kept(github: GitHub, first: Run) -> None:
    assert not first.red, first.said[first.red]
    assert list(first.said) == ["Secrets", "Store", "Build", "New layers", "Check", "Audit", "Lint", "Run"]
    assert f"{len(PINNED)} of {len(PINNED)} versions of production.txt are in this image" in first.said["Check"]
    assert "No known vulnerability" in first.said["Audit"]
    assert first.kept("reports") == ["analysis.html"]
    assert not (first.folder / "push").exists()


def test_a_pin_that_drifted_from_production_is_red_at_the_check_of_a_build_with_the_layers_of_before(
    github: GitHub, first: Run
) -> None:
    assert not first.red
    text = (github.project / "production.txt").read_text(encoding="utf-8")
    drifted = text.replace(f"pytz=={PINNED['pytz']}", "pytz==2025.1")
    assert drifted != text
    run = github.run("drifted", **{"production.txt": drifted})
    assert "importing cache manifest from local" in run.said["Build"]
    assert run.red == "Check"
    assert list(run.said) == ["Secrets", "Store", "Build", "Check"]
    assert re.search(rf"pytz +2025\.1 +{PINNED['pytz']}", run.said["Check"])


def test_a_vulnerability_is_red_at_the_audit(github: GitHub, advisories: Advisories) -> None:
    advisories.add("requests", PINNED["requests"], "PYSEC-2099-1", fixed_in="2.33.0")
    try:
        run = github.run("vulnerable")
    finally:
        advisories.know("requests", PINNED["requests"])
    assert run.red == "Audit"
    assert re.search(r"requests +2\.32\.4 +PYSEC-2099-1 +2\.33\.0", run.said["Audit"])


def test_a_cell_that_fails_is_red_at_the_run_and_the_reports_until_then_are_kept(github: GitHub) -> None:
    cell = nbformat.v4.new_code_cell("prices = {}\nprices['revenue']")
    notebook = nbformat.v4.new_notebook(cells=[cell])
    run = github.run("broken", **{"src/broken.ipynb": nbformat.writes(notebook)})
    assert run.red == "Run"
    assert "KeyError: 'revenue'" in run.said["Run"]
    assert "src/broken.ipynb" in run.said["Run"]
    assert run.kept("reports") == ["analysis.html"]


def test_a_tag_pushes_the_image_that_was_checked_and_prints_its_digest(
    github: GitHub, project: Project, tmp_path: Path
) -> None:
    with registry(tmp_path, LOGIN) as address:
        github.contexts["registry"] = address
        run = github.run("tagged", ref_type="tag")
        name = f"{address}/shop/churn"
        assert not run.red, run.said[run.red]
        [digest] = re.findall(rf"{re.escape(name)}@(sha256:[0-9a-f]{{64}})", run.summary)
        assert f"digest: {digest}" in run.said["Push"]
        assert TOKEN not in run.said["Push"]
        assert "importing cache" not in run.said["Build"]
        sh("docker", "image", "rm", f"{name}:v1.0")
