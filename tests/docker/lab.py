"""JupyterLab in a browser, and the actions of a user."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import nbformat
from playwright.sync_api import Browser, Error, Locator, Page, expect

from docker.project import NOTEBOOK, Project

SCREENSHOTS = Path(__file__).parents[2] / "screenshots"
# Chromium drops requests when another test adds or removes a Docker network.
DROPPED = "Failed to fetch"


@dataclass(frozen=True)
class Lab:
    """JupyterLab in a browser tab, logged in, with the analysis open."""

    page: Page
    errors: list[str] = field(default_factory=list)

    @property
    def notebook(self) -> Locator:
        return self.page.locator(".jp-NotebookPanel:not(.lm-mod-hidden)")

    @property
    def cells(self) -> Locator:
        return self.notebook.locator(".jp-Notebook-cell")

    def menu(self, *entries: str) -> None:
        self.page.get_by_role("menuitem", name=entries[0], exact=True).first.click()
        for entry in entries[1:]:
            self.page.locator(".lm-Menu-itemLabel", has_text=re.compile(f"^{re.escape(entry)}$")).click()

    def new_cell(self, code: str) -> Locator:
        """Add a cell at the end, and return it."""
        before = self.cells.count()
        self.cells.last.locator(".jp-InputPrompt, .jp-InputArea-prompt").first.click()
        self.page.keyboard.press("Escape")
        self.page.keyboard.press("b")
        expect(self.cells).to_have_count(before + 1)
        self.page.keyboard.press("Enter")
        self.page.keyboard.insert_text(code)
        return self.cells.nth(before)

    def run_new_cell(self, code: str) -> Locator:
        """Add a cell at the end, run it, and return it once it is done."""
        cell = self.new_cell(code)
        self.page.keyboard.press("Control+Enter")
        self.wait_until_run(cell)
        return cell

    def wait_until_run(self, cell: Locator) -> None:
        expect(cell.locator(".jp-InputArea-prompt")).to_have_text(re.compile(r"^\[\d+\]:$"), timeout=180_000)

    def screenshot(self, name: str) -> Path:
        SCREENSHOTS.mkdir(exist_ok=True)
        path = SCREENSHOTS / name
        self.page.screenshot(path=path)
        return path


@contextmanager
def logged_in(browser: Browser, project: Project) -> Iterator[Lab]:
    """Open the analysis on a running server as a user does, and wait until its kernel is idle."""
    lab = _opened(browser, project)
    yield lab
    lab.page.close()


def _opened(browser: Browser, project: Project, attempts: int = 3) -> Lab:
    page = browser.new_page(viewport={"width": 1400, "height": 1000})
    page.set_default_timeout(60_000)
    lab = Lab(page)
    page.on("pageerror", lambda error: lab.errors.append(str(error)) if str(error) != DROPPED else None)
    try:
        page.goto(project.url)
        page.fill("input[name=password]", project.password)
        page.click("#login_submit")
        cells = nbformat.read(project.folder / NOTEBOOK, as_version=4).cells
        expect(lab.cells).to_have_count(len(cells), timeout=60_000)
        # The indicator beside the kernel's name is idle even before the kernel starts.
        expect(page.locator("#jp-main-statusbar")).to_contain_text("| Idle", timeout=60_000)
    except (AssertionError, Error):
        page.close()
        if attempts == 1:
            raise
        return _opened(browser, project, attempts - 1)
    return lab
