"""The base image and its digest. The tests in `docker/test_base_image.py` ask a real registry."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import BASE_IMAGE, Generated
from offers import DEBIAN, OTHER_PYTHON, PYTHON, needs, needs_two_pythons
from rendering import Renderer

from ds_docker_env.common.errors import AnswerError
from ds_docker_env.generation import base_image
from ds_docker_env.generation.base_image import Base, by_digest, require_name
from ds_docker_env.generation.services import images_of

Run = Callable[..., Generated]
Docker = Callable[..., dict[str, str]]

DIGEST, OF_ONE_PLATFORM, NEWER = (f"sha256:{digit * 64}" for digit in "123")
FOUND = f"""\
Name:      docker.io/library/python:3.13-trixie
MediaType: application/vnd.oci.image.index.v1+json
Digest:    {DIGEST}

Manifests:
  Name:      docker.io/library/python:3.13-trixie@{OF_ONE_PLATFORM}
  Digest:    {OF_ONE_PLATFORM}
  Platform:  linux/amd64

  Name:      docker.io/library/python:3.13-trixie@{OF_ONE_PLATFORM}
  Digest:    {OF_ONE_PLATFORM}
  Platform:  linux/arm64/v8
"""
OFFLINE = 'ERROR: failed to do request: Head "https://registry.example.com/v2/": dial tcp: lookup: no such host'
PATTERN = BASE_IMAGE.partition("@")[0]

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="a docker that is a script")


@pytest.fixture
def docker(tmp_path: Path) -> Docker:
    """Make a docker with this output, and return a PATH that has only this command."""

    def _docker(*, says: str = "", complains: str = "", before: str = "") -> dict[str, str]:
        (tmp_path / "bin").mkdir(exist_ok=True)
        (tmp_path / "bin" / "says").write_text(says)
        (tmp_path / "bin" / "complains").write_text(complains)
        script = f"#!/bin/sh\n{before}\ncd {tmp_path}/bin\n/bin/cat says; /bin/cat complains >&2\n[ -s says ]\n"
        (tmp_path / "bin" / "docker").write_text(script)
        (tmp_path / "bin" / "docker").chmod(0o755)
        return {"PATH": str(tmp_path / "bin")}

    return _docker


def base(project: Generated) -> str:
    [line] = [line for line in project.read("Dockerfile").splitlines() if line.endswith(" AS base")]
    return line.removeprefix("FROM ").removesuffix(" AS base")


@needs_two_pythons
def test_the_base_image_has_the_digest_of_all_platforms_and_keeps_it_when_generated_again(
    cookiecutter: Run, docker: Docker, tmp_path: Path
) -> None:
    first = cookiecutter(_base_image=PATTERN, environment=docker(says=FOUND))
    assert first.exit_code == 0, first.stderr
    assert base(first) == f"python:{PYTHON}-{DEBIAN}@{DIGEST}"
    assert "Base image:" not in first.stdout
    # Otherwise other answers would have the same base.
    [replay] = (tmp_path / "home").rglob("*.json")
    assert DIGEST not in replay.read_text()
    assert f"python:{PYTHON}" not in replay.read_text()

    newer = docker(says=FOUND.replace(DIGEST, NEWER))
    again = cookiecutter("-f", _base_image=PATTERN, environment=newer, question="Who?")
    assert again.exit_code == 0, again.stderr
    assert base(first) == f"python:{PYTHON}-{DEBIAN}@{DIGEST}"

    offline = docker(complains=OFFLINE)
    other = cookiecutter("-f", _base_image=PATTERN, environment=offline, python_version=OTHER_PYTHON)
    assert base(first) == f"python:{OTHER_PYTHON}-{DEBIAN}"
    asked = f"docker buildx imagetools inspect python:{OTHER_PYTHON}-{DEBIAN}"
    assert f"\nBase image: not pinned to a digest (registry unreachable); to check, run: {asked}\n" in other.stdout


@needs("redis", "mysql")
def test_images_of_services_have_digests_too_and_keep_them_when_generated_again(
    cookiecutter: Run, docker: Docker
) -> None:
    def images(project: Generated) -> list[str]:
        return re.findall(r"^    image: ([^$\n]+)$", project.read("docker-compose.yml"), re.MULTILINE)

    asked = {"_base_image": PATTERN, "services": "redis, mysql"}
    tags = images_of(["redis", "mysql"])
    first = cookiecutter(environment=docker(says=FOUND), **asked)
    assert first.exit_code == 0, first.stderr
    assert images(first) == [f"{tag}@{DIGEST}" for tag in tags]
    assert "not pinned" not in first.stdout
    again = cookiecutter("-f", environment=docker(says=FOUND.replace(DIGEST, NEWER)), question="Who?", **asked)
    assert again.exit_code == 0, again.stderr
    assert images(first) == [f"{tag}@{DIGEST}" for tag in tags]

    alone = cookiecutter(environment=docker(complains=OFFLINE), project_slug="alone", **asked)
    assert images(alone) == tags
    assert f"\nServices:   not pinned to digests (registry unreachable): {', '.join(tags)}\n" in alone.stdout


@needs("redis")
def test_registries_are_not_asked_if_the_base_image_has_a_digest(
    docker: Docker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", docker(says=FOUND)["PATH"])
    assert f"\n    image: {images_of(['redis'])[0]}\n" in Renderer()("docker-compose.yml", services="redis")


@pytest.mark.parametrize(
    ("complaint", "why"),
    {
        OFFLINE: "registry unreachable",
        "ERROR: failed to verify certificate: x509: certificate signed by unknown authority": (
            "certificate of the registry not trusted; set SSL_CERT_FILE to a file with your company's certificates"
        ),
        "ERROR: 429 Too Many Requests: toomanyrequests: You have reached your pull rate limit.": (
            "rate limit of the registry reached"
        ),
        "ERROR: pull access denied, repository does not exist or may require authorization": (
            "registry requires a login; run: docker login"
        ),
        "ERROR: 127.0.0.1:5000/python:3.13-trixie: not found": "not found in the registry",
        "ERROR: unexpected status from HEAD request to https://r/v2/: 503 Service Unavailable": "registry error",
        "docker: 'buildx' is not a docker command.\nSee 'docker --help'": "docker buildx is not installed",
        'first\nERROR: no builder "https://me:pw@builder" found\x1b[0m': (
            'docker: ERROR: no builder "https://builder" found\\x1b[0m'
        ),
        "": "docker failed without a message",
    }.items(),
)
def test_without_a_digest_the_tag_remains_and_the_cause_is_named(
    docker: Docker, monkeypatch: pytest.MonkeyPatch, complaint: str, why: str
) -> None:
    monkeypatch.setenv("PATH", docker(complains=complaint)["PATH"])
    assert by_digest("python:3.13-trixie") == Base("python:3.13-trixie", why)


@pytest.mark.parametrize(
    ("said", "lacks"),
    [
        (FOUND, ""),
        (FOUND.replace("linux/arm64/v8", "linux/s390x"), "linux/arm64"),
        (FOUND.partition("\nManifests:")[0], "more than one processor"),
    ],
)
def test_a_base_image_that_is_not_for_both_processors_is_in_the_summary(
    docker: Docker, monkeypatch: pytest.MonkeyPatch, said: str, lacks: str
) -> None:
    monkeypatch.setenv("PATH", docker(says=said)["PATH"])
    found = by_digest("python:3.13-trixie")
    assert found.reference == f"python:3.13-trixie@{DIGEST}"
    expected = (
        f"Base image: not available for {lacks}; to check, run: docker buildx imagetools inspect {found.reference}"
    )
    assert found.summary == ([expected] if lacks else [])


def test_a_docker_that_is_missing_broken_or_silent_is_named(
    docker: Docker, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert by_digest("python:3.13-trixie").why == "Docker is not installed"
    portal = f"Name:      docker.io/library/python:3.13-trixie\nMediaType: \nDigest:    {DIGEST}\n"
    monkeypatch.setenv("PATH", docker(says=portal)["PATH"])
    assert by_digest("python:3.13-trixie") == Base("python:3.13-trixie", "docker failed without a message")
    (tmp_path / "bin" / "docker").write_bytes(b"\x7fELF")
    assert by_digest("python:3.13-trixie").why == "docker cannot be run: Exec format error"


def test_a_registry_that_hangs_is_a_timeout(docker: Docker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base_image, "_SECONDS", 0.3)
    monkeypatch.setenv("PATH", docker(before="/bin/sleep 60")["PATH"])
    begun = time.monotonic()
    assert by_digest("python:3.13-trixie").why == "registry did not answer within 0.3 s"
    assert time.monotonic() - begun < 10


@pytest.mark.parametrize("name", ["python", "--help", "python:3.13\nRUN true", "https://me:pw@example.com/python:3"])
def test_an_invalid_image_is_refused_without_its_password(name: str) -> None:
    with pytest.raises(AnswerError) as refused:
        require_name(name)
    assert "lacks a tag or is not an image; write it like registry.example.com:5000/" in str(refused.value)
    assert "pw" not in str(refused.value)


def test_a_mistake_in_the_pattern_of_a_fork_is_a_message(bake: Run) -> None:
    for wrong in ("python:{{ cookiecutter.python }}", "python:{{ cookiecutter"):
        refused = bake(_base_image=wrong)
        assert refused.exit_code != 0
        assert "  _base_image: 'python:{{ cookiecutter" in refused.stderr
        assert not refused.project.exists()


def test_a_fork_may_name_its_own_registry(docker: Docker, monkeypatch: pytest.MonkeyPatch) -> None:
    own = f"registry.example.com:5000/team/python:{PYTHON}-trixie"
    require_name(own)
    monkeypatch.setenv("PATH", docker(says=FOUND)["PATH"])
    render, pattern = Renderer(), own.replace(PYTHON, "{{ cookiecutter.python_version }}")
    assert f"\nFROM {own}@{DIGEST} AS base\n" in render("Dockerfile", _base_image=pattern)
