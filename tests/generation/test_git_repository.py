"""Each project is a git repository, unless it is inside of one that is not the template's."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Generated, answered, copy_template, git, run_in_home

Run = Callable[..., Generated]

NEW = "Git:        new repository without a commit\n"


def test_a_project_is_a_repository_without_a_commit_and_without_secrets(made: Generated, existing: Path) -> None:
    assert NEW in made.stdout
    assert git("rev-list", "--all", folder=existing) == ""
    new = git("status", "--porcelain", "--untracked-files=all", folder=existing).split()[1::2]
    assert {"Dockerfile", "README.md", "requirements.txt"} <= set(new)
    assert not [name for name in new if ".secrets" in name]


def test_without_git_a_project_lacks_a_repository_and_the_summary_says_so_for_dvc(
    bake: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", os.defpath if sys.platform == "win32" else "/nowhere")
    generated = bake()
    assert generated.exit_code == 0, generated.stderr
    assert not (generated.project / ".git").exists()
    assert "Git:" not in generated.stdout
    said = "Git:        DVC needs a repository; run in the project: git init\n"
    assert said in bake(project_slug="p", dvc_s3_url="s3://bucket/x").stdout


def test_a_project_that_was_made_without_a_repository_gets_one_when_it_is_generated_again(
    cookiecutter: Run, existing: Path
) -> None:
    shutil.rmtree(existing / ".git")
    assert NEW in cookiecutter("--overwrite-if-exists").stdout
    assert (existing / ".git").is_dir()


def test_a_project_in_a_repository_stays_part_of_it(bake: Run, tmp_path: Path) -> None:
    git("init", "--quiet", folder=tmp_path)
    generated = bake(dvc_s3_url="s3://bucket/x")
    assert not (generated.project / ".git").exists()
    assert "Git:" not in generated.stdout


def test_a_project_in_the_clone_of_its_template_gets_a_repository(tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    copy_template(clone)
    git("init", "--quiet", folder=clone)
    done = run_in_home(tmp_path, "cookiecutter", ".", "--no-input", *answered(project_slug="p"), folder=clone)
    assert NEW in done.stdout, done.stderr
    assert git("rev-parse", "--show-toplevel", folder=clone / "p").strip() == str((clone / "p").resolve())


def test_a_hook_of_git_that_generates_keeps_its_own_repository(
    bake: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "hooked"))
    assert (bake().project / ".git").is_dir()
    assert not (tmp_path / "hooked").exists()


@pytest.mark.skipif(os.name != "posix", reason="a script cannot stand in for git.exe")
def test_a_failure_of_git_does_not_stop_generation(bake: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "git").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "git").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    generated = bake(dvc_s3_url="s3://bucket/x")
    assert generated.exit_code == 0, generated.stderr
    assert "run in the project: git init" in generated.stdout
