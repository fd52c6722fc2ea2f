"""Datasette, H2O and Dask beside the notebook, with the cells of docs/how-to/connect-services.md."""

from __future__ import annotations

import json
import os
import re
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from pages import cells
from playwright.sync_api import Browser, Page, expect

from docker.conftest import image_of
from docker.lab import SCREENSHOTS, logged_in
from docker.other_user import answers, ports
from docker.project import Project, sh

pytestmark = pytest.mark.docker

PROJECT = "com.docker.compose.project"
SAME_IMAGE = ("jupyter", "h2o", "dask-scheduler", "dask-worker")
# The ways in which a page can use JupyterLab's address.
READ = """\
async url => ({
    data: await fetch(`${url}/datasette/analysis/cities.json`, {credentials: "include"})
        .then(answer => answer.text()).then(text => text.includes("Ulm")).catch(() => false),
    websocket: await new Promise(done => {
        const socket = new WebSocket(`${url.replace("http", "ws")}/dask/status/ws`, ["bokeh"]);
        socket.onopen = () => done(true);
        socket.onerror = () => done(false);
    }),
})"""
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
    """Build the services on the analysis image, in a directory that is not root's if possible."""
    with image_of(generate, services="dask, h2o, sqlite") as project:
        (project.folder / ".env").write_text("H2O_MEMORY=1g\n", encoding="utf-8")
        if sys.platform != "win32" and os.geteuid() == 0:
            for path in (project.folder, *project.folder.rglob("*")):
                os.chown(path, 4242, 4242)
        yield project


@pytest.fixture(scope="module")
def at_first(built_compute: Project) -> dict[str, set[str]]:
    """Start, and return the health of the services at that moment."""
    built_compute.compose("up", "--detach")
    return {
        service: {one["State"]["Health"]["Status"] for one in containers(built_compute, service)}
        for service in SAME_IMAGE[1:]
    }


@pytest.fixture(scope="module")
def compute(built_compute: Project, at_first: dict[str, set[str]]) -> Iterator[Project]:
    with built_compute.up():
        yield built_compute


def test_the_notebook_starts_once_all_services_are_healthy(at_first: dict[str, set[str]]) -> None:
    assert at_first == {service: {"healthy"} for service in SAME_IMAGE[1:]}


def test_a_service_can_read_only_the_secrets_that_it_needs(compute: Project) -> None:
    needed = {"h2o": ["h2o_password"], "dask-scheduler": ["dask.pem"], "dask-worker": ["dask.pem", "h2o_password"]}
    for service, names in needed.items():
        read = "cd /run/secrets && cat * >/dev/null && ls; ls -A /project/.secrets 2>/dev/null || true"
        assert compute.compose("exec", "--no-TTY", service, "sh", "-c", read).stdout.split() == names


def test_secrets_are_absent_from_docker_inspect_command_lines_environments_and_logs(compute: Project) -> None:
    pem = compute.read(".secrets/dask.pem")
    secrets = [compute.read(".secrets/h2o_password").strip(), pem.splitlines()[1]]
    told = {command: compute.compose(command).stdout for command in ("config", "logs", "top")}
    told |= {service: json.dumps(containers(compute, service)) for service in SAME_IMAGE}
    environments = "cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' '"
    for service in SAME_IMAGE:
        told[f"processes of {service}"] = compute.compose(
            *("exec", "--no-TTY", service, "sh", "-c", environments), check=False
        ).stdout
    assert all(told.values())
    assert [where for where, text in told.items() if any(secret in text for secret in secrets)] == []


def opened(browser: Browser, project: Project, path: str) -> Page:
    """Open a page of JupyterLab's server in a new browser, through the login."""
    page = browser.new_page(viewport={"width": 1200, "height": 800})
    page.goto(f"{project.url}/{path}")
    page.fill("input[name=password]", project.password)
    page.click("#login_submit")
    page.wait_for_url(f"{project.url}/{path}")
    return page


def test_datasette_shows_a_table_that_a_cell_wrote(compute: Project, browser: Browser) -> None:
    [said] = compute.outputs_beside_services(cells()["SQLite"])
    assert re.search(r"Ulm\s+5", said), said
    page = opened(browser, compute, "datasette/analysis/cities")
    expect(page.locator("table.rows-and-columns")).to_contain_text("Bonn")
    page.screenshot(path=SCREENSHOTS / "datasette.png")
    page.close()


def test_jupyterlabs_launcher_opens_the_pages_of_services(compute: Project, browser: Browser) -> None:
    with logged_in(browser, compute) as lab:
        lab.menu("File", "New Launcher")
        for title, found in {"SQLite": "analysis", "Dask": "Dask"}.items():
            with lab.page.expect_popup() as popup:
                lab.page.locator(".jp-LauncherCard", has_text=re.compile(f"^{title}")).click()
            expect(popup.value).to_have_title(re.compile(found))
        lab.screenshot("launcher.png")


