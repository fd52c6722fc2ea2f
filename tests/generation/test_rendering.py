"""Sources of the template and of the answers, with cookiecutter's real command."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from conftest import (
    ANSWERS,
    BASE_IMAGE,
    CONTEXT,
    TEMPLATE,
    Generated,
    answered,
    committed,
    copy_template,
    git,
    run_in_home,
)
from offers import OTHER_PYTHON, PYTHON
from package_index import PackageIndex

from ds_docker_env.common.services import SERVICES
from ds_docker_env.common.shipped import shipped_analysis
from ds_docker_env.common.target import made_for
from ds_docker_env.generation import checks
from ds_docker_env.generation.release import WHEEL

Run = Callable[..., Generated]

NAME = "ds-docker-env"
README = "{{cookiecutter.project_slug}}/README.md"


def cookiecutter(tmp_path: Path, *arguments: str, typed: str = "", **environment: str) -> Path:
    """Run cookiecutter in an empty directory and return the only project that it makes."""
    output = tmp_path / f"output-{len(list(tmp_path.glob('output-*')))}"
    for folder in (output, tmp_path / "home"):
        folder.mkdir(exist_ok=True)
    command = ("cookiecutter", *arguments)
    done = run_in_home(tmp_path / "home", *command, folder=output, typed=typed, environment=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    [project] = output.iterdir()
    assert (project / ".secrets" / "jupyter_password").exists()
    return project


def test_it_comes_from_a_folder_of_a_repository_on_github_at_a_tag(tmp_path: Path) -> None:
    templates = tmp_path / "org" / "templates.git"
    copy_template(templates / NAME)
    committed(templates)
    git("tag", "v1", folder=templates)
    (templates / NAME / "local_extensions.py").write_text("raise SystemExit('of another version')\n")
    committed(templates)
    configured = tmp_path / "gitconfig"
    configured.write_text(f'[url "{tmp_path.as_uri()}/"]\n    insteadOf = https://github.com/\n')
    project = cookiecutter(
        tmp_path,
        *("gh:org/templates", "--directory", NAME, "--checkout", "v1", "--no-input"),
        *answered(),
        GIT_CONFIG_GLOBAL=str(configured),
    )
    shipped = TEMPLATE / "locks" / f"requirements-{ANSWERS['python_version']}.txt"
    lock = made_for(shipped.read_text(encoding="utf-8"), ANSWERS["debian_release"])
    assert (project / "requirements.txt").read_text(encoding="utf-8") == lock
    assert not (project / ".github").exists()


def test_a_zip_is_taken_with_the_answers_of_a_configuration_and_replayed_when_a_question_is_new(
    tmp_path: Path, offline: PackageIndex
) -> None:
    client, service = next(iter(shipped_analysis(PYTHON, SERVICES).clients.items()))
    python = OTHER_PYTHON or PYTHON
    repository, archive = tmp_path / NAME, offline.folder / "simple" / f"{NAME}-1.0.zip"
    copy_template(repository)
    committed(repository)
    # As GitHub makes it.
    git("archive", "--prefix", f"{NAME}-1.0/", "--output", str(archive), "HEAD", folder=repository)
    (tmp_path / "home").mkdir()
    settings = {
        "default_context": {**ANSWERS, "project_name": "Churn", "python_version": python, "full_name": "Ada"},
        "abbreviations": {"team": f"{offline.url}{{0}}-1.0.zip"},
        "replay_dir": str(tmp_path / "answers"),
    }
    (tmp_path / "home" / ".cookiecutterrc").write_text(yaml.dump(settings))
    project = cookiecutter(tmp_path, f"team:{NAME}", "--no-input", f"services={service}")
    assert project.name == "churn"
    base = BASE_IMAGE.replace("{{ cookiecutter.python_version }}", python)
    base = base.replace("{{ cookiecutter.debian_release }}", ANSWERS["debian_release"])
    revision = git("rev-parse", "HEAD", folder=repository).strip()
    dockerfile = (project / "Dockerfile").read_text()
    assert f"FROM {base} AS base\n" in dockerfile
    assert f'image.revision="{revision}"' in dockerfile
    assert f"\n{client}==" in (project / "requirements.txt").read_text()

    changed = {"project_name": CONTEXT["project_name"], "reviewer": "nobody yet"} | CONTEXT
    (repository / "cookiecutter.json").write_text(json.dumps(changed))
    readme = (repository / README).read_text(encoding="utf-8")
    (repository / README).write_text(readme + "\n{{ cookiecutter.reviewer }}\n", encoding="utf-8")
    committed(repository)
    newer = tmp_path / f"{NAME}-1.1.zip"
    git("archive", "--prefix", f"{NAME}-1.1/", "--output", str(newer), "HEAD", folder=repository)
    answers = tmp_path / "answers" / f"{NAME}-1.0.json"
    again = cookiecutter(tmp_path, str(newer), "--replay-file", str(answers), typed="Grace\n")
    assert (again / "README.md").read_text(encoding="utf-8").endswith("\nGrace\n")
    later = git("rev-parse", "HEAD", folder=repository).strip()
    unhashed = re.compile(r"\b[0-9a-f]{64}\b")
    assert unhashed.sub("", (again / "Dockerfile").read_text()) == unhashed.sub("", dockerfile.replace(revision, later))


def test_an_unknown_question_and_an_invalid_default_are_named(cookiecutter: Run, tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    mine = tmp_path / "home" / ".cookiecutterrc"
    mine.write_text("default_context: {python_version: 3.12, servces: redis, full_name: Ada}\n")
    refused = cookiecutter("production_requirement=pins.txt", project_slug="Churn")
    meant = "production_requirement: unknown question; did you mean production_requirements?"
    assert f"\n  {meant}\n" in refused.stderr
    assert (
        f"\n  python_version: 3.12 in {mine} is not a choice; choose from '{CONTEXT['python_version'][0]}', "
        in refused.stderr
    )
    assert "\n  project_slug: 'Churn' cannot name" in refused.stderr
    assert f"ds-docker-env: {mine}: servces: unknown question; did you mean services?\n" in refused.stderr
    assert "full_name" not in refused.stderr
    assert not refused.project.exists()


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ({"services": ["redis", "mysql"]}, "services: ['redis', 'mysql'] in rc is not text; put it in quotes"),
        ({"question": None}, "question: None in rc is not text"),
        ({"dvc_s3_url": False}, "dvc_s3_url: False in rc is not text"),
        (
            {"debian_release": "buster"},
            "debian_release: 'buster' in rc is not a choice; choose from 'trixie', 'bookworm', quotes",
        ),
    ],
)
def test_a_default_that_cookiecutter_would_replace_is_refused(answer: dict[str, object], why: str) -> None:
    questions = {**CONTEXT, "debian_release": ["trixie", "bookworm"]}
    [problem] = checks.unusable(answer, questions, "rc")
    assert problem.startswith(why)


def test_a_default_that_cookiecutter_accepts_is_not_refused() -> None:
    taken = {"question": 42, "project_name": "A", "python_version": CONTEXT["python_version"][-1], "full_name": None}
    assert not checks.unusable({**taken, "__prompts__": {}, "_base_image": "x"}, CONTEXT, "rc")
    assert not checks.unknown(CONTEXT, CONTEXT)
    assert not checks.misspelt(["full_name", "email", "project_short_description"], CONTEXT, "rc")


def test_code_of_another_commit_is_loaded_even_if_it_has_the_same_size_and_second(tmp_path: Path) -> None:
    copy_template(tmp_path / "template")
    module = tmp_path / "template" / "ds_docker_env" / "generation" / "release.py"
    program = f"""
import os, pathlib, re, jinja2, local_extensions
path = pathlib.Path({str(module)!r})
second = path.stat().st_mtime_ns // 10**9 * 10**9
os.utime(path, ns=(second, second))
import importlib; importlib.reload(local_extensions.sys.modules["ds_docker_env.generation.release"])
text = path.read_bytes()
path.write_bytes(text.replace(b'VERSION = "2', b'VERSION = "3'))
os.utime(path, ns=(second + 1000, second + 1000))
environment = jinja2.Environment(extensions=[local_extensions.TemplateExtension])
print(environment.globals["wheel_name"])
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path / "template", capture_output=True, text=True, check=True
    )
    assert done.stdout == f"{WHEEL.replace('-2', '-3', 1)}\n"
