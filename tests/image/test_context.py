"""The directories of the build's steps, which the Dockerfile mounts."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ANSWERS, write_files

from ds_docker_env.common.target import AMD64, ARM64, note
from ds_docker_env.generation.answers import Answers
from ds_docker_env.generation.wheel import pack
from ds_docker_env.image.build import context
from ds_docker_env.image.build.layers import LAYERS

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the image is Linux")
STEPS = ("tools", "debian", *LAYERS, "commands")
LOCK = "# comment\nnumpy==2.2.5 \\\n    --hash=sha256:00\n    # via -r requirements.in\nmine==1.0\n    # via numpy\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    project = tmp_path / "project"
    files = {"requirements.txt": LOCK, "uv.toml": "offline = true\n"}
    write_files(project, {**files, "tools.txt": "uv==1\n", "src/analysis.ipynb": "{}"})
    wheel = pack(Answers.of({**ANSWERS, "__production_requirements": ""}))
    (project / wheel.name).write_bytes(wheel.content)
    return project


def prepared(project: Path, root: Path) -> Path:
    """Run the module from the wheel, as the Dockerfile does."""
    [wheel] = project.glob("*.whl")
    command = [sys.executable, "-m", "ds_docker_env.image.build.context", ".", str(root)]
    subprocess.run(command, cwd=project, env={**os.environ, "PYTHONPATH": wheel.name}, check=True)
    return root


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_each_step_has_its_inputs_and_its_programs(project: Path, tmp_path: Path) -> None:
    root = prepared(project, tmp_path / "root")
    inputs = {
        step: {name for name in contents(root / step) if not name.startswith(("ds_docker_env/", "__main__"))}
        for step in STEPS
    }
    [wheel] = project.glob("*.whl")
    assert inputs == {
        "tools": {"tools.txt"},
        "debian": set(),
        **{layer: {"requirements.txt", "uv.toml"} for layer in LAYERS},
        "commands": {wheel.name, "lock.txt"},
    }
    assert (root / "commands" / "lock.txt").read_text() == "numpy==2.2.5 \\\n    --hash=sha256:00\nmine==1.0\n"
    for step in STEPS:
        # Nothing of the repository is on the path.
        said = subprocess.run(
            [sys.executable, "-I", "-B", step, "no step"], cwd=root, capture_output=True, text=True, check=False
        )
        assert "KeyError: 'no step'" in said.stderr


def test_one_more_package_changes_only_the_last_step_of_packages_and_the_steps_after_it(
    project: Path, tmp_path: Path
) -> None:
    before = prepared(project, tmp_path / "before")
    (project / "requirements.txt").write_text(LOCK.replace("mine==1.0", "mine==1.0\n    # via x\nseaborn==0.13"))
    after = prepared(project, tmp_path / "after")
    assert [step for step in STEPS if contents(before / step) != contents(after / step)] == [
        "others",
        "commands",
    ]


def test_a_lock_for_amd64_only_is_not_built_on_another_processor(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    noted = f"{note('torch==1.13.1 (production.txt:3) has no wheel')}\n{LOCK}"
    (project / "requirements.txt").write_text(noted)
    monkeypatch.setattr(platform, "machine", lambda: ARM64)
    with pytest.raises(SystemExit, match=r"^requirements\.txt: for linux/amd64 only: torch==1\.13\.1 .* in \.env"):
        context.main(project, tmp_path / "arm64")
    monkeypatch.setattr(platform, "machine", lambda: AMD64)
    context._require_processor(noted)
    # Locks of older templates, and those for both.
    monkeypatch.setattr(platform, "machine", lambda: ARM64)
    context._require_processor(LOCK)
    context._require_processor(f"{note()}\n{LOCK}")


def test_a_lock_for_a_newer_debian_is_not_built_on_an_older_one(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = "#    uv pip compile --python-platform x86_64-manylinux_2_40 requirements.in\n"
    (project / "requirements.txt").write_text(command + LOCK)
    monkeypatch.setattr(platform, "libc_ver", lambda: ("glibc", "2.36"))
    with pytest.raises(SystemExit, match=r"^requirements\.txt: locked for glibc 2\.40, but the base image has 2\.36; "):
        context.main(project, tmp_path / "bookworm")
    # A wheel from a URL may be for this processor or another one.
    url = "a @ https://example.com/a-1-cp311-cp311-manylinux_2_39_x86_64.whl\n    # via -r requirements.in\n"
    for lock, glibc in ((command + LOCK, 40), (command + LOCK, 41), (f"# What.\n{url}", 36)):
        assert context.newer_glibc(lock, glibc) == ""


def test_files_are_those_of_the_project_without_modes_times_and_empty_directories(
    project: Path, tmp_path: Path
) -> None:
    write_files(project, {"src/deep/model.py": "", ".dvc/config": ""})
    (project / "src" / "empty" / "er").mkdir(parents=True)
    (project / "src" / "link").symlink_to("/nowhere")
    (project / "src" / "analysis.ipynb").chmod(0o600)
    for path in (project / "src", *(project / "src").rglob("*")):
        os.utime(path, (1_000_000_000, 1_000_000_000), follow_symlinks=False)
    files = prepared(project, tmp_path / "root") / "files"
    assert set(contents(files)) == {"src/analysis.ipynb", "src/deep/model.py", ".dvc/config"}
    assert not (files / "src" / "empty").exists() and (files / "src" / "link").readlink() == Path("/nowhere")
    assert {path.stat().st_mode & 0o777 for path in files.rglob("*") if not path.is_symlink()} == {0o755}
    assert {path.lstat().st_mtime for path in files.rglob("*")} == {315_532_800}
