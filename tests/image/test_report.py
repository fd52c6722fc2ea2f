"""Reports, on this machine's kernel and without the packages of an analysis."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from offers import TEMPLATE

from ds_docker_env.image import commands, installed, offline

FILES = TEMPLATE / "ds_docker_env" / "image" / "files"
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="it runs in the image, on Linux")
# The settings of jupyter_config.py that are about reports; the rest is the server's.
SETTINGS = re.search(
    r"# Reports are.*", (FILES / "etc/jupyter/jupyter_config.py").read_text(encoding="utf-8"), re.DOTALL
)
SLIDER, LAYOUT, OTHER = (letter * 32 for letter in "abc")
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """Run ``report`` in a project folder with these notebooks."""
    assert SETTINGS
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "jupyter_config.py").write_text(f"c = get_config()\n{SETTINGS[0]}", encoding="utf-8")
    (tmp_path / "src" / "data").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JUPYTER_CONFIG_DIR", str(tmp_path / "config"))
    monkeypatch.setenv("JUPYTER_PATH", str(FILES / "share" / "jupyter"))

    def _run(*options: str, **notebooks: Any) -> tuple[int, str, str]:
        for name, cells in notebooks.items():
            path = tmp_path / "src" / f"{name.replace('__', '/')}.ipynb"
            path.parent.mkdir(exist_ok=True)
            path.write_text(nbformat.writes(new_notebook(cells=cells)), encoding="utf-8")
        with pytest.raises(SystemExit) as ended:
            commands.main("report", options)
        return int(ended.value.code or 0), *capfd.readouterr()

    return _run


def defaults(code: str) -> Any:
    return new_code_cell(code, metadata={"tags": ["parameters"]})


def body(page: str) -> str:
    return page.partition("<body")[2]


def test_all_notebooks_of_src_have_a_report_and_one_that_fails_ends_with_its_error(run: Run, tmp_path: Path) -> None:
    code, out, err = run(
        north__a=[new_code_cell("open('here', 'w'); print(6 * 7)")],
        b=[new_code_cell("print('before')"), new_code_cell("1 / 0"), new_code_cell("print('be' + 'hind')")],
        c=[new_code_cell("import os; os._exit(1)")],
        data__d=[new_code_cell("1 / 0")],
    )
    assert code == 1
    assert out == "src/north/a.html\n"
    [first, second] = re.findall(r"^report: (.*)$", err, re.MULTILINE)
    assert first == "src/b.ipynb: cell [2]: ZeroDivisionError: division by zero; src/b.html stops there"
    assert second.startswith("src/c.ipynb: cell [1]: DeadKernelError: the kernel died") and "MEMORY" in second
    assert "Traceback" not in err
    b = body((tmp_path / "src" / "b.html").read_text(encoding="utf-8"))
    assert "before" in b and "ZeroDivisionError" in b and ">behind" not in b
    assert "the kernel died" in body((tmp_path / "src" / "c.html").read_text(encoding="utf-8"))
    assert "42" in body((tmp_path / "src" / "north" / "a.html").read_text(encoding="utf-8"))
    assert (tmp_path / "src" / "north" / "here").exists()
    assert not (tmp_path / "src" / "data" / "d.html").exists()


def test_parameters_replace_defaults_in_the_report_and_two_runs_write_the_same_bytes(
    run: Run, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "more.yaml").write_text("regions: [north, south]\n")
    cells = [defaults("rate, name, regions = 0.1, 'x', []"), new_code_cell("print(rate * 2, name, regions)")]
    asked = (
        "src/a.ipynb",
        "-p",
        "rate",
        "0.5",
        "-r",
        "name",
        "007",
        "-f",
        "more.yaml",
        "--output-dir",
        "reports/march",
        "-p",
        "rte",
        "1",
    )
    report = tmp_path / "reports" / "march" / "a.html"
    assert run(*asked, a=cells)[1] == "reports/march/a.html\n"
    before = report.read_bytes()
    assert b"1.0 007 [&#39;north&#39;, &#39;south&#39;]" in before or "1.0 007 ['north', 'south']" in before.decode()
    assert "Executing: 100%" in run(*asked)[2]
    assert report.read_bytes() == before
    assert nbformat.read(tmp_path / "src" / "a.ipynb", as_version=4).cells == cells
    assert "Passed unknown parameter: rte" in caplog.text


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["src/nope.ipynb"], r"src/nope.ipynb: no such notebook; check the path"),
        (["src/text.ipynb"], r"src/text.ipynb: not a notebook; restore it from git"),
        (["-p", "rate"], r"argument -p/--parameters: expected 2 arguments"),
        (["--sparkle"], r"unrecognized arguments: --sparkle"),
        ([], r"src: contains no notebooks; add one, or use its path"),
    ],
)
def test_a_notebook_that_cannot_be_executed_is_reported_in_one_line(
    options: list[str], said: str, run: Run, tmp_path: Path
) -> None:
    if options:
        (tmp_path / "src" / "text.ipynb").write_text("no notebook")
    code, _, err = run(*options)
    assert code == 2
    assert re.search(said, err) and "Traceback" not in err


def figure(type_: str, content: Any) -> Any:
    return new_code_cell("figure", outputs=[new_output("display_data", {type_: content, "text/plain": "Figure()"})])


@pytest.fixture
def exported(run: Run, tmp_path: Path) -> Callable[[Any], str]:
    """Return the page of a notebook with outputs, as ``jupyter nbconvert --to html`` makes it."""
    # 0.5 s, in each of the processes that collect the tests.
    from nbconvert.nbconvertapp import NbConvertApp

    def _exported(notebook: Any) -> str:
        path = tmp_path / "src" / "a.ipynb"
        path.write_text(nbformat.writes(notebook), encoding="utf-8")
        application = NbConvertApp()
        application.initialize(["--to", "html", str(path)])
        application.start()
        return path.with_suffix(".html").read_text(encoding="utf-8")

    return _exported


def test_an_export_contains_formulas_images_and_charts_and_works_offline(
    exported: Callable[[Any], str], tmp_path: Path
) -> None:
    (tmp_path / "src" / "dot.png").write_bytes(b"\x89PNG")
    text = "It costs \\$5.\n\n![dot](dot.png)\n\n$$\\hat\\beta$$\n\n\\begin{align} a &= b \\end{align}\n\n$x_{$"
    chart = {"$schema": "https://vega.github.io/schema/vega-lite/v6.json", "mark": "bar", "title": "</script>"}
    page = exported(
        new_notebook(
            cells=[
                new_markdown_cell(text),
                figure("application/vnd.vegalite.v5+json", chart),
                figure("text/latex", r"so $\frac{1}{2}$ < 1"),
            ]
        )
    )
    assert not re.search(r"<(script|link|img|iframe)[^>]+(src|href)=.?(https?:)?//", page)
    assert not re.search(r"import\(|cdnjs|unpkg", re.sub(r"<script>.*?</script>", "", page, flags=re.DOTALL))
    assert page.count("<math ") == 3
    assert "$x_{$" in page and "costs $5." in page and "1</mn></mfrac>" not in page
    assert "&lt; 1" in page
    assert 'src="data:image/png;base64,iVBORw=="' in page
    assert page.index("vegaEmbed") < page.index("RequireJS") < page.index('vegaEmbed("#figure-0"')
    assert "\\u003c/script>" in page and "embed-amd" not in page


def widget(slider: str, layout: str, other: str, *, reverse: bool = False) -> Any:
    module = {"model_module": "@jupyter-widgets/controls", "model_module_version": "2.0.0"}
    state = {
        slider: {**module, "model_name": "IntSliderModel", "state": {"layout": f"IPY_MODEL_{layout}", "value": 7}},
        layout: {**module, "model_name": "LayoutModel", "state": {}},
        other: {**module, "model_name": "LinkModel", "state": {"source": [f"IPY_MODEL_{slider}", "value"]}},
    }
    shown = figure("application/vnd.jupyter.widget-view+json", {"model_id": slider, "version_major": 2})
    items = sorted(state.items(), reverse=reverse)
    held = {"state": dict(items), "version_major": 2, "version_minor": 0}
    return new_notebook(cells=[shown], metadata={"widgets": {offline.WIDGETS: held}})


def test_widgets_bring_their_manager_and_random_ids_become_counted_ones(exported: Callable[[Any], str]) -> None:
    page = exported(widget(SLIDER, LAYOUT, OTHER))
    assert page.index("RequireJS") < page.index('define("@jupyter-widgets/html-manager"')
    assert SLIDER not in page and f'"model_id": "{0:032x}"' in page
    assert exported(widget(OTHER, SLIDER, LAYOUT, reverse=True)) == page


def test_streams_are_the_same_however_they_arrive(exported: Callable[[Any], str]) -> None:
    def page(*pieces: str) -> str:
        outputs = [new_output("stream", name="stderr" if piece == "!" else "stdout", text=piece) for piece in pieces]
        last = [new_output("display_data", {"text/plain": "Figure()"}), new_output("stream", name="stdout", text="z")]
        return body(exported(new_notebook(cells=[new_code_cell("loop()", outputs=outputs + last)])))

    assert page("a", "b", "!") == page("ab", "!") == page("a", "!", "b")
    assert ">ab</pre>" in "".join(page("a", "b").split()) and page("ab").count("<pre>z") == 1


def test_plotly_is_drawn_by_the_script_of_the_analysis_and_another_widget_by_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(installed, "ANALYSIS", tmp_path)
    monkeypatch.setenv("JUPYTER_PATH", str(FILES / "share" / "jupyter"))
    for name in (
        "lib/python3.11/site-packages/plotly/package_data/plotly.min.js",
        "share/jupyter/nbextensions/map/index.js",
    ):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text("the script")
    notebook = widget(SLIDER, LAYOUT, OTHER)
    notebook.metadata.widgets[offline.WIDGETS].state[OTHER].model_module = "map"
    notebook.cells.append(figure("application/vnd.plotly.v1+json", {"data": [], "layout": {}}))
    nb, resources = offline.Offline().preprocess(notebook, {})  # type: ignore[no-untyped-call]
    assert (
        'Plotly.newPlot("figure-1", {"data": [], "layout": {}, "config": {"responsive": true}}'
        in nb.cells[1].outputs[0].data["text/html"]
    )
    assert resources["offline_scripts"].startswith("<script>the script</script>")
    assert (
        json.dumps({"paths": {"map": "data:text/javascript;base64,dGhlIHNjcmlwdA=="}}) in resources["offline_scripts"]
    )


@pytest.mark.network
def test_the_packed_scripts_are_those_of_the_npm_registry(tmp_path: Path) -> None:
    packed = FILES / "share/jupyter/nbconvert/templates/report/static"
    members = {
        "requirejs@2.3.8": ("require.js", "require.js.xz"),
        "@jupyter-widgets/html-manager@1.0.15": ("dist/embed-amd.js", "embed-amd.js.xz"),
    }
    for package, (member, name) in members.items():
        done = subprocess.run(["npm", "pack", "--silent", package], cwd=tmp_path, capture_output=True, check=True)
        subprocess.run(["tar", "xzf", done.stdout.decode().strip()], cwd=tmp_path, check=True)
        assert offline.unpacked(packed / name) == (tmp_path / "package" / member).read_text(encoding="utf-8")


def test_a_formula_cannot_hold_a_tag() -> None:
    shown = offline._with_formulas(r"$\text{<img src=x onerror=alert(8)>} < 1$")
    assert "<math" in shown and "<img" not in shown
    assert "&lt;img" in shown


def test_two_notebooks_with_one_report_are_refused_before_they_run(run: Run, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "one.ipynb").write_text(nbformat.writes(new_notebook()), encoding="utf-8")
    code, out, err = run("a/one.ipynb", "b/one.ipynb", "--output-dir", "out")
    assert (code, out) == (2, "")
    assert "out/one.html: two notebooks write this report" in err
