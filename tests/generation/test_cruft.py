"""A project under cruft: made, compared and updated by the real commands."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import ANSWERS, BASE_IMAGE, Generated, committed, copy_template, git, run_in_home, write_files
from offers import DEBIAN, needs
from package_index import PackageIndex

from ds_docker_env.generation.release import WHEEL as NAME

Cruft = Callable[..., Generated]

FOLDER = "{{cookiecutter.project_slug}}"
# The template must work offline here: index and registry are unreachable.
NOWHERE = {"UV_DEFAULT_INDEX": "http://127.0.0.1:9/", "HTTPS_PROXY": "http://127.0.0.1:9"}
OWN = {
    ".secrets/jupyter_password": "canary of mine\n",
    ".secrets/mysql_password": "canary of MySQL's\n",
    ".env": "AWS_PROFILE=canary\n",
    "src/data/customers.csv": "1\n",
    "src/analysis.ipynb": '{"cells": "mine"}\n',
    "requirements.in": "ipykernel>=6\nmine\n",
    "requirements.txt": "mine==1.0\n",
    "uv.toml": "offline = true\n",
    "notes.md": "mine\n",
}


@pytest.fixture
def templates(tmp_path: Path) -> Path:
    """A repository that contains the template as one of several directories."""
    copy_template(tmp_path / "templates" / "ds-docker-env")
    committed(tmp_path / "templates")
    return tmp_path / "templates"


@pytest.fixture
def cruft(tmp_path: Path) -> Cruft:
    """Run the real ``cruft`` command in a directory, with an empty home."""

    def _run(*arguments: str, folder: Path = tmp_path, **environment: str) -> Generated:
        (tmp_path / "home").mkdir(exist_ok=True)
        there = {"PWD": str(folder), **environment}
        done = run_in_home(tmp_path / "home", "cruft", *arguments, folder=folder, environment=there)
        return Generated(done.returncode, tmp_path / "data_science_analysis", done.stdout, done.stderr)

    return _run


def change(templates: Path, name: str, old: str, new: str) -> None:
    path = templates / "ds-docker-env" / name
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_bytes(text.replace(old, new, 1).encode())


@needs("mysql", "postgres")
def test_an_update_changes_the_templates_files_and_keeps_the_users(
    cruft: Cruft, templates: Path, offline: PackageIndex, tmp_path: Path
) -> None:
    for name in ("prod", "cryptography"):
        offline.add(name, "9999.1")
    write_files(tmp_path, {"api/requirements.txt": "prod==9999.1\n"})
    base = BASE_IMAGE.partition("@")[0].replace("python:", "registry.example.com/python:")
    asked, digest = tmp_path / "asked", f"sha256:{'1' * 64}"
    said = f"MediaType: application/vnd.oci.image.index.v1+json\nDigest: {digest}\n"
    write_files(tmp_path, {"bin/docker": f"#!/bin/sh\necho $1 >>'{asked}'\nprintf '%s' '{said}'\n"})
    (tmp_path / "bin" / "docker").chmod(0o755)
    path = os.pathsep.join([str(tmp_path / "bin"), os.environ["PATH"]])
    answers = {"production_requirements": "api/requirements.txt", "services": "mysql", "dvc_s3_url": "s3://bucket/x"}
    made = cruft(
        *("create", str(templates), "--directory", "ds-docker-env", "--no-input"),
        *("--extra-context", json.dumps(ANSWERS | answers | {"_base_image": base})),
        PATH=path,
    )
    project = made.project
    assert made.locked["prod"] == "9999.1"
    assert "Next:       cd data_science_analysis\n" in made.stdout
    assert not (project / ".git").exists()
    # The files for git name only the template's directory on this machine.
    state = json.loads(made.read(".cruft.json"))["context"]["cookiecutter"]
    assert state["__production_requirements"] == "api/requirements.txt"

    committed(project)

    # A colleague's machine lacks production's file, and may be offline.
    (tmp_path / "api" / "requirements.txt").unlink()
    for name in (".gitignore", ".dockerignore"):
        write_files(project, {name: made.read(name) + "clients.xlsx\n"})
    edited = made.read("docker-compose.yml").replace("pids_limit: 2048", "pids_limit: 99")
    write_files(project, OWN | {"docker-compose.yml": edited, "README.md": made.read("README.md") + "\n## Found\n"})
    dvc = made.read(".dvc/config")
    committed(project)
    in_git = git("ls-files", folder=project).split()
    assert ".cruft.json" in in_git
    assert not [name for name in in_git if ".secrets" in name]

    change(templates, f"{FOLDER}/README.md", "## Start\n", "## {{ 'begin' | loud }}\n")
    change(templates, f"{FOLDER}/docker-compose.yml", "pids_limit: 2048", "pids_limit: 4096")
    change(templates, f"{FOLDER}/src/analysis.ipynb", "%pip freeze", "%pip list")
    change(templates, f"locks/tools-{DEBIAN}-options.txt", "\n", "\n# newer\n")
    change(templates, "locks/requirements.in", "\n", "\n# newer\n")
    change(templates, "ds_docker_env/image/commands.py", "\n", "\n# newer\n")
    # cruft renders both commits in one process, which must not keep the first one's filters.
    change(
        templates,
        "local_extensions.py",
        'environment.filters["services"] = services_of\n',
        'environment.filters["services"] = services_of\n        environment.filters["loud"] = str.upper\n',
    )
    committed(templates)

    docker_asked = asked.read_bytes() if asked.exists() else b""
    compared = cruft("diff", folder=project, PATH=path, **NOWHERE)
    assert compared.exit_code == 0, compared.stderr
    assert "-pids_limit: 99" in compared.stdout.replace("-  pids", "-pids")
    assert "-## Found" in compared.stdout
    shown = compared.stdout + compared.stderr
    assert "canary" not in shown
    assert "assword" not in "".join(line for line in shown.splitlines() if line.startswith("+"))
    assert not [name for name in OWN if f"/{name}" in shown]

    # From another directory, as only the project's counts.
    elsewhere = ("--skip-apply-ask", "--project-dir", str(project))
    updated = cruft("update", *elsewhere, folder=tmp_path / "home", PATH=path, **NOWHERE)
    assert updated.exit_code == 0, updated.stderr
    assert updated.stdout.splitlines() == ["Good work! Project's cruft has been updated and is as clean as possible!"]
    assert "Applied patch to 'docker-compose.yml' with conflicts." in updated.stderr
    assert {name: made.read(name) for name in OWN} == OWN
    assert made.read(".dvc/config") == dvc
    readme, compose = made.read("README.md"), made.read("docker-compose.yml")
    assert "\n## BEGIN\n" in readme
    assert readme.endswith("\n## Found\n")
    assert "<<<<<<< ours\n  pids_limit: 99\n=======\n  pids_limit: 4096\n>>>>>>> theirs\n" in compose
    assert "\nFROM registry.example.com/python:" in made.read("Dockerfile")
    if os.name == "posix":  # elsewhere a script cannot stand in for docker.exe
        assert f"@{digest} AS base\n" in made.read("Dockerfile")
        # Once for each image and for the engine's version, when the project was made.
        assert docker_asked and docker_asked == asked.read_bytes()
    assert "\n# newer\n" in made.read("tools.txt")
    assert b"\n# newer\n" in (project / NAME).read_bytes()
    revision = git("rev-parse", "HEAD", folder=templates).strip()
    assert f'org.opencontainers.image.revision="{revision}"' in made.read("Dockerfile")
    digest_of_wheel = hashlib.sha256((project / NAME).read_bytes()).hexdigest()
    assert f'echo "{digest_of_wheel}  {NAME}"' in made.read("Dockerfile")
    assert made.read(".gitignore").endswith("clients.xlsx\n")
    assert not list(project.rglob("*.rej"))
    state = json.loads(made.read(".cruft.json"))["context"]["cookiecutter"]
    assert state["_base_image"] == base

    (project / "docker-compose.yml").write_bytes(compose.replace("<<<<<<< ours", "").encode())
    committed(project)
    more = ("--variables-to-update", json.dumps({"services": "mysql, postgres"}))
    updated = cruft("update", "--skip-apply-ask", *more, folder=project, PATH=path, **NOWHERE)
    assert "ds-docker-env: services: cruft does not update locks and passwords; after the update, " in updated.stderr
    assert "\n  postgres:\n" in made.read("docker-compose.yml")
