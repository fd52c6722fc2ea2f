"""The project with default answers, on the newest Debian."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from docker.conftest import copied, have_image, image_of
from docker.npm import commands_of
from docker.project import Project, sh, shown
from ds_docker_env.common.target import DEBIAN_RELEASES

pytestmark = pytest.mark.docker

# A small task for each package of every project.
WORK = """\
import sys
import boto3, matplotlib.pyplot as plt, numpy as np, pandas as pd, pymysql, s3fs
from sklearn.linear_model import LinearRegression
frame = pd.DataFrame({"x": np.arange(4.0), "y": np.arange(4.0) * 2 + 1})
frame.to_csv("data/line.csv", index=False)
model = LinearRegression().fit(frame[["x"]], frame["y"])
frame.plot(x="x", y="y")
plt.savefig("data/line.png")
plt.close()
print(sys.version_info[:2], round(float(model.coef_[0]), 6), len(pd.read_csv("data/line.csv")))"""

ON_OFFER = [(python, debian) for python, releases in DEBIAN_RELEASES.items() for debian in releases]


@pytest.fixture(scope="module")
def default(engine: None, generate: Callable[..., Path]) -> Iterator[Project]:
    with image_of(generate) as project:
        yield project


def test_the_canonical_packages_work_on_the_chosen_python_and_debian(default: Project) -> None:
    assert default.outputs(WORK) == ["(3, 13) 2.0 4"]
    assert (default.folder / "src" / "data" / "line.png").read_bytes().startswith(b"\x89PNG")
    assert "VERSION_CODENAME=trixie" in default.run("cat", "/etc/os-release").stdout


@pytest.mark.skipif(os.environ.get("DS_DOCKER_ENV_EVERY_PYTHON") != "1", reason="takes ten minutes, as each week")
@pytest.mark.parametrize(("python", "debian"), ON_OFFER)
def test_the_canonical_packages_work_on_other_pythons(
    engine: None, generate: Callable[..., Path], python: str, debian: str
) -> None:
    have_image(f"python:{python}-{debian}")
    with image_of(generate, python_version=python, debian_release=debian) as project:
        assert project.outputs(WORK) == [f"({python.replace('.', ', ')}) 2.0 4"]


def test_the_report_lists_exactly_the_locks_versions(default: Project) -> None:
    default.run("report")
    report = shown(default.read("src/analysis.html"))
    locked = re.findall(r"^([a-z0-9-]+)==([^\s;]+)", default.read("requirements.txt"), re.MULTILINE)
    for name, version in locked:
        assert re.search(rf"{name.replace('-', '[-_.]')}=={re.escape(version)}\b", report, re.IGNORECASE), name


def test_vs_code_opens_the_notebooks_container_with_its_python(default: Project, tmp_path: Path) -> None:
    """Dev Containers and Codespaces use this command."""
    project = copied(default, tmp_path)
    # Users of VS Code are not root.
    sh("chown", "--recursive", "1000:1000", str(project.folder))
    override = {"services": {"jupyter": {"environment": {"FROM_THE_OVERRIDE": "yes"}}}}
    (project.folder / "docker-compose.override.yml").write_text(json.dumps(override))
    command = str(commands_of("@devcontainers/cli@0.89.0", tmp_path / "npm") / "devcontainer")
    workspace = ("--workspace-folder", str(project.folder))
    try:
        sh(command, "up", *workspace, environment=project.environment)
        inside = "id -un; command -v python; pwd; echo $FROM_THE_OVERRIDE; touch src/mine"
        said = sh(command, "exec", *workspace, "sh", "-c", inside, environment=project.environment).stdout.split("\n")
        assert said[:4] == ["analyst", "/opt/analysis/bin/python", "/project", "yes"]
        assert (project.folder / "src" / "mine").stat().st_uid == 1000
        project.wait_until_answering()
    finally:
        project.remove()
        made = sh("docker", "image", "ls", "--quiet", f"vsc-{project.folder.name}-*", check=False).stdout.split()
        sh("docker", "image", "rm", "--force", *made, check=False)
