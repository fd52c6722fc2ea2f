"""Generating over a project: the user's files stay, and the template's files are renewed and kept."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from conftest import ANSWERS, TEMPLATE, Generated, git, write_files
from offers import OTHER_PYTHON, PYTHON, needs_two_pythons
from package_index import PackageIndex

from ds_docker_env.common.analysis import Analysis, without_floor
from ds_docker_env.common.services import SERVICES
from ds_docker_env.common.shipped import is_shipped, shipped_analysis
from ds_docker_env.common.target import LOCK_AGAIN, Target, note
from ds_docker_env.generation import events

Run = Callable[..., Generated]

FORCE = "--overwrite-if-exists"
SKIP = "--skip-if-file-exists"
OWN = {
    "src/analysis.ipynb": "my notebook",
    "src/model.py": "mine",
    "src/data/customers.csv": "1\n",
    ".secrets/jupyter_password": "mine\n",
    ".env": "AWS_PROFILE=team\nCOMPOSE_PROJECT_NAME=mine\n",
    ".dvc/config": "['remote \"storage\"']\n    url = s3://bucket/mine\n",
    "uv.toml": "offline = true\n",
    "notes.md": "mine\n",
}
TEMPLATES = {"README.md": "my readme\n", "Dockerfile": "FROM mine\n", ".gitignore": "mine\n"}


def tree(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_users_files_stay_and_replaced_files_are_kept_and_named(cookiecutter: Run, existing: Path) -> None:
    project, left = existing, [".github/dependabot.yml", ".github/workflows/analysis.yml"]
    write_files(project, OWN | TEMPLATES | dict.fromkeys(left, "of another pipeline\n"))
    again = cookiecutter(FORCE, dvc_s3_url="s3://bucket/x", ci="gitlab")
    assert again.exit_code == 0, again.stderr
    now = tree(project)
    assert {name: now[name].decode() for name in OWN} == OWN
    assert {name: now[f".former/1/{name}"].decode() for name in TEMPLATES} == TEMPLATES
    assert "Password:   unchanged" in again.stdout
    assert "Git:" not in again.stdout
    assert "dvc remote modify storage url s3://bucket/x" in again.stdout
    [replaced] = [line for line in again.stdout.splitlines() if line.startswith("Replaced:")]
    assert replaced.endswith("; the former files are in .former/1, which git ignores")
    assert all(name in replaced for name in TEMPLATES)
    assert f"Pipeline:   unused with ci=gitlab; remove them if not needed: {', '.join(left)}\n" in again.stdout
    assert {*left, ".gitlab-ci.yml"} <= set(now)

    for name in (".gitignore", ".dockerignore"):
        (project / name).write_text((project / name).read_text() + "clients.xlsx\n")
    again = cookiecutter(FORCE, dvc_s3_url="s3://bucket/mine", ci="gitlab")
    assert "Replaced:   .dockerignore, README.md; " in again.stdout
    assert "sends src/data to s3://bucket/mine\n" in again.stdout
    now = tree(project)
    assert now[".gitignore"].endswith(b"\n# From before this was generated again.\nmine\nclients.xlsx\n")
    assert "Replaced:" not in cookiecutter(FORCE, dvc_s3_url="s3://bucket/mine", ci="gitlab").stdout
    assert tree(project) == now
    assert ".former" not in git("status", "--porcelain", folder=project)


@needs_two_pythons
def test_with_skip_existing_files_stay_and_missing_files_are_added(cookiecutter: Run, tmp_path: Path) -> None:
    project = cookiecutter(python_version=OTHER_PYTHON).project
    write_files(project, OWN | TEMPLATES | {"requirements.in": "mine\n", ".secrets/jupyter_password": ""})
    (project / "docker-compose.yml").unlink()
    before = tree(project)
    pins = tmp_path / "pins.txt"
    pins.write_text("nowhere==1.0\n")
    refused = cookiecutter(FORCE, SKIP, production_requirements=str(pins))
    assert (
        f"locked for Python {OTHER_PYTHON}; set python_version to {OTHER_PYTHON}, or omit --skip-if-file-exists"
        in refused.stderr
    )
    assert "locked without production's versions; leave production_requirements blank, or omit --skip" in refused.stderr
    assert tree(project) == before
    again = cookiecutter(FORCE, SKIP, question="Who?", python_version=OTHER_PYTHON)
    assert again.exit_code == 0, again.stderr
    after = tree(project)
    assert {name: after[name] for name in before} == before
    assert after.keys() - before.keys() == {"docker-compose.yml"}
    assert "Password:   unchanged" in again.stdout
    [kept] = [line for line in again.stdout.splitlines() if line.startswith("Kept: ")]
    assert all(name in kept for name in TEMPLATES)
    assert "Versions:   unchanged, in requirements.txt" in again.stdout
    assert "Only amd64" not in again.stdout


def test_the_users_packages_stay_with_their_lock_and_are_locked_with_production(
    cookiecutter: Run, existing: Path, offline: PackageIndex, tmp_path: Path
) -> None:
    for version in ("1.0", "2.0"):
        offline.add("mine", version)
    offline.add("prod", "1.0")
    project = existing
    edited = (project / "requirements.in").read_text() + "mine>=1\n"
    older = (project / "requirements.txt").read_text().replace(f"{note()}\n", "")
    write_files(project, {"requirements.in": edited, "requirements.txt": older, ".dvc/config": "mine"})
    write_files(project, {"build-requirements.txt": "# mine==1.0\nsetuptools==80.0 --hash=sha256:00\n"})
    before = tree(project)
    client, service = next(iter(shipped_analysis(PYTHON, SERVICES).clients.items()))
    again = cookiecutter(FORCE, services=service)
    assert again.exit_code == 0, again.stderr
    assert "unchanged, as requirements.in has packages of your own" in again.stdout
    assert f"Only amd64: requirements.txt: made by an older template; run: {LOCK_AGAIN}" in again.stdout
    assert f"Missing:    add to requirements.in and lock again: {client} (for {service})" in again.stdout
    now = tree(project)
    assert all(now[name] == before[name] for name in ("requirements.in", "requirements.txt", "build-requirements.txt"))
    assert "Data:       .dvc and .dvcignore are unused; remove them if not needed" in again.stdout

    write_files(project, {"requirements.txt": "mine==1.0\n"})
    (tmp_path / "pins.txt").write_text("prod==1.0\n")
    beside = cookiecutter(FORCE, production_requirements="pins.txt")
    assert beside.exit_code == 0, beside.stderr
    assert "mine>=1\n" in (project / "requirements.in").read_text()
    lock = (project / "requirements.txt").read_text()
    assert "\nmine==1.0 \\\n" in lock
    assert "\nprod==1.0 \\\n" in lock
    alone = cookiecutter(FORCE)
    assert "locked with production's versions; set production_requirements to production's file" in alone.stderr
    assert (project / "requirements.txt").read_text() == lock
    assert (project / ".former" / "1" / "docker-compose.yml").read_bytes() == before["docker-compose.yml"]

    (project / "requirements.in").unlink()
    fresh = cookiecutter(FORCE)
    assert fresh.exit_code == 0, fresh.stderr
    assert not {"production.txt", "parity.pyz", "build-requirements.txt"} & set(tree(project))
    assert b"prod==1.0" in tree(project)[".former/3/production.txt"]


@needs_two_pythons
def test_an_edited_lock_for_another_python_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    full_python = Target(OTHER_PYTHON).full_python
    lock = f"# made by:\n#    uv pip compile --python-version {full_python} requirements.in\n"
    write_files(tmp_path / "p", {"requirements.in": "mine\n", "requirements.txt": lock})
    write_files(tmp_path / "p" / ".generating", {"again/x": "", "lock": ""})
    monkeypatch.chdir(tmp_path / "p" / ".generating" / "again")
    answers = ANSWERS | {"project_slug": "p", "__production_requirements": ""}
    assert events.prepare(answers) == 1
    assert (
        f"locked for Python {OTHER_PYTHON}; set python_version to {OTHER_PYTHON}, or remove requirements.in"
        in capsys.readouterr().err
    )
    write_files(tmp_path, {"p/requirements.txt": ""})
    assert events.prepare(answers) == 1
    assert (
        "requirements.txt: the header does not contain the command that made it; restore it from git"
        in capsys.readouterr().err
    )
    assert list(Path().iterdir()) == [Path("x")]


def test_a_refusal_to_generate_over_a_project_changes_nothing(cookiecutter: Run, tmp_path: Path) -> None:
    project = tmp_path / "output" / "data_science_analysis"
    write_files(project, {"README.md": "mine", ".secrets/jupyter_password/x": "a directory"})
    before = tree(project)
    again = cookiecutter(FORCE)
    assert ".secrets/jupyter_password: is a directory, but a file is expected here; remove it" in again.stderr
    code = (
        "import json, sys; from cookiecutter.main import cookiecutter\n"
        "answers = json.loads(sys.argv[3])\n"
        "cookiecutter(sys.argv[1], '', True, answers, output_dir=sys.argv[2], overwrite_if_exists=True)"
    )
    command = [sys.executable, "-c", code, str(TEMPLATE), str(project.parent), json.dumps(ANSWERS)]
    by_a_program = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "is not empty; to keep its files, generate with the command cookiecutter" in by_a_program.stderr
    assert tree(project) == before
    assert not list(project.glob(".generating"))


@pytest.mark.parametrize("options", [[], SERVICES[:1], SERVICES[2::3], SERVICES])
def test_edits_of_the_user_are_recognized(options: Sequence[str]) -> None:
    analysis = shipped_analysis(PYTHON, options)
    first, *_, last = analysis.requirements
    beside = analysis.with_setuptools().without_floors(analysis.clients)
    written = [analysis.text, beside.render({beside.requirements[0]: "it cannot live"})]
    assert all(is_shipped(text) for text in written)
    for text in written:
        for edited in (
            f"{text}mine\n",
            f"{text}# mine\n",
            re.sub(rf"^{re.escape(without_floor(last))}(>=.*)?$", r"\g<0>,<9999", text, flags=re.MULTILINE),
            re.sub(rf"^.*{re.escape(first)}.*\n", "", text, flags=re.MULTILINE),
        ):
            assert not is_shipped(edited), edited
    assert not Analysis("", "").requirements
