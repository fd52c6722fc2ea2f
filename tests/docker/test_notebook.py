"""The notebook in the browser, on a new server."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress

import pytest
from playwright.sync_api import Browser, expect

from docker.conftest import PINNED
from docker.lab import Lab, logged_in
from docker.project import Project, eventually

pytestmark = pytest.mark.docker

# A notebook is signed at its first save; Jupyter Server and Tornado disagree on the unit of a default.
HARMLESS = r"analysis\.ipynb is not trusted|The websocket_ping_timeout \(90000\) cannot be longer"
VERSIONS = """\
import sys
from importlib.metadata import version
print("interpreter", sys.executable)
for name in ("numpy", "pandas", "requests"):
    print(name, version(name))"""
SLIDER = "from ipywidgets import IntProgress, IntSlider, VBox\nVBox([IntSlider(value=7), IntProgress(value=40)])"


@pytest.fixture(scope="module")
def lab(running: Project, browser: Browser) -> Iterator[Lab]:
    with logged_in(browser, running) as lab:
        yield lab


def test_the_password_opens_the_analysis(lab: Lab) -> None:
    assert lab.page.url.endswith("/lab/tree/src/analysis.ipynb")
    expect(lab.notebook.get_by_role("heading", level=1)).to_contain_text("Why do customers leave?")
    expect(lab.notebook).to_contain_text("Which customers leave, and why?")
    lab.screenshot("opened.png")


def test_one_kernel_is_offered(lab: Lab) -> None:
    lab.menu("Kernel", "Change Kernel…")
    dialog = lab.page.locator(".jp-Dialog")
    offered = dialog.locator("optgroup[label^='Start'] option")
    expect(offered).to_have_text(["Python 3.11"])
    dialog.get_by_role("button", name=re.compile("Cancel|No Kernel")).first.click()
    expect(dialog).to_have_count(0)


def test_run_all_cells_lists_the_versions(lab: Lab) -> None:
    lab.menu("Run", "Run All Cells")
    versions = lab.cells.last
    lab.wait_until_run(versions)
    output = versions.locator(".jp-OutputArea-output")
    expect(output).to_contain_text("/opt/analysis")
    shown = " ".join(output.inner_text().split()).lower()
    assert {f"{name}=={version}".lower() for name, version in PINNED.items()} <= set(shown.split())


def test_a_new_cell_runs_on_productions_versions(lab: Lab) -> None:
    output = lab.run_new_cell(VERSIONS).locator(".jp-OutputArea-output")
    assert output.inner_text().splitlines() == [
        "interpreter /opt/analysis/bin/python",
        *(f"{name} {PINNED[name]}" for name in ("numpy", "pandas", "requests")),
    ]


def test_widgets_are_drawn_and_move(lab: Lab) -> None:
    cell = lab.run_new_cell(SLIDER)
    slider = cell.locator(".widget-slider")
    expect(slider.locator(".noUi-handle")).to_be_visible(timeout=30_000)
    expect(slider.locator(".widget-readout")).to_have_text("7")
    expect(cell.locator(".widget-hprogress .progress-bar")).to_be_visible()
    expect(cell.locator(".jp-OutputArea-output")).not_to_contain_text("IntSlider(")
    slider.locator(".noUi-handle").press("ArrowRight")
    expect(slider.locator(".widget-readout")).to_have_text("8")
    lab.screenshot("notebook.png")


def test_the_debugger_stops_at_a_breakpoint_and_shows_the_variables(lab: Lab) -> None:
    button = lab.notebook.locator(".jp-DebuggerBugButton")
    button.click()
    expect(lab.notebook.locator(".jp-DebuggerBugButton[aria-pressed=true]")).to_be_visible(timeout=30_000)
    cell = lab.new_cell("leaving = 6 * 7\nleaving += 1")
    cell.locator(".cm-breakpoint-gutter .cm-gutterElement").last.click()
    cell.locator(".cm-content").click()
    lab.page.keyboard.press("Control+Enter")
    sidebar = lab.page.locator(".jp-DebuggerSidebar")
    expect(sidebar.locator(".jp-DebuggerVariables-body").first).to_contain_text("42", timeout=30_000)
    lab.screenshot("debugger.png")
    sidebar.locator("[data-command='debugger:continue']").click()
    lab.wait_until_run(cell)
    button.click()
    lab.page.locator(".jp-SideBar [data-id='jp-debugger-sidebar']").click()


def test_jupyterlab_opens_without_dialogs(lab: Lab) -> None:
    expect(lab.page.locator(".jp-Dialog")).to_have_count(0)
    expect(lab.page.locator(".Toastify__toast")).to_have_count(0)


def test_a_terminal_has_the_notebooks_python_and_tools(lab: Lab, running: Project) -> None:
    lab.menu("File", "New", "Terminal")
    terminal = lab.page.locator(".jp-Terminal")
    expect(terminal.locator(".xterm-screen")).to_be_visible()
    terminal.click()
    found = running.folder / "src" / "found"

    def written() -> bool:
        # A terminal loses input that is typed before its shell reads.
        lab.page.keyboard.type(
            "command -v python jupyter uv >/project/src/found.tmp; mv /project/src/found.tmp /project/src/found\n"
        )
        with suppress(AssertionError):
            eventually(found.exists, "the file is there", 10)
        return found.exists()

    eventually(written, "the terminal did what was typed")
    assert found.read_text().split() == ["/opt/analysis/bin/python", "/opt/tools/bin/jupyter", "/opt/tools/commands/uv"]


def test_the_browser_logged_no_errors(lab: Lab) -> None:
    assert lab.errors == []


def test_the_servers_log_has_neither_passwords_nor_warnings(lab: Lab, running: Project) -> None:
    log = running.log()
    assert "Jupyter Server" in log
    assert running.password not in log
    warnings = [line for line in log.splitlines() if re.search(r"^\[[WEC] |WARN|ERROR|CRITICAL|Traceback", line)]
    assert [line for line in warnings if not re.search(HARMLESS, line)] == []