def test_a_page_of_another_origin_can_neither_read_nor_open_a_websocket(compute: Project, browser: Browser) -> None:
    compute.outputs_beside_services(cells()["SQLite"])
    page = opened(browser, compute, "datasette/analysis/cities")
    assert page.evaluate(READ, compute.url) == {"data": True, "websocket": True}
    # The browser sends the cookie of the login to each port of a host.
    handler = partial(SimpleHTTPRequestHandler, directory=os.devnull)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        page.goto(f"http://127.0.0.1:{server.server_port}")
        assert page.evaluate(READ, compute.url) == {"data": False, "websocket": False}
        server.shutdown()
    # Another site's name that resolves to this machine; Chromium does this for all names below localhost.
    rebound = compute.url.replace("127.0.0.1", "rebound.localhost")
    page.goto(f"{rebound}/datasette/analysis/cities")
    expect(page.locator("input[name=password]")).to_be_visible()
    assert page.evaluate(READ, rebound) == {"data": False, "websocket": False}
    page.close()


def test_h2o_trains_a_model_on_a_server_of_the_clients_version(compute: Project) -> None:
    memory = "print(round(int(h2o.cluster().nodes[0]['max_mem']) / 2**30), 'GB')"
    *_, said, heap = compute.outputs_beside_services(cells()["H2O"], TRAIN, memory)
    [version] = re.findall(r"^h2o==(\S+)", compute.read("requirements.txt"), re.MULTILINE)
    assert said.splitlines()[-1] == f"True {version} 200 True"
    assert heap == "1 GB"
    assert (compute.folder / "src" / "data" / "model").stat().st_uid == compute.folder.stat().st_uid


def test_dask_computes_on_two_workers_with_the_notebooks_versions(compute: Project) -> None:
    said = compute.outputs_beside_services(
        cells()["Dask"],
        "checked = client.get_versions(check=True); print(len(checked['workers']))",
        "from importlib.metadata import distributions\n"
        "def installed(): return sorted((one.name, one.version) for one in distributions())\n"
        "print([one == installed() for one in client.run(installed).values()])",
        "import dask.array as da\nprint(int(da.ones((4000, 4000), chunks=1000).sum().compute()))",
    )
    assert said == ["4950", "2", "[True, True]", "16000000"]


def test_the_dashboard_of_dask_is_live(compute: Project, browser: Browser) -> None:
    page = opened(browser, compute, "dask/health")
    with page.expect_websocket() as websocket:
        page.goto(f"{compute.url}/dask/workers")
    expect(page.locator("body")).to_contain_text("tls://", timeout=60_000)
    websocket.value.wait_for_event("framereceived")
    page.screenshot(path=SCREENSHOTS / "dask.png")
    page.close()


def test_a_worker_sees_the_notebooks_files_and_modules_at_the_same_paths(
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


def test_running_workers_and_other_containers_import_a_package_added_by_a_cell(compute: Project) -> None:
    use = "def used():\n    import humanize\n    return humanize.intcomma(1234567)\nset(client.run(used).values())"
    _, before, added, after = compute.outputs_beside_services(cells()["Dask"], use, "%pip install humanize", use)
    assert "No module named 'humanize'" in before
    assert re.search(r"^New: +humanize \d", added, re.MULTILINE)
    assert after == "{'1,234,567'}"
    for service in SAME_IMAGE:
        compute.compose("exec", "--no-TTY", service, "python", "-c", "import humanize")


def test_workers_scale_up_and_reconnect_to_a_restarted_scheduler(compute: Project) -> None:
    before = containers(compute, "jupyter")[0]["Id"]
    compute.compose("up", "--detach", "--scale", "dask-worker=4")
    assert len(containers(compute, "dask-worker")) == 4
    assert containers(compute, "jupyter")[0]["Id"] == before
    wait = "client.wait_for_workers(4, timeout=60)\nlen(client.ncores())"
    assert compute.outputs_beside_services(cells()["Dask"], wait)[1] == "4"
    compute.compose("restart", "dask-scheduler")
    assert compute.outputs_beside_services(cells()["Dask"], wait)[1] == "4"


def test_only_the_notebook_is_published_and_only_on_localhost(compute: Project) -> None:
    published = {
        (service, binding["HostIp"], int(binding["HostPort"]))
        for service in SAME_IMAGE
        for one in containers(compute, service)
        for bindings in one["NetworkSettings"]["Ports"].values()
        for binding in bindings or []
    }
    assert published == {("jupyter", "127.0.0.1", compute.port)}


def test_another_user_of_the_machine_is_refused_at_every_port(compute: Project) -> None:
    found = ports(compute, *SAME_IMAGE)
    assert all(port > 0 for _, _, port in found)
    named = [(service, port) for service, _, port in found if service != "dask-worker"]
    assert named == [("jupyter", compute.port), ("h2o", 54321), ("dask-scheduler", 8786)]
    assert len(found) > len(named)
    refused = {"jupyter": [403, 302, 302, 302, 302, 403], "h2o": [401] * 5}
    assert answers(compute, found) == [(service, refused.get(service, [""] * 3)) for service, _, _ in found]


@pytest.mark.parametrize("service", SAME_IMAGE)
def test_all_containers_run_as_the_owner_without_capabilities(compute: Project, service: str) -> None:
    processes = compute.processes(service)
    assert {uid for process in processes for uid in process["Uid"].split()} == {str(compute.folder.stat().st_uid)}
    # A restarted container has a bounding set, which NoNewPrivs makes useless.
    for name in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
        assert {int(process[name], 16) for process in processes} == {0}
    assert {process["NoNewPrivs"] for process in processes} == {"1"}
