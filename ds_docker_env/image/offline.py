"""Makes a report work offline: embeds the scripts of figures and widgets, and writes formulas as MathML.

Formats: https://plotly.com/javascript/plotlyjs-function-reference/, https://github.com/vega/vega-embed,
https://ipywidgets.readthedocs.io/en/stable/embedding.html
"""

from __future__ import annotations

import html
import json
import lzma
import re
from base64 import b64encode
from importlib import resources as packages
from itertools import groupby
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import nbformat
from jinja2 import pass_context, runtime
from jupyter_core.paths import jupyter_path
from latex2mathml.converter import convert_to_element
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
from nbconvert.preprocessors import CoalesceStreamsPreprocessor, Preprocessor

from ds_docker_env.image import overlay

_PLOTLY = "application/vnd.plotly.v1+json"
_VEGA = re.compile(r"application/vnd\.vega(lite)?\.v[\d.]+[.+]json")
WIDGETS = "application/vnd.jupyter.widget-state+json"
_ID = re.compile(r"[0-9a-f]{32}")
_TEX = re.compile(r"\$\$(.+?)\$\$|\$(.+?)\$|\\\[(.+?)\\\]|\\\((.+?)\\\)|(\\begin\{(\w+\*?)\}.+?\\end\{\6\})", re.DOTALL)


class Offline(Preprocessor):
    """Makes a notebook's outputs work offline; the template puts ``offline_scripts`` into the head."""

    def preprocess(self, nb: nbformat.NotebookNode, resources: dict[str, Any]) -> tuple[nbformat.NotebookNode, Any]:
        """Return the notebook with figures and formulas as HTML, and with the same ids and streams in each run."""
        nb, _ = CoalesceStreamsPreprocessor().preprocess(_with_streams_in_order(_with_ids_in_order(nb)), resources)
        outputs = [output for cell in nb.cells for output in cell.get("outputs", []) if "data" in output]
        scripts: dict[Path, str] = {}
        for number, output in enumerate(outputs):
            for type_, content in list(output.data.items()):
                library, drawing = _drawing(type_, content, output.metadata.get(type_, {}), f"figure-{number}")
                if library:
                    # Read megabytes once for all figures.
                    if library not in scripts:
                        scripts[library] = _script(library.read_text(encoding="utf-8"))
                    output.data["text/html"] = drawing
            if "text/latex" in output.data:
                output.data.setdefault("text/html", _with_formulas(output.data["text/latex"]))
        # Load these libraries before require.js, which would make them anonymous modules.
        resources["offline_scripts"] = "\n".join([*scripts.values(), *_widgets(_state(nb))])
        return nb, resources


@pass_context
def markdown2html(context: runtime.Context, source: str) -> str:
    """Return Markdown as HTML, with formulas and the images of its directory in it."""
    cell, resources = context.get("cell", {}), context.get("resources", {})
    renderer = _Renderer(
        escape=False,
        embed_images=True,
        attachments=cell.get("attachments", {}),
        path=resources.get("metadata", {}).get("path", ""),
    )
    return MarkdownWithMath(renderer=renderer).render(source)


class _Renderer(IPythonRenderer):
    def block_math(self, body: str) -> str:
        return _formula(body, "block", super().block_math(body))

    def inline_math(self, body: str) -> str:
        return _formula(body, "inline", super().inline_math(body))

    def latex_environment(self, name: str, body: str) -> str:
        whole = f"\\begin{{{name}}}{body}\\end{{{name}}}"
        return _formula(whole, "block", super().latex_environment(name, body))


def _formula(tex: str, display: str, otherwise: str) -> str:
    try:
        element = convert_to_element(tex, display=display)
        for part in element.iter():
            # Symbols are written as entities; the rest of a text may be anything, even a tag.
            part.text = html.unescape(part.text or "")
        return ElementTree.tostring(element, encoding="unicode")
    except Exception:
        # The converter's errors lack a base class. A report with TeX as text is better than a failure.
        return otherwise


def _with_formulas(latex: str) -> str:
    """Return an output of LaTeX as HTML; outside of its formulas it is text."""
    parts, end = [], 0
    for found in _TEX.finditer(latex):
        tex = next(filter(None, found.groups()))
        display = "inline" if found[2] or found[4] else "block"
        parts += [html.escape(latex[end : found.start()]), _formula(tex, display, html.escape(found[0]))]
        end = found.end()
    return "".join([*parts, html.escape(latex[end:])])


