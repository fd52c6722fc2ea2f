"""Releases: two of a small copy of this template, made by the real command, and the examples."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest
from conftest import ANSWERS, BASE_IMAGE, committed, copy_template, git, run_in_home, write_files
from golden import PAIR, PROJECTS
from offers import CONTEXT, DEBIAN, PAIRS, PYTHON, TEMPLATE
from package_index import PackageIndex
from platforms import BASH, workflow

from ds_docker_env.common.services import SERVICES
from ds_docker_env.generation.release import VERSION
from releases import examples
from releases.assets import section
from releases.prepare import released

FIRST, SECOND = "9999.1.0", "9999.1.1"
CHANGELOG = "# Changelog\n\n## [Unreleased]\n\n### Added\n\n- The first entry.\n"
URL = CONTEXT["_template_url"]
FOLDER = "{{cookiecutter.project_slug}}"
SERVICE = next(iter(SERVICES), "")


def replace(path: Path, pattern: str, new: str) -> None:
    text, number = re.subn(pattern, new, path.read_text(encoding="utf-8"), count=1, flags=re.MULTILINE)
    assert number == 1, pattern
    path.write_text(text, encoding="utf-8", newline="\n")


def prepare(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "releases/prepare.py", "--day", "9999-01-05", *words]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return subprocess.run(command, cwd=folder, env=clean, capture_output=True, encoding="utf-8", check=False)


def state(folder: Path) -> str:
    """Return all that a release changes."""
    commands = ("for-each-ref", "rev-parse HEAD", "status --porcelain", "worktree list")
    return "".join(git(*command.split(), folder=folder) for command in commands)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Release a copy twice, with one Python and one service, so that there are few wheels."""
    if os.name == "nt" or not shutil.which("ssh-keygen"):
        pytest.skip("releases are made where ssh-keygen and POSIX paths are")
    folder = tmp_path_factory.mktemp("releases") / "ds-docker-env"
    copy_template(folder)
    questions = {**CONTEXT, "python_version": [PYTHON], "debian_release": [DEBIAN]}
    write_files(
        folder,
        {
            "cookiecutter.json": json.dumps(questions),
            "CHANGELOG.md": CHANGELOG,
            "locks/refresh.py": "import pathlib; pathlib.Path('locks', 'refreshed').touch()\n",
            ".gitignore": "__pycache__/\n",
        },
    )
    replace(folder / "ds_docker_env/common/services.py", r"^SERVICES = .*", f"SERVICES = {SERVICES[:1]}")
    git("init", "--quiet", "--initial-branch=main", folder=folder)
    key = folder.with_name("key")
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "ada", "-f", str(key)], check=True)
    signers = folder.with_name("signers")
    signers.write_text(f"ada@example.com {key.with_suffix('.pub').read_text()}")
    settings = {
        **{"user.name": "Ada", "user.email": "ada@example.com", "commit.gpgSign": "false"},
        **{"gpg.format": "ssh", "user.signingKey": str(key), "gpg.ssh.allowedSignersFile": str(signers)},
    }
    for name, value in settings.items():
        git("config", name, value, folder=folder)
    committed(folder)
    done = prepare(folder, FIRST, "--keep-locks")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"Next:  git push --atomic origin main {FIRST}\n")
    replace(folder / FOLDER / "README.md", "^## Start$", "## Begin")
    replace(folder / "CHANGELOG.md", r"^## \[Unreleased\]$", "## [Unreleased]\n\n### Changed\n\n- The second entry.")
    committed(folder)
    done = prepare(folder, SECOND)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def wheels(template: Path, tmp_path: Path) -> Path:
    """Return the directory with the files of the first release, written from a clone of its tag."""
    clone = tmp_path / "of-the-tag"
    git("clone", "--quiet", "--branch", FIRST, str(template), str(clone), folder=tmp_path)
    command = [sys.executable, "releases/assets.py", FIRST, "assets"]
    subprocess.run(command, cwd=clone, check=True)
    refused = subprocess.run([*command[:2], SECOND, "x"], cwd=clone, capture_output=True, text=True, check=False)
    assert refused.stderr == f"{SECOND}: this commit has version {FIRST}; tag the commit of the release\n"
    return clone / "assets"


