"""Generation from an image that production runs."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterator

import pytest
from conftest import Generated

from docker.project import sh

pytestmark = pytest.mark.docker


@pytest.fixture(scope="module")
def production(engine: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("image")
    (folder / "Dockerfile").write_text(
        "FROM python:3.11-bookworm\nRUN pip install --no-cache-dir six==1.16.0 idna==3.6\n"
        'ENTRYPOINT ["sh", "-c", "echo production has started >&2"]\n'
    )
    tag = f"ds-docker-env-test-{secrets.token_hex(3)}"
    sh("docker", "build", "--tag", tag, str(folder))
    yield tag
    sh("docker", "image", "rm", "--force", tag, check=False)


def test_the_lock_has_the_packages_of_productions_image(
    cookiecutter: Callable[..., Generated], production: str
) -> None:
    generated = cookiecutter(
        production_requirements=f"image:{production}", python_version="3.11", debian_release="bookworm"
    )
    assert generated.exit_code == 0, generated.stderr
    pins = set(re.findall(r"^([a-z0-9-]+==\S+)", generated.read("requirements.txt"), re.MULTILINE))
    assert {"six==1.16.0", "idna==3.6"} <= pins
    assert "\nImage:      read for linux/amd64\n" in generated.stdout
    assert re.search(r"^# digest sha256:[0-9a-f]{64} of linux/amd64$", generated.read("production.txt"), re.MULTILINE)
    assert "production has started" not in generated.stdout + generated.stderr
