"""`check` with Docker alone; test_readme_commands.py takes over a newer production file."""

from __future__ import annotations

import re

import pytest

from docker.conftest import PINNED
from docker.project import Project
from ds_docker_env.common.target import MACHINES, this_machine
from ds_docker_env.pinning.parity import without

pytestmark = pytest.mark.docker


def edit(project: Project, name: str, old: str, new: str) -> None:
    text = project.read(name)
    assert old in text
    (project.folder / name).write_text(text.replace(old, new), encoding="utf-8")


def words(said: str, package: str) -> list[str]:
    line, *_ = [line for line in said.splitlines() if line.startswith(f"{package} ")]
    return line.split()


@pytest.fixture
def offline(copy: Project) -> Project:
    (copy.folder / "docker-compose.override.yml").write_text("services: {jupyter: {network_mode: none}}\n")
    return copy


def test_a_new_image_has_productions_versions_and_check_names_gaps(offline: Project) -> None:
    checked = offline.run("check")
    first, second, template = checked.stdout.splitlines()
    held = f"{len(PINNED)} of {len(PINNED)} versions of production.txt are installed"
    assert first == f"{held} (1 more not for {MACHINES[this_machine()]} or this Python)"
    assert second.startswith("not compared with production's file: ")
    assert "--volume" in second
    assert re.fullmatch(r"Template:   ds-docker-env [\w.]+, commit [0-9a-f]{40}(-dirty)?", template)


def test_check_asks_for_a_restart_if_the_image_is_older_than_its_lock(copy: Project) -> None:
    edit(copy, "requirements.txt", "\nsix==1.17.0", "\nsix==1.16.0")
    edit(copy, "production.txt", "six==1.17.0", "six==1.16.0")
    checked = copy.run("check", check=False)
    assert checked.returncode == 1
    assert words(checked.stdout, "six") == ["six", "1.16.0", "1.16.0", "1.17.0"]
    assert "requirements.txt: differs from the installed packages; run: docker compose restart" in checked.stdout
    assert "jupyter lock" not in checked.stdout


def test_check_names_a_missing_requirement_of_a_package(copy: Project) -> None:
    lock = copy.read("requirements.txt")
    edit(copy, "requirements.txt", lock, without(lock, ["jmespath"]))
    checked = copy.run("bash", "-c", "readlink /opt/analysis/packages; check", check=False)
    assert checked.returncode == 1
    fix = "run: docker compose run --rm jupyter add jmespath"
    assert re.search(rf"^boto3: requires jmespath\S+, but jmespath is missing; {fix}$", checked.stdout, re.MULTILINE)
    assert re.match(rf"/opt/packages/3\.11-bookworm-{this_machine()}-[0-9a-f]{{16}}\n", checked.stdout)


def test_a_missing_file_is_an_error_and_not_a_difference(offline: Project) -> None:
    (offline.folder / "production.txt").unlink()
    checked = offline.run("check", check=False)
    assert checked.returncode == 2
    assert "production.txt: is not in /project" in checked.stderr
    assert "Traceback" not in checked.stderr
