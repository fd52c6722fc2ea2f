"""The command of docs/how-to/same-image.md that builds the same image again, run by two people."""

from __future__ import annotations

import json
import os
import re
import secrets
import shlex
import shutil
import sys
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

import pytest
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
    sh("docker", "image", "rm", "--force", slug, f"{slug}-reader", check=False)


# Each project takes minutes, and this one covers the others.
USUAL = "production"


@pytest.mark.parametrize("name", PROJECTS if os.environ.get("DS_DOCKER_ENV_EVERY_DIGEST") else [USUAL])
def test_two_people_get_the_same_digest_from_one_commit_and_after_adding_a_package(
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

    lock = author / "requirements.txt"
    locked = lock.read_text(encoding="utf-8")
    lock.write_text(re.sub(r"^tqdm==(.*\n)+?(?=[a-z])", "", locked, flags=re.MULTILINE), encoding="utf-8")
    assert "tqdm==" not in lock.read_text(encoding="utf-8")
    fill_the_cache(author, slug)
    lock.write_text(locked, encoding="utf-8")
    one_package_more = built(author, slug, again=True)
    ours = ("/opt", "/project", "-newermt", "1980-01-02", "-print")
    assert sh("docker", "run", "--rm", "--network=none", "--user=root", "--entrypoint=find", slug, *ours).stdout == ""

    from_nothing = built(reader, f"{slug}-reader", HOME=str(tmp_path / "home"), TZ="Pacific/Kiritimati", LC_ALL="C")
    assert from_nothing == one_package_more
    assert created(slug) == int(sh("git", "log", "-1", "--format=%ct", folder=author).stdout)


def test_a_mirror_in_compose_is_in_the_build_plan(generate: Callable[..., Path], engine: None) -> None:
    project = generate()
    override = "services: {jupyter: {build: {secrets: [pip.conf]}}}\nsecrets: {pip.conf: {file: pip.conf}}\n"
    write_files(project, {"docker-compose.override.yml": override, "pip.conf": ""})
    _, bake, *_ = commands("churn")
    with_override = re.search(r"`(bake --file [^`]+)` instead of `bake`", page("same-image.md"))
    assert with_override
    plan = bake.replace("bake ", f"{with_override[1]} --print ", 1)
    [target] = json.loads(sh(*shlex.split(plan), folder=project).stdout)["target"].values()
    assert "id=pip.conf" in str(target["secret"])


def built(project: Path, name: str, *, again: bool = False, **environment: str) -> str:
    """Run the page's commands for a clone of this name, or from its last build; return the printed digest."""
    environment |= {"COMPOSE_PROJECT_NAME": name}
    time, bake, load, inspect = commands(name)
    if again:
        assert "--no-cache " in bake
        bake = bake.replace("--no-cache ", "")

    def type_(line: str) -> str:
        return sh(*shlex.split(line), folder=project, environment=environment).stdout.strip()

    type_(bake.replace("1764432000", type_(time)))
    type_(load)
    (project / "image.tar").unlink()
    return type_(inspect)


def fill_the_cache(project: Path, slug: str) -> None:
    """Build as the page does, and keep only the steps."""
    environment = {"COMPOSE_PROJECT_NAME": slug}
    time, bake, *_ = commands(slug)
    bake = re.sub(r"output=\S+(?=\")", "output=type=cacheonly", bake.replace("--no-cache ", ""))
    assert "type=cacheonly" in bake
    bake = bake.replace("1764432000", sh(*shlex.split(time), folder=project).stdout.strip())
    sh(*shlex.split(bake), folder=project, environment=environment)


def commands(slug: str) -> list[str]:
    """Return the page's commands for a project of this name."""
    typed = "".join(blocks(page("same-image.md"), "sh"))
    return typed.replace(" churn-3f9a1c\n", f" {slug}\n").splitlines()


def created(image: str) -> float:
    """Return the time of an image in seconds since 1970."""
    said = sh("docker", "image", "inspect", "--format", "{{.Created}}", image).stdout.strip()
    return datetime.fromisoformat(said.replace("Z", "+00:00")).timestamp()


def leave_traces(project: Path) -> None:
    """Add files that git ignores and that are older than the commit, as work leaves them."""
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
