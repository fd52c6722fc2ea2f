"""The command of docs/how-to/same-image.md that builds the same image again, in the hands of two people."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import sys
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

import pytest
import yaml
from conftest import committed, write_files
from pages import page

from docker.conftest import PRODUCTION
from docker.project import NOTEBOOK, blocks, sh

pytestmark = pytest.mark.docker

SERVICES = "redis,sqlite,mysql,postgres,h2o,dask"
PROJECTS: dict[str, dict[str, str]] = {
    "default": {},
    "production": {"production_requirements": "production.txt", "python_version": "3.11", "debian_release": "bookworm"},
    "everything": {"dvc_s3_url": "s3://bucket/churn", "services": SERVICES},
}
LONG_AGO = 1_000_000_000


@pytest.fixture
def slug(engine: None) -> Iterator[str]:
    slug = f"ds-docker-env-test-{secrets.token_hex(3)}"
    yield slug
    sh("docker", "image", "rm", "--force", slug, check=False)


# Minutes each, and what the others can show, this one does.
USUAL = "production"


@pytest.mark.parametrize("name", PROJECTS if os.environ.get("DS_DOCKER_ENV_EVERY_DIGEST") else [USUAL])
def test_two_people_get_the_same_digest_from_one_commit(
    name: str, slug: str, generate: Callable[..., Path], tmp_path: Path
) -> None:
    answers = PROJECTS[name]
    if "production_requirements" in answers:
        answers = {**answers, "production_requirements": str(tmp_path / "production.txt")}
        (tmp_path / "production.txt").write_text(PRODUCTION, encoding="utf-8")
    author, reader = generate(project_slug=slug, **answers), tmp_path / "some where else"
    committed(author)
    sh("sh", "-c", 'umask 077 && git clone --quiet "$1" "$2"', "sh", str(author), str(reader))
    leave_traces(author)
    other_secrets(author, reader)
    (tmp_path / "home").mkdir()

    digest = built(author)
    assert created(slug) == int(sh("git", "log", "-1", "--format=%ct", folder=author).stdout)
    assert digest == built(reader, HOME=str(tmp_path / "home"), TZ="Pacific/Kiritimati", LC_ALL="C")


def test_a_mirror_that_compose_builds_from_is_in_the_plan_too(generate: Callable[..., Path], engine: None) -> None:
    project = generate()
    override = "services: {jupyter: {build: {secrets: [pip.conf]}}}\nsecrets: {pip.conf: {file: pip.conf}}\n"
    write_files(project, {"docker-compose.override.yml": override, "pip.conf": ""})
    plan = command("churn").partition("| docker load")[0].replace("bake ", "bake --print ")
    said = sh("bash", "-euo", "pipefail", "-c", plan, folder=project).stdout
    [target] = json.loads(said)["target"].values()
    assert "id=pip.conf" in str(target["secret"])


def built(project: Path, **environment: str) -> str:
    """Run the page's command and return the digest that it prints."""
    slug = yaml.safe_load((project / "docker-compose.yml").read_text(encoding="utf-8"))["name"]
    said = sh("bash", "-euo", "pipefail", "-c", command(slug), folder=project, environment=environment).stdout
    return said.splitlines()[-1]


def command(slug: str) -> str:
    """Return the page's command for a project of this name."""
    [command] = blocks(page("same-image.md"), "sh")
    return command.replace(" churn\n", f" {slug}\n")


def created(image: str) -> float:
    """Return the time of an image in seconds since 1970."""
    said = sh("docker", "image", "inspect", "--format", "{{.Created}}", image).stdout.strip()
    return datetime.fromisoformat(said.replace("Z", "+00:00")).timestamp()


def leave_traces(project: Path) -> None:
    """Add what a person who works here leaves behind and git ignores; its files are older than the commit."""
    src = project / "src"
    for name in ("__pycache__/model.cpython-313.pyc", ".ipynb_checkpoints/analysis.ipynb", "data/raw/a.csv", "a.html"):
        (src / name).parent.mkdir(parents=True, exist_ok=True)
        (src / name).write_text("mine", encoding="utf-8")
    (src / "drafts").mkdir()
    src.chmod(0o2775)
    (project / NOTEBOOK).chmod(0o764)
    for path in (src, *src.rglob("*"), project / "requirements.txt"):
        os.utime(path, (LONG_AGO, LONG_AGO))
        if sys.platform != "win32" and os.getuid() == 0:
            os.chown(path, 1234, 1234)


def other_secrets(author: Path, reader: Path) -> None:
    shutil.copytree(author / ".secrets", reader / ".secrets")
    (reader / ".secrets" / "jupyter_password").write_text("another one\n", encoding="utf-8")
