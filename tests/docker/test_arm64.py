"""A project for arm64, emulated; numbers that it computes prove nothing about real processors."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from docker.conftest import generated, have_image
from docker.project import Project, logs_in, sh

pytestmark = [
    pytest.mark.docker,
    pytest.mark.skipif(
        os.environ.get("DS_DOCKER_ENV_EVERY_PROCESSOR") != "1",
        reason="takes ten minutes and .ci/arm64: DS_DOCKER_ENV_EVERY_PROCESSOR=1",
    ),
]
BASE = "python:3.13-trixie-arm64"
PRODUCTION = """\
numpy==2.2.6; platform_machine == "x86_64"
numpy==2.2.5; platform_machine == "aarch64"
pandas==2.2.3
"""


@pytest.fixture(scope="module")
def emulated(
    engine: None, generate: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Project]:
    """Build and start a project whose production has another version for each processor."""
    have_image(BASE)
    production = tmp_path_factory.mktemp("production") / "requirements.txt"
    production.write_text(PRODUCTION, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DOCKER_DEFAULT_PLATFORM", "linux/arm64")
        answers = {"production_requirements": str(production), "python_version": "3.13", "debian_release": "trixie"}
        with generated(generate, _base_image=BASE, **answers) as project:
            # Bake, which other tests use, does not read the variable.
            sh("docker", "compose", "build", folder=project.folder, environment=project.environment, timeout=1800)
            project.compose("up", "--detach", "--wait")
            yield project


def test_the_notebook_has_productions_versions_for_its_processor(emulated: Project) -> None:
    assert logs_in(emulated)
    [said] = emulated.outputs("import platform, numpy, pandas; print(platform.machine(), numpy.__version__)")
    assert said == "aarch64 2.2.5"
    assert "2 of 2" in emulated.run("check").stdout


def test_a_cell_adds_a_package_for_both_processors(emulated: Project) -> None:
    added, said = emulated.outputs(
        "%pip install simplejson", "import simplejson._speedups as part; print(part.__file__)"
    )
    assert re.search(r"^New: +simplejson \d", added, re.MULTILINE), added
    assert re.search(r"_speedups\.cpython-313-aarch64-linux-gnu\.so$", said)
    lock = emulated.read("requirements.txt")
    assert "\n# for linux/amd64 and linux/arm64;" in lock
    assert re.findall(r"^numpy==(\S+) ; platform_machine == '(\w+)'", lock, re.MULTILINE) == [
        ("2.2.6", "x86_64"),
        ("2.2.5", "aarch64"),
    ]
