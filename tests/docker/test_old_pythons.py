"""Production files of 2021 and 2022, on Pythons that are too old for the current JupyterLab."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pages import cells
from playwright.sync_api import Browser, expect

from docker.conftest import have_image, image_of
from docker.lab import logged_in
from docker.project import Project

WEEKLY = os.environ.get("DS_DOCKER_ENV_EVERY_PYTHON") == "1"
pytestmark = [pytest.mark.docker, pytest.mark.skipif(not WEEKLY, reason="takes five minutes, as each week")]

PRODUCTION = {
    # docopt lacks a wheel; markupsafe and pystache need an old setuptools, absl-py an old Python.
    "3.8": {
        "numpy": "1.21.6",
        "pandas": "1.3.5",
        "requests": "2.25.1",
        "docopt": "0.6.2",
        "markupsafe": "1.0",
        "absl-py": "0.9.0",
        "six": "1.16.0",
    },
    # The output of `pip freeze` with one of the oldest kernels that work with JupyterLab.
    "3.9": {
        "numpy": "1.21.2",
        "pandas": "1.3.3",
        "docopt": "0.6.2",
        "pystache": "0.5.4",
        "ipykernel": "4.10.1",
        "ipython": "7.25.0",
        "jupyter-client": "6.1.12",
        "pyzmq": "22.1.0",
        "tornado": "6.1",
        "traitlets": "5.0.5",
        # Dask's commands had other names then.
        "dask": "2022.9.2",
        "distributed": "2022.9.2",
    },
}
SERVICES = {"3.8": "", "3.9": "dask"}
SOURCES = {"3.8": "import markupsafe, absl.flags", "3.9": "import pystache"}
WORK = """\
import sys
import docopt, numpy as np, pandas as pd
pd.DataFrame({"y": np.arange(4.0) * 2}).plot().figure.savefig("data/line.png")
print(sys.executable, *sys.version_info[:2])"""
TENFOLD = """\
import sys
from ipywidgets import interact
@interact(x=(0, 9))
def tenfold(x=7):
    print(f"{x} makes {x * 10} in Python 3.{sys.version_info[1]}")"""
TOOLS = "jupyter lab --version; for python in /opt/tools/bin/python /usr/bin/python3; do readlink -f $python; done"


@dataclass(frozen=True)
class Old:
    """A running project, with its Python and production's versions."""

    project: Project
    python: str
    pinned: dict[str, str]


@pytest.fixture(scope="module", params=PRODUCTION)
def old(
    request: Any, engine: None, generate: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Old]:
    python = request.param
    have_image(f"python:{python}-bookworm")
    production = tmp_path_factory.mktemp("production") / "requirements.txt"
    production.write_text("".join(f"{name}=={version}\n" for name, version in PRODUCTION[python].items()))
    answers = {"python_version": python, "debian_release": "bookworm", "production_requirements": str(production)}
    with image_of(generate, **answers, services=SERVICES[python]) as project, project.up():
        yield Old(project, python, PRODUCTION[python])


def test_the_notebook_runs_on_productions_old_python_and_versions(old: Old) -> None:
    work, frozen = old.project.outputs(f"{SOURCES[old.python]}\n{WORK}", "%pip freeze")
    assert work.splitlines()[0] == f"/opt/analysis/bin/python {old.python.replace('.', ' ')}"
    assert {f"{name}=={version}" for name, version in old.pinned.items()} <= set(frozen.splitlines())
    assert (old.project.folder / "src" / "data" / "line.png").read_bytes().startswith(b"\x89PNG")


def test_a_cell_adds_a_package_that_the_same_kernel_imports(old: Old) -> None:
    imports = "import humanize; print(humanize.intcomma(1234567))"
    before, added, after = old.project.outputs(imports, "%pip install humanize", imports)
    assert "ModuleNotFoundError" in before
    assert re.search(r"^New: +humanize \d", added, re.MULTILINE) and "Restart" not in added
    assert after == "1,234,567"
    assert "\nhumanize==" in old.project.read("requirements.txt")


def test_jupyterlab_is_current_on_debians_python(old: Old) -> None:
    version, *pythons = old.project.run("sh", "-c", TOOLS).stdout.split()
    assert version.startswith("4.")
    assert pythons == ["/usr/bin/python3.11", "/usr/bin/python3.11"]


def test_a_widget_in_the_browser_and_the_old_kernel_talk_to_each_other(old: Old, browser: Browser) -> None:
    with logged_in(browser, old.project) as lab:
        cell = lab.run_new_cell(TENFOLD)
        expect(cell).to_contain_text(f"7 makes 70 in Python {old.python}")
        cell.locator(".noUi-handle").press("ArrowRight")
        expect(cell).to_contain_text(f"8 makes 80 in Python {old.python}")
        lab.screenshot(f"python-{old.python}.png")
        assert lab.errors == []
    assert "Traceback" not in old.project.log()


@pytest.mark.parametrize("old", ["3.9"], indirect=True)
def test_dask_workers_have_productions_version(old: Old) -> None:
    versions = "print({one['packages']['distributed'] for one in client.get_versions(check=True)['workers'].values()})"
    said = old.project.outputs_beside_services(cells()["Dask"], versions)
    assert said == ["4950", repr({old.pinned["distributed"]})]


def test_lock_works_beside_an_old_python(old: Old) -> None:
    before = old.project.read("requirements.txt")
    old.project.run("lock")
    assert undated(old.project.read("requirements.txt")) == undated(before)


def undated(lock: str) -> list[str]:
    return re.sub(r"^(# uv .*, index as of) 20\S+Z$", r"\1", lock, flags=re.MULTILINE).splitlines()
