"""The pictures of the documentation: ``uv run --with pillow tests/docker/gallery.py`` renews them.

They show the golden projects on a real engine, with packages of the real index: a recording of the first minutes, and
each project's notebook.
"""

from __future__ import annotations

import html
import io
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from golden import PROJECTS
from offers import TEMPLATE
from pages import cells
from PIL import Image
from playwright.sync_api import Browser, Page, ViewportSize, sync_playwright

from docker.lab import Lab, logged_in
from docker.project import Project

PICTURES = TEMPLATE / "docs" / "gallery"
SIZE = ViewportSize(width=1200, height=730)
ANSWERS = {
    "default": {"project_name": "First look at the contracts", "question": "How long do customers stay?"},
    "production": {"project_name": "Why do customers leave?", "question": "Does the price of a contract matter?"},
}
# Left at the defaults: the first Python and Debian, and data without DVC, which would need a bucket.
DEFAULT = {"python_version", "debian_release", "dvc_s3_url"}
PINS = """\
numpy==2.2.5
pandas==2.2.3
python-dateutil==2.9.0.post0
pytz==2025.2
six==1.17.0
tzdata==2025.2
"""
# Lines of the summary that an engine of today with a registry does not print.
OF_THIS_MACHINE = re.compile(r"^(Base image|Docker): .*\n( +.*\n)*", re.MULTILINE)
FIGURE = """\
import pandas as pd

customers = {"left": [31, 18, 9], "stayed": [42, 57, 88]}
contracts = pd.DataFrame(customers, index=["monthly", "yearly", "two years"])
contracts.plot.barh(stacked=True, title="Customers by contract", figsize=(7, 2.6));"""
TERMINAL = """<body style="margin:0;background:#1e1e2e"><pre style="margin:28px 36px;color:#cdd6f4;
font:20px/1.5 'DejaVu Sans Mono',monospace;white-space:pre-wrap">%s</pre></body>"""


def main() -> None:
    PICTURES.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for name in sys.argv[1:] or PROJECTS:
            with project_of(name) as (project, summary):
                project.build()
                with project.up(), logged_in(browser, project) as lab:
                    lab.page.set_viewport_size(SIZE)
                    {"default": _default, "production": _production, "richest": _richest}[name](lab, summary, browser)


def _default(lab: Lab, summary: list[str], browser: Browser) -> None:
    run(lab, FIGURE)
    shoot(lab.page).save(PICTURES / "default.png", optimize=True)


def _production(lab: Lab, summary: list[str], browser: Browser) -> None:
    """Record the way from the command to a package that was added."""
    command, said, start = summary
    frames = list(terminal(browser, f"{command}{said}", start))
    frames.append(shoot(lab.page))
    run(lab, "import numpy, pandas\nprint(numpy.__version__, pandas.__version__)")
    frames.append(shoot(lab.page))
    table = 'import polars\npolars.DataFrame({"contract": ["monthly", "yearly"], "left": [31, 18]})'
    for code in ("%pip install polars", table):
        lab.new_cell(code)
        frames.append(shoot(lab.page))
        lab.page.keyboard.press("Control+Enter")
        lab.wait_until_run(lab.cells.last)
        lab.page.wait_for_timeout(1000)
        frames.append(shoot(lab.page))
    frames[-1].save(PICTURES / "production.png", optimize=True)
    # Milliseconds for each frame: enough to read it.
    times = [6000, 2000, 2500, 3000, 1500, 4000, 1500, 5000]
    first, *others = [frame.quantize(64) for frame in frames]
    first.save(TEMPLATE / "docs" / "recording.gif", save_all=True, append_images=others, duration=times, loop=0)


def _richest(lab: Lab, summary: list[str], browser: Browser) -> None:
    connect = cells()
    for service in ("Redis", "MySQL", "Dask"):
        run(lab, connect[service])
    lab.page.set_viewport_size({"width": 1200, "height": 1050})
    lab.page.wait_for_timeout(1000)
    shoot(lab.page).save(PICTURES / "richest.png", optimize=True)


def run(lab: Lab, code: str) -> None:
    lab.run_new_cell(code)
    lab.page.wait_for_timeout(1000)


def shoot(page: Page) -> Image.Image:
    return Image.open(io.BytesIO(page.screenshot())).convert("RGB")


def terminal(browser: Browser, *parts: str) -> Iterator[Image.Image]:
    """Yield the terminal after each part of what it shows."""
    page = browser.new_page(viewport=SIZE)
    for shown in range(1, len(parts) + 1):
        page.set_content(TERMINAL % html.escape("".join(parts[:shown])))
        yield shoot(page)
    page.close()


@contextmanager
def project_of(name: str) -> Iterator[tuple[Project, list[str]]]:
    """Generate a golden project as a person does, and return it with what the terminal showed, step by step."""
    with tempfile.TemporaryDirectory() as folder:
        production, work = Path(folder, "api", "requirements.txt"), Path(folder, "work")
        production.parent.mkdir()
        production.write_text(PINS, encoding="utf-8")
        work.mkdir()
        answers = {**ANSWERS.get(name, {}), **PROJECTS[name]}
        answers = {question: answer for question, answer in answers.items() if question not in DEFAULT}
        if "production_requirements" in answers:
            answers["production_requirements"] = "../api/requirements.txt"
        given = [f"{question}={shlex.quote(answer)}" for question, answer in answers.items()]
        generate = [sys.executable, "-m", "cookiecutter", str(TEMPLATE), "--no-input"]
        generate += [f"{question}={answer}" for question, answer in answers.items()]
        here = {**os.environ, "PWD": str(work)}
        done = subprocess.run(generate, cwd=work, env=here, capture_output=True, check=True, encoding="utf-8")
        [generated] = work.iterdir()
        summary = OF_THIS_MACHINE.sub("", done.stderr + done.stdout).replace(folder, "/home/ana")
        command = " \\\n    ".join(["$ uvx cookiecutter gh:org/ds-docker-env --no-input", *given])
        project = Project(generated, image=generated.name, name=generated.name)
        try:
            yield project, [f"{command}\n", f"{summary}\n", f"$ cd {generated.name}\n$ docker compose up --build"]
        finally:
            project.remove()


if __name__ == "__main__":
    main()
