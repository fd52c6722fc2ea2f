"""Figures and widgets in the notebook and in its report, without internet."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import nbformat
import pytest
from playwright.sync_api import Browser, Page, expect

from docker.conftest import image_of
from docker.lab import SCREENSHOTS, logged_in
from docker.project import Project, sh

pytestmark = pytest.mark.docker

PLOTLY = "import plotly.graph_objects as go\ngo.Figure(go.Scatter(y=[3, 1, 2]))"
ALTAIR = """\
import altair, pandas
altair.Chart(pandas.DataFrame({"x": [1, 2, 3], "y": [3, 1, 2]})).mark_bar().encode(x="x:O", y="y")"""
WIDGETS = "import ipywidgets\nipywidgets.VBox([ipywidgets.IntSlider(value=rate, description='rate')])"
FIGURES = {PLOTLY: ".js-plotly-plot .main-svg >> nth=0", ALTAIR: ".vega-embed canvas", WIDGETS: ".widget-slider"}
FORMULAS = r"""# Churn
The rate $r^2$ is in

\begin{align} a &= b \\ &= c \end{align}
"""


@pytest.fixture(scope="module")
def project(engine: None, generate: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    production = tmp_path_factory.mktemp("production") / "requirements.txt"
    production.write_text("plotly==6.9.0\naltair==6.3.0\n", encoding="utf-8")
    with image_of(generate, production_requirements=str(production)) as project:
        default = nbformat.v4.new_code_cell("rate = 1", metadata={"tags": ["parameters"]})
        cells = [nbformat.v4.new_markdown_cell(FORMULAS), default, *map(nbformat.v4.new_code_cell, FIGURES)]
        (project.folder / "src" / "figures.ipynb").write_text(nbformat.writes(nbformat.v4.new_notebook(cells=cells)))
        project.write_notebook("print('until here')", "1 / 0", "print('never')", name="src/broken.ipynb")
        yield project


def asked_of_the_internet(page: Page) -> list[str]:
    """Make requests to other machines fail, and return the list that records them."""
    asked: list[str] = []

    def answer(route: object, request: object) -> None:
        url = request.url  # type: ignore[attr-defined]
        if url.startswith(("http://127.0.0.1:", "file:", "data:", "blob:")):
            route.continue_()  # type: ignore[attr-defined]
        else:
            asked.append(url)
            route.abort()  # type: ignore[attr-defined]

    page.route("**/*", answer)
    return asked


def test_reports_work_offline_and_show_parameters_and_the_failing_cell(project: Project, browser: Browser) -> None:
    src = project.folder / "src"
    before = (src / "figures.ipynb").read_bytes()
    container = ("docker", "run", "--rm", "--user=root", "--network=none", f"--volume={project.folder}:/project")
    done = sh(*container, project.image, "report", "-p", "rate", "7", check=False)
    assert done.returncode == 1
    assert done.stdout.splitlines() == ["src/analysis.html", "src/figures.html"]
    assert "src/broken.ipynb: cell [3]: ZeroDivisionError: division by zero; src/broken.html stops there" in done.stderr
    assert (src / "figures.ipynb").read_bytes() == before
    page = browser.new_page(viewport={"width": 1000, "height": 1600})
    asked = asked_of_the_internet(page)
    page.goto((src / "broken.html").as_uri())
    expect(page.locator("body")).to_contain_text("until here")
    expect(page.locator("body")).to_contain_text("ZeroDivisionError")
    expect(page.get_by_text("never", exact=True)).to_have_count(0)
    page.goto((src / "figures.html").as_uri())
    for figure in FIGURES.values():
        expect(page.locator(figure)).to_be_visible(timeout=30_000)
    expect(page.locator(".widget-readout")).to_have_text("7")
    expect(page.locator("math")).to_have_count(2)
    expect(page.locator("mtd")).to_have_count(6)
    SCREENSHOTS.mkdir(exist_ok=True)
    page.screenshot(path=SCREENSHOTS / "report.png", full_page=True)
    page.close()
    assert asked == []


def test_jupyterlab_shows_figures_offline_and_exports_them_like_report(project: Project, browser: Browser) -> None:
    with project.up(), logged_in(browser, project) as lab:
        asked = asked_of_the_internet(lab.page)
        lab.run_new_cell("rate = 7")
        for code, figure in FIGURES.items():
            cell = lab.run_new_cell(code)
            expect(cell.locator(figure)).to_be_visible(timeout=30_000)
        lab.screenshot("figures.png")
        assert asked == []
        exported = project.api("/nbconvert/html/src/figures.ipynb")
        assert exported.status == 200
        assert "<math " in exported.text and "cdnjs" not in exported.text