def _drawing(type_: str, content: Any, metadata: Any, id_: str) -> tuple[Path | None, str]:
    """Return the library that draws an output, or None, and the HTML that calls it."""
    if type_ == _PLOTLY:
        library = next(overlay.current().glob("lib/python*/site-packages/plotly/package_data/plotly.min.js"), None)
        figure = {**content, "config": {"responsive": True, **content.get("config", {})}}
        return library, f'<div id="{id_}"></div><script>Plotly.newPlot("{id_}", {_json(figure)})</script>'
    if found := _VEGA.fullmatch(type_):
        library = Path(str(packages.files("js_lib_vega_embed"))) / "static/js_lib_vega_embed/vega-embed-full.js"
        options = {"mode": "vega-lite" if found[1] else "vega", **metadata.get("embed_options", {})}
        return (
            library,
            f'<div id="{id_}"></div><script>vegaEmbed("#{id_}", {_json(content)}, {_json(options)})</script>',
        )
    return None, ""


def _widgets(state: dict[str, Any]) -> list[str]:
    """Return require.js, which some outputs need, and the widget manager if there are widgets."""
    folders = map(Path, jupyter_path("nbconvert", "templates", "report", "static"))
    folder = next(folder for folder in folders if folder.exists())
    scripts = [_script(unpacked(folder / "require.js.xz"))]
    if state:
        modules = {model["model_module"] for model in state.values()}
        found = {module: overlay.current() / "share/jupyter/nbextensions" / module / "index.js" for module in modules}
        paths = {module: _url(path) for module, path in sorted(found.items()) if path.exists()}
        # The address keeps it from asking a CDN for missing modules.
        scripts += [
            _script(f"require.config({_json({'paths': paths})})"),
            _script(unpacked(folder / "embed-amd.js.xz"), ' data-jupyter-widgets-cdn="data:,"'),
        ]
    return scripts


def _with_ids_in_order(nb: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Return the notebook with counted ids in place of random ones, of cells and of widgets."""
    state = _state(nb)
    text = json.dumps(nb)
    for number, id_ in enumerate(_in_order(state, nb)):
        text = text.replace(id_, f"{number:032x}")
    nb = nbformat.from_dict(json.loads(text))
    if state:
        nb.metadata.widgets[WIDGETS].state = dict(sorted(_state(nb).items()))
    for number, cell in enumerate(nb.cells):
        cell["id"] = str(number)
    return nb


def _with_streams_in_order(nb: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Return the notebook with stdout before stderr, because they arrive in pieces at random moments."""
    for cell in nb.cells:
        if "outputs" in cell:
            groups = groupby(cell.outputs, lambda output: output.output_type == "stream")
            cell.outputs = [each for _, group in groups for each in sorted(group, key=_is_stderr)]
    return nb


def _is_stderr(output: nbformat.NotebookNode) -> bool:
    return bool(output.get("name") == "stderr")


def _state(nb: nbformat.NotebookNode) -> dict[str, Any]:
    """Return the models of widgets by their ids, which are random, as is their order."""
    return dict(nb.metadata.get("widgets", {}).get(WIDGETS, {}).get("state", {}))


def _in_order(state: dict[str, Any], nb: nbformat.NotebookNode) -> list[str]:
    """Return the ids as the outputs name them, then as these models name others, then by content."""
    ids: list[str] = []
    waiting = _ids([cell.get("outputs") for cell in nb.cells])
    while waiting:
        id_ = waiting.pop(0)
        if id_ in state and id_ not in ids:
            ids.append(id_)
            waiting += _ids(state[id_])
    others = state.keys() - ids
    return ids + sorted(others, key=lambda id_: _ID.sub("", json.dumps(state[id_], sort_keys=True)))


def _ids(content: Any) -> list[str]:
    return _ID.findall(json.dumps(content, sort_keys=True))


def unpacked(path: Path) -> str:
    """Return a script that the wheel has packed by xz."""
    return lzma.decompress(path.read_bytes()).decode()


def _url(path: Path) -> str:
    return f"data:text/javascript;base64,{b64encode(path.read_bytes()).decode()}"


def _script(source: str, attributes: str = "") -> str:
    source = source.replace("</script", "<\\/script")
    return f"<script{attributes}>{source}</script>"


def _json(content: Any) -> str:
    return json.dumps(content).replace("<", "\\u003c")
