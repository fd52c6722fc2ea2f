"""The base image by digest, with a real registry on this machine: Debian's."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pages import page

from docker.conftest import have_image
from docker.project import blocks, sh
from docker.registry import registry

pytestmark = pytest.mark.docker


@pytest.fixture
def address(engine: None, tmp_path: Path) -> Iterator[str]:
    with registry(tmp_path) as address:
        yield address


@pytest.fixture
def push(address: str, tmp_path: Path) -> Iterator[Callable[[str], str]]:
    """Push a base image with a word in it, and remove it from this machine."""
    name = f"{address}/team/python:3.13-trixie"
    have_image("python:3.13-trixie")

    def _push(word: str) -> str:
        (tmp_path / "Dockerfile").write_text(f"FROM python:3.13-trixie\nRUN echo {word} >/word\n", encoding="utf-8")
        sh("docker", "build", "--quiet", "--tag", name, "--file", str(tmp_path / "Dockerfile"), str(tmp_path / "empty"))
        sh("docker", "push", "--quiet", name)
        sh("docker", "image", "rm", name)
        return name

    (tmp_path / "empty").mkdir()
    yield _push
    sh("docker", "image", "rm", "--force", f"{name}-built", check=False)


def word_in(project: Path, image: str) -> str:
    """Build the first stage without the cache, and return the word in it."""
    sh("docker", "build", "--quiet", "--no-cache", "--target", "base", "--tag", image, ".", folder=project)
    return sh("docker", "run", "--rm", image, "cat", "/word").stdout.strip()


def test_the_base_image_changes_only_with_the_commands_of_the_page(
    generate: Callable[..., Path], push: Callable[[str], str]
) -> None:
    name = push("old")
    project = generate(_base_image=name)
    assert f"\nFROM {name}@sha256:" in (project / "Dockerfile").read_text(encoding="utf-8")
    assert word_in(project, f"{name}-built") == "old"

    push("new")
    assert word_in(project, f"{name}-built") == "old"

    [inspect] = blocks(page("base-image.md"), "sh")
    said = sh(*inspect.replace("python:3.13-trixie", name).split()).stdout
    [digest] = re.findall(r"^Digest: +(sha256:[0-9a-f]{64})$", said, re.MULTILINE)
    dockerfile = project / "Dockerfile"
    text = dockerfile.read_text(encoding="utf-8")
    dockerfile.write_text(re.sub(rf"(?<=^FROM {re.escape(name)}@)\S+", digest, text, flags=re.MULTILINE))
    assert word_in(project, f"{name}-built") == "new"