def test_a_release_is_a_commit_with_its_changes_and_a_signed_tag(template: Path) -> None:
    git("verify-tag", FIRST, folder=template)
    subjects = git("log", "--reverse", "--format=%s", folder=template).splitlines()
    assert subjects[1:] == [
        *(f"Release {FIRST}", "Begin 9999.1.1.dev0", "Change"),
        *(f"Release {SECOND}", "Begin 9999.1.2.dev0"),
    ]
    module = git("show", f"{FIRST}:ds_docker_env/generation/release.py", folder=template)
    assert f'\nVERSION = "{FIRST}"\n' in module
    assert "refreshed" not in git("ls-tree", "--name-only", f"{FIRST}:locks", folder=template)
    assert "refreshed" in git("ls-tree", "--name-only", f"{SECOND}:locks", folder=template)
    assert (template / "CHANGELOG.md").read_text(encoding="utf-8") == (
        f"# Changelog\n\n## [Unreleased]\n\n## [{SECOND}] - 9999-01-05\n\n### Changed\n\n- The second entry.\n\n"
        f"## [{FIRST}] - 9999-01-05\n\n### Added\n\n- The first entry.\n\n"
        f"[Unreleased]: {URL}/compare/{SECOND}...main\n"
        f"[{SECOND}]: {URL}/compare/{FIRST}...{SECOND}\n"
        f"[{FIRST}]: {URL}/releases/tag/{FIRST}\n"
    )


def test_the_changelog_of_this_repository_can_be_released() -> None:
    text = (TEMPLATE / "CHANGELOG.md").read_text(encoding="utf-8")
    after = released(text, FIRST, date(9999, 1, 5), URL)
    assert section(after, FIRST) == section(text, "Unreleased")
    assert section(after, "Unreleased") == ""


@pytest.mark.skipif(not BASH or os.name == "nt", reason="GitHub runs it with bash on Linux")
def test_the_pipeline_compares_the_list_of_wheels_with_the_tag(wheels: Path) -> None:
    (step,) = [step for step in workflow("release")["jobs"]["assets"]["steps"] if "working-directory" in step]
    command = [str(BASH), "-eo", "pipefail", "-c", step["run"]]
    environment = {**os.environ, "GITHUB_REF_NAME": FIRST}
    subprocess.run(command, cwd=wheels, env=environment, check=True)
    digest = hashlib.sha256((wheels / "wheels.txt").read_bytes()).hexdigest()
    notes = (wheels / "notes.md").read_text(encoding="utf-8")
    assert notes.startswith("### Added\n\n- The first entry.\n\n## Verify") and digest in notes
    (wheels / "wheels.txt").write_text("other\n")
    assert subprocess.run(command, cwd=wheels, env=environment, capture_output=True, check=False).returncode
    # Neither does a tag without a digest pass.
    git("tag", "--force", "--no-sign", FIRST, folder=wheels)
    assert subprocess.run(command, cwd=wheels, env=environment, capture_output=True, check=False).returncode


