"""SQLite's browser, H2O and Dask beside the notebook, with the cells of docs/how-to/connect-services.md."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pages import cells
from playwright.sync_api import Browser, expect

from docker.conftest import image_of
from docker.lab import SCREENSHOTS
from docker.project import Project, ask, free_port, sh

pytestmark = pytest.mark.docker

PROJECT = "com.docker.compose.project"
SAME_IMAGE = ("jupyter", "sqlite", "h2o", "dask-scheduler", "dask-worker")
TRAIN = """\
from h2o.estimators import H2OGradientBoostingEstimator
import pandas as pd
pd.DataFrame({"x": range(200), "y": [number % 2 * 10 + number for number in range(200)]}).to_csv("data/train.csv")
frame = h2o.import_file("data/train.csv")
model = H2OGradientBoostingEstimator(ntrees=5, seed=1)
model.train(x=["x"], y="y", training_frame=frame)
h2o.save_model(model, path="data", filename="model", force=True)
print(h2o.cluster().version == h2o.__version__, h2o.__version__, frame.nrow, model.r2() > 0.5)"""


def containers(project: Project, service: str) -> list[Any]:
    ids = project.compose("ps", "--quiet", service).stdout.split()
    found: list[Any] = json.loads(sh("docker", "inspect", *ids).stdout) if ids else []
    return found


@pytest.fixture(scope="module")
def built_compute(engine: None, generate: Callable[..., Path]) -> Iterator[Project]:
    """Build what needs no other image, from a folder that is not root's where that can be had."""
    with image_of(generate, services="dask, h2o, sqlite") as project:
        settings = f"SQLITE_PORT={free_port()}\nDASK_PORT={free_port()}\nH2O_MEMORY=1g\n"
        (project.folder / ".env").write_text(settings, encoding="utf-8")
        if sys.platform != "win32" and os.geteuid() == 0:
            for path in (project.folder, *project.folder.rglob("*")):
                os.chown(path, 4242, 4242)
        yield project


@pytest.fixture(scope="module")
def at_first(built_compute: Project) -> dict[str, set[str]]:
    """Start, and look at once how everything beside the notebook is."""
    built_compute.compose("up", "--detach")
    return {
        service: {one["State"]["Health"]["Status"] for one in containers(built_compute, service)}
        for service in SAME_IMAGE[1:]
    }


@pytest.fixture(scope="module")
def compute(built_compute: Project, at_first: dict[str, set[str]]) -> Iterator[Project]:
    with built_compute.up():
        yield built_compute


@pytest.fixture(scope="module")
def ports(compute: Project) -> dict[str, int]:
    return {name: int(port) for name, port in re.findall(r"(\w+)_PORT=(\d+)", compute.read(".env"))}


def test_the_notebook_starts_once_everything_beside_it_is_healthy(at_first: dict[str, set[str]]) -> None:
    assert at_first == {service: {"healthy"} for service in SAME_IMAGE[1:]}


def test_only_those_for_whom_a_password_is_named_can_read_it(compute: Project) -> None:
    for service in SAME_IMAGE[1:]:
        secrets = "ls /project/.secrets /run/secrets 2>/dev/null"
        assert compute.compose("exec", "--no-TTY", service, "sh", "-c", secrets, check=False).stdout == ""


def test_what_a_cell_writes_to_sqlite_is_seen_in_its_browser(
    compute: Project, ports: dict[str, int], browser: Browser
) -> None:
    [said] = compute.outputs_beside_services(cells()["SQLite"])
    assert re.search(r"Ulm\s+5", said), said
    url = f"http://127.0.0.1:{ports['SQLITE']}"
    rows = ask(f"{url}/analysis/cities.json?_shape=array").json
    assert [(row["name"], row["customers"]) for row in rows] == [("Bonn", 3), ("Ulm", 5)]
    page = browser.new_page(viewport={"width": 1200, "height": 800})
    page.goto(f"{url}/analysis/cities")
    expect(page.locator("table.rows-and-columns")).to_contain_text("Bonn")
    page.screenshot(path=SCREENSHOTS / "datasette.png")
    page.close()


def test_a_model_is_trained_by_a_server_of_the_clients_version(compute: Project) -> None:
    memory = "print(round(int(h2o.cluster().nodes[0]['max_mem']) / 2**30), 'GB')"
    *_, said, heap = compute.outputs_beside_services(cells()["H2O"], TRAIN, memory)
    [version] = re.findall(r"^h2o==(\S+)", compute.read("requirements.txt"), re.MULTILINE)
    assert said.splitlines()[-1] == f"True {version} 200 True"
    assert heap == "1 GB"
    assert (compute.folder / "src" / "data" / "model").stat().st_uid == compute.folder.stat().st_uid


