"""The workflow of ``ci=github``: the commands of its steps, one after another, each run in a clean clone."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nbformat
import pytest
import yaml
from conftest import committed
from pages import page

from docker.advisories import Advisories
from docker.conftest import PINNED, PRODUCTION, generated, missing
from docker.project import Project, blocks, sh
from docker.registry import registry
from docker.signing import PASSWORD, key_pair

pytestmark = pytest.mark.docker

WORKFLOW = Path(".github", "workflows", "analysis.yml")
NOTHING = "statement: cosign did not verify an SBOM; see its message above\n"
CHECK = "Check production's versions and list the packages"
IDENTITY = ("-c", "user.name=Ada", "-c", "user.email=ada@example.com")
TOKEN = "a-token-of-this-run"
# The bcrypt hash of the token.
LOGIN = "ada:$2b$05$abcdefghijklmnopqrstuuT5iqe/kRCBdD0cNUl29LJJUlYKsTEvG\n"


@dataclass
class Run:
    """One run of the workflow: the output of each step, and the step at which it stopped."""

    folder: Path
    said: dict[str, str] = field(default_factory=dict)
    red: str = ""

    @property
    def summary(self) -> str:
        return (self.folder / "summary").read_text(encoding="utf-8")

    def kept(self, artifact: str) -> list[str]:
        return sorted(path.name for path in (self.folder / artifact).rglob("*") if path.is_file())


@dataclass
class GitHub:
    """A stand-in for the runner, and for the actions, by the commands in their READMEs."""

    project: Path
    folder: Path
    override: str
    registry: str = ""
    keys: dict[str, str] = field(default_factory=dict)

    def run(self, name: str, ref_type: str = "branch", **changed: str) -> Run:
        """Commit these files and run the job in a clean clone."""
        run = Run(self.folder / name)
        run.folder.mkdir()
        self._contexts = {"github.token": TOKEN, "github.ref_type": ref_type, "cancelled()": "", "runner.arch": "X64"}
        self._contexts |= self.keys
        author = run.folder / "author"
        sh("git", "clone", "--quiet", str(self.project), str(author))
        for file, text in changed.items():
            (author / file).write_text(text, encoding="utf-8")
        sh("git", "add", ".", folder=author)
        sh("git", *IDENTITY, "commit", "--quiet", "--allow-empty", "--message", name, folder=author)
        text = (author / WORKFLOW).read_text(encoding="utf-8").replace("ghcr.io", self.registry)
        [job] = yaml.safe_load(text)["jobs"].values()
        self._workspace = workspace = run.folder / "workspace"
        self._environment = {name: self._text(value) for name, value in job["env"].items()}
        for step in job["steps"]:
            condition = str(step.get("if", ""))
            if (not run.red or "cancelled()" in condition) and self._holds(condition):
                self._do(step, run, workspace)
        down = ("docker", "compose", "down", "--volumes", "--timeout", "3")
        sh(*down, folder=workspace, environment=self._environment, check=False)
        return run

    def push_of_the_second_processor(self, run: Run) -> None:
        """Repeat the last step of a run as the second job of a matrix."""
        [job] = yaml.safe_load((run.folder / "author" / WORKFLOW).read_text(encoding="utf-8"))["jobs"].values()
        self._environment["SECOND"] = "-arm64"
        self._do(
            {**job["steps"][-1], "run": job["steps"][-1]["run"].replace("ghcr.io", self.registry)}, run, self._workspace
        )

    def _do(self, step: dict[str, Any], run: Run, workspace: Path) -> None:
        inputs = {name: self._text(value) for name, value in step.get("with", {}).items()}
        action, command = step.get("uses", "").partition("@")[0], step.get("run", "")
        if action == "actions/checkout":
            sh("git", "clone", "--quiet", str(run.folder / "author"), str(workspace))
            (workspace / "docker-compose.override.yml").write_text(self.override, encoding="utf-8")
        elif action == "actions/upload-artifact":
            for path in inputs["path"].splitlines():
                if (workspace / path).is_dir():
                    shutil.copytree(workspace / path, run.folder / inputs["name"] / path)
                elif (workspace / path).exists():
                    (run.folder / inputs["name"]).mkdir(exist_ok=True)
                    shutil.copy(workspace / path, run.folder / inputs["name"])
        elif action == "docker/bake-action":
            command = self._bake(**inputs)
        else:
            # With containerd's image store, the engine's own builder is enough.
            assert action in ("", "docker/setup-buildx-action", "sigstore/cosign-installer")
        if not command:
            return
        done = subprocess.run(
            ["bash", "-ec", command],
            cwd=workspace,
            env={
                **os.environ,
                **{"BUILDKIT_PROGRESS": "plain", "DOCKER_CONFIG": str(self.folder / "docker-config")},
                **{"GITHUB_REPOSITORY": "Shop/Churn", "GITHUB_REF_NAME": "v1.0", "GITHUB_ACTOR": "ada"},
                **{"GITHUB_STEP_SUMMARY": str(run.folder / "summary")},
                **self._environment,
                **{name: self._text(value) for name, value in step.get("env", {}).items()},
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=600,
        )
        run.said[step["name"]] = re.sub(r"\x1b\[[0-9;]*m", "", done.stdout)
        run.red = step["name"] if done.returncode else run.red

    def _bake(self, source: str, files: str, targets: str, load: str, provenance: str, set: str, **inputs: str) -> str:
        """Return the action's command, with a directory in place of GitHub's cache."""
        assert (source, load, provenance) == (".", "true", "false")
        assert set.count(",scope=X64") == 2
        cache = set.replace("from=type=gha", f"from=type=local,src={self.folder / 'layers'}")
        # Compression would take longer than the rest; on GitHub it saves network traffic.
        kept = f"to=type=local,compression=uncompressed,dest={self.folder / 'layers'}"
        cache = cache.replace("to=type=gha", kept).replace(",scope=X64", "")
        options = [f"--set={override}" for override in cache.splitlines()]
        options += ["--set=*.output=type=image,compression=uncompressed"]
        options += ["--no-cache"] * (inputs.pop("no-cache") == "true")
        assert not inputs
        return shlex.join(["docker", "buildx", "bake", "--file", files, "--provenance=false", *options, targets])

    def _text(self, value: object) -> str:
        """Evaluate expressions; booleans of YAML become words, as actions get them."""
        text = str(value).lower() if isinstance(value, bool) else str(value)
        return re.sub(r"\$\{\{ (.+?) \}\}", self._value, text)

    def _value(self, name: re.Match[str]) -> str:
        value = ""
        for part in name[1].split(" || "):
            value = str(self._holds(part)).lower() if re.search("==|^!", part) else self._contexts.get(part, "")
            if value not in ("", "false"):
                break
        return value

    def _holds(self, condition: str) -> bool:
        """Evaluate the GitHub expressions that the workflow uses."""
        if condition.startswith("hashFiles"):
            return any(file for pattern in re.findall(r"'(.+?)'", condition) for file in self._workspace.glob(pattern))
        found = re.fullmatch(r"(!?)([\w.()]*)(?: == '(\w+)')?", condition.strip("${} "))
        assert found, condition
        value = self._contexts.get(found[2], "")
        return not condition or (value == found[3] if found[3] else bool(value)) != bool(found[1])


@pytest.fixture(scope="module")
def project(engine: None, generate: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """Generate the project that other tests build, too, with a pipeline, and commit it."""
    production = tmp_path_factory.mktemp("production") / "requirements.txt"
    production.write_text(PRODUCTION, encoding="utf-8")
    answers = {"python_version": "3.11", "debian_release": "bookworm", "ci": "github"}
    with generated(generate, production_requirements=str(production), **answers) as project:
        committed(project.folder)
        yield project


@pytest.fixture(scope="module")
def github(project: Project, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GitHub]:
    if "containerd" not in sh("docker", "info", "--format", "{{ .DriverStatus }}").stdout:
        missing("the engine does not use containerd's image store, so its own builder cannot keep a cache")
    folder = tmp_path_factory.mktemp("github")
    with Advisories(*map(project.read, ("requirements.txt", "tools.txt"))) as advisories:
        yield GitHub(project.folder, folder, advisories.override(folder / "proxy.pem"))


@pytest.fixture(scope="module")
def first(github: GitHub) -> Run:
    return github.run("first")


def test_a_new_project_passes_and_its_report_is_uploaded(github: GitHub, first: Run) -> None:
    assert not first.red, first.said[first.red]
    assert list(first.said) == [
        *("Make the secrets", "Build the image", CHECK),
        *("Audit the packages and the code", "Lint the code", "Run the notebooks"),
    ]
    assert f"{len(PINNED)} of {len(PINNED)} versions of production.txt are installed" in first.said[CHECK]
    assert "No known vulnerability" in first.said["Audit the packages and the code"]
    assert first.kept("reports") == ["analysis.html", "sbom.json"]


def test_a_drifted_pin_fails_the_check_of_a_cached_build(github: GitHub, first: Run) -> None:
    assert not first.red
    text = (github.project / "production.txt").read_text(encoding="utf-8")
    drifted = text.replace(f"pytz=={PINNED['pytz']}", "pytz==2025.1")
    assert drifted != text
    run = github.run("drifted", **{"production.txt": drifted})
    assert "importing cache manifest from local" in run.said["Build the image"]
    assert run.red == list(run.said)[-1] == CHECK
    assert re.search(rf"pytz +2025\.1 +{PINNED['pytz']}", run.said[run.red])


def test_a_failing_cell_fails_the_run_and_all_reports_are_uploaded(github: GitHub) -> None:
    cell = nbformat.v4.new_code_cell("prices = {}\nprices['revenue']")
    notebook = nbformat.v4.new_notebook(cells=[cell])
    run = github.run("broken", **{"src/broken.ipynb": nbformat.writes(notebook)})
    assert run.red == "Run the notebooks"
    assert "KeyError: 'revenue'" in run.said[run.red]
    assert "src/broken.ipynb" in run.said[run.red]
    assert run.kept("reports") == ["analysis.html", "broken.html", "sbom.json"]


def test_a_tag_pushes_and_signs_the_checked_image_without_cached_layers(
    github: GitHub, project: Project, tmp_path: Path
) -> None:
    keys, others = key_pair(tmp_path / "keys"), key_pair(tmp_path / "others")
    with registry(tmp_path, LOGIN) as address:
        github.registry = address
        github.keys = {
            "vars.COSIGN_KEY": "env://COSIGN_PRIVATE_KEY",
            "secrets.COSIGN_PRIVATE_KEY": (keys / "cosign.key").read_text(encoding="utf-8"),
            "secrets.COSIGN_PASSWORD": PASSWORD,
            "github.event.repository.private": "true",
        }
        run = github.run("tagged", ref_type="tag")
        name = f"{address}/shop/churn"
        assert not run.red, run.said[run.red]
        [digest] = re.findall(rf"{re.escape(name)}:v1\.0@(sha256:[0-9a-f]{{64}})", run.summary)
        assert f"digest: {digest}" in run.said["Push and sign the checked image"]
        assert digest == sh("docker", "image", "inspect", "--format", "{{ .Id }}", project.image).stdout.strip()
        assert TOKEN not in "".join(run.said.values())
        built = run.said["Build the image"]
        steps = dict(re.findall(r"^#(\d+) (\[.*)$", built, re.MULTILINE))
        cached = [steps[number] for number in re.findall(r"^#(\d+) CACHED$", built, re.MULTILINE)]
        # The layer of an empty directory is the same in every run.
        assert not [step for step in cached if not re.search(" (FROM|WORKDIR) ", step)]
        login = {"DOCKER_CONFIG": str(github.folder / "docker-config")}

        def verified(tag: str = "v1.0", keys: Path = keys) -> str:
            """Run the page's command in a clone, and return its output."""
            [command, *_] = blocks(page("verify.md"), "sh")
            command = command.replace("cosign.pub", str(keys / "cosign.pub")).replace("-p setup", f"-p {project.image}")
            command = command.replace("ghcr.io/shop/churn:v1.0", f"{name}:{tag}")
            done = sh("bash", "-c", command, folder=run.folder / "author", environment=login, check=False)
            assert (done.returncode == 0) == done.stdout.startswith("Image: ")
            return done.stdout + done.stderr

        said = verified()
        assert f"Image:     {name}@{digest}\n" in said
        assert f"Checked:   {len(PINNED)} of {len(PINNED)} versions of production.txt are installed" in said
        assert "signatures were verified against the specified public key" in said
        lock = run.folder / "author" / "requirements.txt"
        locked = lock.read_bytes()
        lock.write_bytes(locked.replace(b"pandas==2.2.3", b"pandas==2.2.2"))
        assert f"requirements.txt: differs from the file that {name}@{digest} was built from; check" in verified()
        lock.write_bytes(locked)
        assert NOTHING in verified(keys=others)
        # The second processor's job: only the last step, with a small image.
        (tmp_path / "small").mkdir()
        (tmp_path / "small" / "Dockerfile").write_text("FROM scratch\nCOPY Dockerfile /\n", encoding="utf-8")
        sh("docker", "tag", project.image, f"{project.image}:first")
        small = ("--platform=linux/arm64", "--provenance=false", f"--tag={project.image}", str(tmp_path / "small"))
        sh("docker", "build", "--quiet", *small)
        github.push_of_the_second_processor(run)
        sh("docker", "tag", f"{project.image}:first", project.image)
        sh("docker", "image", "rm", f"{name}:v1.0", f"{name}:v1.0-arm64", f"{project.image}:first")
        assert not run.red, run.said[run.red]
        listed = sh("docker", "buildx", "imagetools", "inspect", f"{name}:v1.0", environment=login).stdout
        assert re.findall(r"Platform: +(\S+)", listed) == ["linux/amd64", "linux/arm64"]
        assert digest in listed
        assert run.summary.rpartition("@")[2].strip() in listed.partition("Manifests:")[0]
        # The tag now names the index of both images.
        assert f"Image:     {run.summary.strip().rpartition(chr(10))[2].replace(':v1.0@', '@')}\n" in verified()
        assert NOTHING in verified(tag="v1.0-arm64")