def test_a_project_is_made_from_a_release_and_updated_to_the_next(template: Path, wheels: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    first, second = (f"ds_docker_env-{version}-py3-none-any.whl" for version in (FIRST, SECOND))

    def run(*command: str) -> None:
        done = run_in_home(home, *command, folder=tmp_path, environment={"UV_DEFAULT_INDEX": "http://127.0.0.1:9/"})
        assert done.returncode == 0, done.stderr

    answers = {"_base_image": BASE_IMAGE, "services": SERVICE}
    as_words = [f"{name}={value}" for name, value in answers.items()]
    url = template.as_uri()
    run("cookiecutter", f"git+{url}", "--checkout", FIRST, "--no-input", *as_words, "project_slug=plain")
    listed = dict(line.split("  ") for line in (wheels / "wheels.txt").read_text().splitlines())
    digest = hashlib.sha256((tmp_path / "plain" / first).read_bytes()).hexdigest()
    assert listed[digest] == " ".join(filter(None, (PYTHON, DEBIAN, SERVICE)))

    context = json.dumps({**answers, "project_slug": "moving"})
    run("cruft", "create", url, "--checkout", FIRST, "--no-input", "--extra-context", context)
    project = tmp_path / "moving"
    assert (project / first).read_bytes() == (tmp_path / "plain" / first).read_bytes()
    with (project / "README.md").open("a") as readme:
        readme.write("\n## Found\n")
    committed(project)
    run("cruft", "update", "--checkout", SECOND, "--skip-apply-ask", "--project-dir", str(project))
    text = (project / "README.md").read_text(encoding="utf-8")
    assert "\n## Begin\n" in text and text.endswith("\n## Found\n")
    digest = hashlib.sha256((project / second).read_bytes()).hexdigest()
    dockerfile = (project / "Dockerfile").read_text(encoding="utf-8")
    revision = git("rev-parse", f"{SECOND}^{{commit}}", folder=template).strip()
    assert f"{digest}  {second}" in dockerfile
    assert f'image.version="{SECOND}" org.opencontainers.image.revision="{revision}"' in dockerfile
    assert not list(project.glob("*.rej"))
    report = "from ds_docker_env.image.template import template; print(template().line)"
    environment = {**os.environ, "PYTHONPATH": str(project / second)}
    said = subprocess.run(
        [sys.executable, "-c", report], cwd=home, env=environment, capture_output=True, text=True, check=True
    )
    assert said.stdout == f"Template:   ds-docker-env {SECOND}, commit {revision}\n"
    assert json.loads((project / ".cruft.json").read_text())["commit"] == revision


def test_all_that_prevents_a_release_is_named_at_once_and_nothing_changes(template: Path, tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    git("clone", "--quiet", str(template), str(clone), folder=tmp_path)
    git("switch", "--quiet", "--create", "work", folder=clone)
    (clone / "notes.md").touch()
    before = state(clone)
    done = prepare(clone, SECOND)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines() == [
        f"{SECOND}: not newer than 9999.1.2.dev0; increase PATCH",
        "branch: work, but a release is made from main; run `git switch main`",
        "working tree: uncommitted changes in notes.md; commit or stash them",
        "CHANGELOG.md: [Unreleased] is empty; describe the changes for users",
    ]
    for version in ("9999.01.3", "9998.12.0", "v9999.1.3", "9999.1"):
        named = f"{version}: not a version of this month; use 9999.1.PATCH, such as 9999.1.0"
        assert named in prepare(clone, version, "--dry-run").stderr
    assert state(clone) == before


def test_a_dry_run_and_a_failure_leave_everything_as_it_was(template: Path, tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    git("clone", "--quiet", str(template), str(clone), folder=tmp_path)
    for name, value in {"user.name": "Ada", "user.email": "ada@example.com"}.items():
        git("config", name, value, folder=clone)
    replace(clone / "CHANGELOG.md", r"^## \[Unreleased\]$", "## [Unreleased]\n\n- The third entry.")
    committed(clone)
    before = state(clone)
    done = prepare(clone, "9999.1.2", "--dry-run")
    assert done.returncode == 0, done.stderr
    assert '\n+VERSION = "9999.1.2"\n' in done.stdout
    assert re.search(r"^[0-9a-f]{64}  wheels\.txt$", done.stdout, re.MULTILINE)
    assert state(clone) == before
    git("config", "gpg.format", "ssh", folder=clone)
    git("config", "user.signingKey", str(tmp_path / "missing"), folder=clone)
    done = prepare(clone, "9999.1.2")
    assert done.returncode == 1
    assert "nothing has changed" in done.stderr
    assert state(clone) == before


@pytest.mark.skipif(PAIR not in PAIRS, reason=f"not on offer: Python {PAIR[0]} on {PAIR[1]}")
def test_examples_are_committed_once_without_secrets_and_pushed(
    offline: PackageIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for line in examples.PRODUCTION.read_text().splitlines():
        offline.add(*line.split("=="))
    monkeypatch.setattr(examples, "PROJECTS", {"production": ANSWERS | PROJECTS["production"]})
    monkeypatch.setattr(examples, "commit", lambda: "f" * 40)
    remote, clone = tmp_path / "examples.git", tmp_path / "examples"
    git("init", "--quiet", "--bare", "--initial-branch=main", str(remote), folder=tmp_path)
    git("clone", "--quiet", str(remote), str(clone), folder=tmp_path)
    for name, value in {"user.name": "Ada", "user.email": "ada@example.com"}.items():
        git("config", name, value, folder=clone)
    assert examples.renew(clone) == f"{clone}: committed the projects of {VERSION}"
    names = git("ls-files", folder=clone).splitlines()
    assert {"README.md", *(f"production/{name}" for name in ("Dockerfile", "requirements.txt"))} <= {*names}
    assert not [name for name in names if re.search(r"(^|/)\.(secrets/|env$)", name)]
    assert (clone / "production" / ".secrets").is_dir()
    assert (
        f"\n# source: {URL}/raw/{VERSION}/releases/production.txt\n"
        in (clone / "production/production.txt").read_text()
    )

    head = git("rev-parse", "HEAD", folder=clone)
    assert examples.renew(clone) == f"{clone}: already has the projects of this commit"
    assert (git("rev-parse", "HEAD", folder=clone), git("status", "--porcelain", folder=clone)) == (head, "")

    monkeypatch.setattr(examples, "commit", lambda: "e" * 40)
    monkeypatch.setattr(examples, "PROJECTS", {"default": ANSWERS | PROJECTS["default"]})
    examples.renew(clone)
    assert git("ls-tree", "--name-only", "HEAD", folder=clone).split() == ["README.md", "default"]
    pushed(clone, remote, tmp_path)
    assert git("rev-parse", "main", folder=remote) == git("rev-parse", "HEAD", folder=clone)


def pushed(clone: Path, remote: Path, tmp_path: Path) -> None:
    """Run the commands of the job that pushes, on what the job before hands over."""
    if not BASH or os.name == "nt":
        pytest.skip("GitHub runs it with bash on Linux")
    (tmp_path / "job").mkdir()
    git("bundle", "create", str(tmp_path / "job" / "examples.bundle"), "HEAD", folder=clone)
    (step,) = [step for step in workflow("release")["jobs"]["push"]["steps"] if "run" in step]
    write_files(tmp_path, {"programs/gh": f"#!/bin/sh\necho $* >>'{tmp_path}/asked'\n"})
    (tmp_path / "programs" / "gh").chmod(0o755)
    environment = {
        **os.environ,
        "PATH": os.pathsep.join([str(tmp_path / "programs"), os.environ["PATH"]]),
        **{"GITHUB_SERVER_URL": remote.parent.as_uri(), "EXAMPLES_REPOSITORY": remote.name},
    }
    subprocess.run([str(BASH), "-ec", step["run"]], cwd=tmp_path / "job", env=environment, check=True)
    assert (tmp_path / "asked").read_text() == "auth setup-git\n"


def test_the_jobs_that_may_write_run_only_gh_and_git() -> None:
    read = workflow("release")
    assert read["permissions"] == {}
    writing = {name for name, job in read["jobs"].items() if "write" in job["permissions"].values()}
    assert writing == {"publish"}
    for name in (*writing, "push"):
        runs = [step["run"] for step in read["jobs"][name]["steps"] if "run" in step]
        assert {line.split()[0] for run in runs for line in run.splitlines()} <= {"gh", "git"}
    with_secrets = {name for name, job in read["jobs"].items() if "secrets." in json.dumps(job)}
    assert with_secrets == {"push"}
    assert read["jobs"]["publish"]["needs"] == ["test", "assets"]
    assert "--verify-tag" in read["jobs"]["publish"]["steps"][-1]["run"]