def test_dask_computes_on_two_workers_of_the_notebooks_versions(
    compute: Project, ports: dict[str, int], browser: Browser
) -> None:
    said = compute.outputs_beside_services(
        cells()["Dask"],
        "checked = client.get_versions(check=True); print(len(checked['workers']))",
        "from importlib.metadata import distributions\n"
        "def installed(): return sorted((one.name, one.version) for one in distributions())\n"
        "print([one == installed() for one in client.run(installed).values()])",
        "import dask.array as da\nprint(int(da.ones((4000, 4000), chunks=1000).sum().compute()))",
    )
    assert said == ["4950", "2", "[True, True]", "16000000"]
    page = browser.new_page(viewport={"width": 1200, "height": 800})
    page.goto(f"http://127.0.0.1:{ports['DASK']}/workers")
    expect(page.locator("body")).to_contain_text("tcp://", timeout=60_000)
    page.screenshot(path=SCREENSHOTS / "dask.png")
    page.close()


def test_a_worker_finds_the_files_and_modules_of_the_notebook_under_the_same_names(
    compute: Project,
) -> None:
    (compute.folder / "src" / "doubling.py").write_text("def twice(number):\n    return 2 * number\n")
    said = compute.outputs_beside_services(
        cells()["Dask"],
        "open('data/numbers.csv', 'w').write('a\\n1\\n2\\n')",
        "client.submit(lambda: open('data/numbers.csv').read(), pure=False).result()",
        "import dask.dataframe as dd\nint(dd.read_csv('data/numbers.csv').a.sum().compute())",
        "from doubling import twice\nclient.gather(client.map(twice, [1, 2]))",
        "client.submit(lambda: open('data/from-worker', 'w').close(), pure=False).result()",
    )
    assert said[2:5] == [repr("a\n1\n2\n"), "3", "[2, 4]"]
    assert (compute.folder / "src" / "data" / "from-worker").stat().st_uid == compute.folder.stat().st_uid


def test_workers_that_run_and_all_other_containers_import_a_package_that_a_cell_adds(compute: Project) -> None:
    use = "def used():\n    import humanize\n    return humanize.intcomma(1234567)\nset(client.run(used).values())"
    _, before, added, after = compute.outputs_beside_services(cells()["Dask"], use, "%pip install humanize", use)
    assert "No module named 'humanize'" in before
    assert re.search(r"^New: +humanize \d", added, re.MULTILINE)
    assert after == "{'1,234,567'}"
    for service in SAME_IMAGE:
        compute.compose("exec", "--no-TTY", service, "python", "-c", "import humanize")


def test_more_workers_can_be_had_at_any_time_and_come_back_to_a_scheduler_that_was_restarted(compute: Project) -> None:
    before = containers(compute, "jupyter")[0]["Id"]
    compute.compose("up", "--detach", "--scale", "dask-worker=4")
    assert len(containers(compute, "dask-worker")) == 4
    assert containers(compute, "jupyter")[0]["Id"] == before
    wait = "client.wait_for_workers(4, timeout=60)\nlen(client.ncores())"
    assert compute.outputs_beside_services(cells()["Dask"], wait)[1] == "4"
    compute.compose("restart", "dask-scheduler")
    assert compute.outputs_beside_services(cells()["Dask"], wait)[1] == "4"


def test_nothing_is_published_but_to_this_machine(compute: Project, ports: dict[str, int]) -> None:
    published = {
        (service, binding["HostIp"], int(binding["HostPort"]))
        for service in SAME_IMAGE
        for one in containers(compute, service)
        for bindings in one["NetworkSettings"]["Ports"].values()
        for binding in bindings or []
    }
    assert published == {
        ("jupyter", "127.0.0.1", compute.port),
        ("sqlite", "127.0.0.1", ports["SQLITE"]),
        ("dask-scheduler", "127.0.0.1", ports["DASK"]),
    }


@pytest.mark.parametrize("service", SAME_IMAGE)
def test_everything_runs_as_the_owner_without_a_capability(compute: Project, service: str) -> None:
    processes = compute.processes(service)
    assert {uid for process in processes for uid in process["Uid"].split()} == {str(compute.folder.stat().st_uid)}
    # A container that was restarted has a bounding set, of which NoNewPrivs leaves nothing to gain.
    for name in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
        assert {int(process[name], 16) for process in processes} == {0}
    assert {process["NoNewPrivs"] for process in processes} == {"1"}
