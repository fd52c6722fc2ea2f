from __future__ import annotations

import json
import os
import subprocess
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from conftest import committed, git, write_files
from package_index import PackageIndex
from platforms import BASH, workflow

from ds_docker_env.common import uv
from ds_docker_env.common.target import LOCK_AGAIN, note
from ds_docker_env.pinning import watched
from ds_docker_env.pinning.cooldown import DAYS
from locks import change, refresh

LOCK = f"# made by\n#    uv pip compile requirements.in\n{note()}\n# uv 0.13.9, index as of 2026-01-01T00:00:00Z\n"
OLD = f"{LOCK}numpy==1.0 \\\n    --hash=sha256:00\npandas==2.0 \\\n    --hash=sha256:00\n"


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """Clone a repository with one lock."""
    write_files(tmp_path / "origin", {"locks/requirements-3.13.txt": OLD})
    committed(tmp_path / "origin")
    git("clone", "--quiet", "origin", "clone", folder=tmp_path)
    return tmp_path / "clone"


@pytest.mark.parametrize("version, moves", [("1.0", False), ("1.1", True)])
def test_a_lock_with_the_same_packages_is_not_rewritten(
    version: str, moves: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "requirements-3.13.txt"
    path.write_text(OLD)
    new = OLD.replace("2026-01-01", "2026-02-02").replace("numpy==1.0", f"numpy=={version}")
    given = []

    def lock(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
        given.append(path.read_text())
        path.write_text(new.replace(f"{note()}\n", ""))
        return subprocess.CompletedProcess(arguments, 0, "", "")

    monkeypatch.setattr(refresh, "LOCKS", tmp_path)
    monkeypatch.setattr(watched, "run", lock)
    monkeypatch.setattr(uv, "version", lambda: "uv 0.13.9")
    refresh.refresh(["requirements.in"], path.name, "3.13.9", "uv pip compile requirements.in", LOCK_AGAIN)
    assert given == [OLD, new.replace(f"{note()}\n", "")], "arm64 keeps the versions of amd64"
    assert path.read_text() == (new if moves else OLD)


def test_a_lock_includes_packages_that_the_tests_leave_out(
    offline: PackageIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offline.add("lark", "1.0")
    offline.add("jsonschema", "1.0", requires=("lark",))
    excluding = '[project]\nname = "template"\nversion = "1"\n[tool.uv]\nexclude-dependencies = ["lark"]\n'
    write_files(tmp_path / "template", {"pyproject.toml": excluding, "locks/tools.in": "jsonschema\n"})
    locks = tmp_path / "template" / "locks"
    monkeypatch.setattr(refresh, "LOCKS", locks)
    refresh.refresh(["tools.in"], "tools-trixie.txt", "3.13.5", "locks/refresh.py", LOCK_AGAIN)
    assert "\nlark==1.0" in (locks / "tools-trixie.txt").read_text()


def test_shipped_locks_leave_out_releases_of_the_last_days(
    offline: PackageIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = datetime.now(timezone.utc)
    offline.add("lark", "1.0")
    offline.add("lark", "2.0", uploaded=now)
    write_files(tmp_path, {"locks/tools.in": "lark\n"})
    path = tmp_path / "locks" / "tools-trixie.txt"
    monkeypatch.setattr(refresh, "LOCKS", path.parent)
    refresh.refresh(["tools.in"], path.name, "3.13.5", "locks/refresh.py", LOCK_AGAIN)
    assert "\nlark==1.0" in path.read_text()
    assert f", index as of {(now - timedelta(DAYS)).date()}T00:00:00Z\n" in path.read_text()
    # A later limit takes a security fix.
    monkeypatch.setenv("UV_EXCLUDE_NEWER", now.date().isoformat())
    refresh.refresh(["tools.in"], path.name, "3.13.5", "locks/refresh.py", LOCK_AGAIN)
    assert "\nlark==2.0" in path.read_text()
    # The next refresh keeps it.
    monkeypatch.delenv("UV_EXCLUDE_NEWER")
    refresh.refresh(["tools.in"], path.name, "3.13.5", "locks/refresh.py", LOCK_AGAIN)
    assert "\nlark==2.0" in path.read_text()


def test_the_pull_request_lists_moved_versions_by_lock(clone: Path) -> None:
    path = clone / "locks" / "requirements-3.13.txt"
    aws = "aws==1.0 ; platform_machine == 'aarch64' \\\n    --hash=sha256:00\n"
    path.write_text(OLD.replace("numpy==1.0", "numpy==1.1").replace("pandas==2.0", "six==1.0") + aws)
    assert change.table("package from to", change.moved([path])) == [
        "",
        "| package | from | to | in |",
        "|---|---|---|---|",
        "| aws | none | 1.0 | 3.13 |",
        "| numpy | 1.0 | 1.1 | 3.13 |",
        "| pandas | 2.0 | none | 3.13 |",
        "| six | none | 1.0 | 3.13 |",
    ]
    # The lock without options stands for the one with them.
    locks = ["requirements-3.12-options", "requirements-3.13", "requirements-3.13-options", "tools-trixie"]
    assert change.table("package", {("numpy",): locks})[-1] == "| numpy | 3.12-options, 3.13, tools-trixie |"


def test_the_pull_request_lists_vulnerabilities_and_packages_that_were_not_audited(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packages = [
        {"name": "numpy", "version": "1.0", "vulns": [{"id": "PYSEC-1", "fix_versions": ["1.1", "1.2"]}]},
        {"name": "six", "version": "1.0", "vulns": []},
        {"name": "ours", "skip_reason": "not on the index"},
    ]
    said = {"a.txt": json.dumps({"dependencies": packages}), "b.txt": ""}

    def audit(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(arguments, 1, stdout=said[arguments[-1]], stderr="one\nthe index is gone\n")

    monkeypatch.setattr(uv, "run", audit)
    rows, silent = change.known([tmp_path / name for name in said])
    assert rows == {("numpy", "1.0", "PYSEC-1", "1.1, 1.2"): ["a"]}
    assert silent == ["a: the database of advisories does not know ours", "b: the index is gone"]


@pytest.mark.skipif(not BASH or os.name == "nt", reason="GitHub runs it with bash on Linux")
@pytest.mark.parametrize("is_open", [False, True], ids=["opened", "renewed"])
def test_the_pull_request_has_only_the_new_locks_and_is_opened_once(is_open: bool, clone: Path, tmp_path: Path) -> None:
    temporary, programs = tmp_path / "temporary", tmp_path / "programs"
    new = OLD.replace("numpy==1.0", "numpy==1.1")
    write_files(temporary / "refreshed", {"locks/requirements-3.13.txt": new, "change.md": "What moved.\n"})
    gh = f'#!/bin/sh\necho "$*" >> {tmp_path}/asked\n[ "$2" != create ] || {"false" if is_open else "true"}\n'
    write_files(programs, {"gh": gh})
    (programs / "gh").chmod(0o755)
    step = workflow("weekly")["jobs"]["propose"]["steps"][-1]
    environment = {
        **os.environ,
        "PATH": os.pathsep.join([str(programs), os.environ["PATH"]]),
        "RUNNER_TEMP": str(temporary),
        "text": step["env"]["text"].replace("${{ runner.temp }}", str(temporary)),
    }
    if is_open:
        # The branch of last week.
        git("push", "--quiet", "origin", "main:refresh-locks", folder=clone)
    subprocess.run([str(BASH), "-eo", "pipefail", "-c", step["run"]], cwd=clone, env=environment, check=True)
    changed = git("diff", "--name-only", "main..refresh-locks", folder=tmp_path / "origin").split()
    assert changed == ["locks/requirements-3.13.txt"]
    assert git("show", "refresh-locks:locks/requirements-3.13.txt", folder=tmp_path / "origin") == new
    asked = [line.split()[:2] for line in (tmp_path / "asked").read_text().splitlines()]
    assert asked == [["auth", "setup-git"], ["pr", "create"], *([["pr", "edit"]] if is_open else [])]


@pytest.mark.skipif(not BASH or os.name == "nt", reason="GitHub runs it with bash on Linux")
@pytest.mark.parametrize("moved", [True, False])
def test_a_pull_request_is_opened_only_if_a_lock_has_moved(moved: bool, clone: Path, tmp_path: Path) -> None:
    jobs = workflow("weekly")["jobs"]
    (step,) = (step for step in jobs["refresh"]["steps"] if step.get("id") == "moved")
    if moved:
        (clone / "locks" / "requirements-3.13.txt").write_text(OLD.replace("numpy==1.0", "numpy==1.1"))
    environment = {**os.environ, "GITHUB_OUTPUT": str(tmp_path / "output")}
    subprocess.run([str(BASH), "-eo", "pipefail", "-c", step["run"]], cwd=clone, env=environment, check=True)
    assert (tmp_path / "output").read_text() == f"moved={str(moved).lower()}\n"
    assert jobs["propose"]["if"] == "needs.refresh.outputs.moved == 'true'"
