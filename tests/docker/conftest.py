from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import pytest
from forward_proxy import ForwardProxy
from pages import page
from playwright.sync_api import Browser, expect, sync_playwright

from docker.project import Project, blocks, free_port, sh

TEMPLATE = Path(__file__).parents[2]
REQUIRED = os.environ.get("DS_DOCKER_ENV_SKIP_NOTHING") == "1"
PRODUCTION = """\
# The shop's recommendation service, released 2025-05.
numpy==2.2.5
pandas==2.2.3
python-dateutil==2.9.0.post0  # via pandas
pytz==2025.2
six==1.17.0
tzdata==2025.2

requests[socks]==2.32.4
PySocks==1.7.1
certifi==2025.4.26
PyMySQL==1.1.1
colorama==0.4.6 ; sys_platform == "win32"
"""
# Without packages for other systems.
PINNED = dict(re.findall(r"^([\w-]+)(?:\[socks\])?==(\S+)(?!.* ;)", PRODUCTION, re.MULTILINE))


def missing(what: str) -> NoReturn:
    """Skip, or fail if nothing may be skipped, as in CI."""
    if REQUIRED:
        pytest.fail(f"{what}, and DS_DOCKER_ENV_SKIP_NOTHING=1", pytrace=False)
    pytest.skip(what)


@pytest.fixture(scope="session")
def engine() -> None:
    for command in (("docker", "info"), ("docker", "buildx", "version"), ("docker", "compose", "version")):
        try:
            found = subprocess.run(command, capture_output=True, check=False, timeout=60).returncode == 0
        except (OSError, subprocess.TimeoutExpired):
            found = False
        if not found:
            missing(f"no Docker engine: `{' '.join(command)}` fails")


@pytest.fixture(scope="session")
def host(engine: None) -> str:
    """Return the address at which containers reach the tests' servers."""
    gateway = "{{range .IPAM.Config}}{{.Gateway}}{{end}}"
    address = sh("docker", "network", "inspect", "bridge", "--format", gateway).stdout.strip()
    try:
        free_port(address)
    except OSError:
        missing(f"containers cannot reach this machine: {address} is not its own address")
    return address


@pytest.fixture
def proxy(host: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ForwardProxy]:
    """Name a proxy in Docker's settings, as docs/how-to/networks.md does, but without noProxy."""
    with ForwardProxy(host) as proxy:
        [page_settings] = blocks(page("networks.md"), "json")
        settings = json.loads(page_settings.replace("http://proxy.example.com:3128", proxy.url))
        del settings["proxies"]["default"]["noProxy"]
        (tmp_path / "docker").mkdir()
        (tmp_path / "docker" / "config.json").write_text(json.dumps(settings), encoding="utf-8")
        monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
        yield proxy


def have_image(name: str) -> None:
    """Skip, or fail, if a base image is neither here nor in a registry."""
    if all(sh("docker", *asked, name, check=False).returncode for asked in (("image", "inspect"), ("pull", "--quiet"))):
        missing(f"no image {name}: no registry has it, and .ci/engine could not make one")


@pytest.fixture(scope="session")
def generate(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Generate through the ``cookiecutter`` command, in an empty home unless there is one, as a new user would."""

    def _generate(home: Path | None = None, **answers: str) -> Path:
        folder = tmp_path_factory.mktemp("generated")
        sh(
            *(sys.executable, "-m", "cookiecutter", str(TEMPLATE), "--no-input", "--output-dir", str(folder)),
            *(f"{name}={value}" for name, value in answers.items()),
            folder=folder,
            environment={"HOME": str(home or tmp_path_factory.mktemp("home"))},
        )
        [project] = folder.iterdir()
        return project

    return _generate


@pytest.fixture(scope="session")
def built(engine: None, generate: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """Generate from a typical production file and build its image, once for all tests."""
    production = tmp_path_factory.mktemp("production") / "requirements.txt"
    production.write_text(PRODUCTION, encoding="utf-8", newline="\r\n")
    answers = {
        "project_name": "Why do customers leave?",
        "question": "Which customers leave, and why?",
        "production_requirements": str(production),
        "python_version": "3.11",
        "debian_release": "bookworm",
    }
    with image_of(generate, **answers) as project:
        yield project


@contextmanager
def image_of(generate: Callable[..., Path], **answers: str) -> Iterator[Project]:
    """Generate with these answers, build the image, and remove it after the tests."""
    with generated(generate, **answers) as project:
        project.build()
        yield project


@contextmanager
def generated(generate: Callable[..., Path], **answers: str) -> Iterator[Project]:
    """Generate with these answers, and remove the project's image at the end."""
    slug = f"ds-docker-env-test-{secrets.token_hex(3)}"
    project = Project(generate(project_slug=slug, **answers), image=slug, name=slug)
    try:
        yield project
    finally:
        project.remove()
        # Listing fails if another test removes an image meanwhile.
        listing = ("docker", "image", "ls", "--format={{.Repository}}", f"--filter=reference={slug}*")
        sh("docker", "image", "rm", "--force", slug, *sh(*listing, check=False).stdout.split(), check=False)


@pytest.fixture
def copy(built: Project, tmp_path: Path) -> Iterator[Project]:
    """Give a test its own copy of the project, on the image that is already built."""
    project = copied(built, tmp_path)
    yield project
    project.remove()


def copied(project: Project, beside: Path) -> Project:
    folder = beside / project.image
    shutil.copytree(project.folder, folder)
    name = f"{project.image}-{secrets.token_hex(3)}"
    # This image exists only if a test has built it.
    sh("docker", "tag", project.image, name, check=False)
    sh("docker", "tag", f"{project.name}-writer", f"{name}-writer", check=False)
    return Project(folder, image=name, name=name)


@pytest.fixture(scope="module")
def running(built: Project, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """Start a copy of the project for the tests of one file."""
    with copied(built, tmp_path_factory.mktemp("running")).up() as project:
        yield project


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    found = filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome")))
    executable = next(found, None)
    if executable is None:
        missing("no browser: none of chromium, chromium-browser, google-chrome is a command")
    # The default of five seconds is too short beside a build on both processors.
    expect.set_options(timeout=60_000)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=executable, args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        )
        yield chromium
        chromium.close()
