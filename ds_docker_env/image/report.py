"""``report``: executes notebooks with papermill, and writes an HTML report of each with nbconvert."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nbformat
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_core.application import JupyterApp
from nbclient.exceptions import DeadKernelError
from nbconvert.exporters import HTMLExporter
from papermill.cli import papermill
from papermill.engines import NBClientEngine, papermill_engines
from papermill.exceptions import PapermillExecutionError

from ds_docker_env.common.errors import ProjectError
from ds_docker_env.common.redaction import excerpt, printable
from ds_docker_env.image import commands, overlay

SUCCEEDED, A_CELL_FAILED = 0, 1
SRC = Path("src")


def run(options: Sequence[str]) -> int:
    """Execute notebooks, by default all in src, and write a report of each; return 1 if a cell fails.

    The notebooks themselves stay as they are. Raise `ProjectError` for a file that is not a notebook.
    """
    asked = _parser().parse_args(options)
    notebooks = [_notebook(name) for name in asked.notebooks] or _notebooks_of_src()
    parameters = [word for option in asked.parameters for word in option]
    overlay.follow()
    application = JupyterApp()
    application.initialize([])
    papermill_engines.register("report", _engine(application))
    targets = [_report(notebook, asked.output_dir) for notebook in notebooks]
    if twice := next((target for target in targets if targets.count(target) > 1), None):
        raise ProjectError(f"{twice}: two notebooks write this report; run report for each with its own --output-dir")
    failed = False
    for notebook, report in zip(notebooks, targets, strict=True):
        print(f"{notebook} ...", file=sys.stderr, flush=True)
        with tempfile.TemporaryDirectory() as folder:
            executed = Path(folder, notebook.name)
            error = _execute(notebook, executed, parameters)
            _write_report(executed, notebook, report, application)
        if error:
            failed = True
            print(f"report: {notebook}: {error}; {report} stops there", file=sys.stderr)
        else:
            print(report)
    return A_CELL_FAILED if failed else SUCCEEDED


def _parser() -> argparse.ArgumentParser:
    parser = commands.parser("report")
    parser.add_argument("notebooks", nargs="*")
    parser.add_argument("--output-dir", type=Path)
    for name, words in {"parameters": 2, "parameters_raw": 2, "parameters_file": 1, "parameters_yaml": 1}.items():
        short = f"-{(name.partition('_')[2] or name)[0]}"
        parser.add_argument(short, f"--{name}", nargs=words, dest="parameters", action=_AsTyped, default=[])
    return parser


class _AsTyped(argparse.Action):
    """Keeps the options of papermill with their words, in the order in which they were typed."""

    def __call__(self, _: object, namespace: argparse.Namespace, values: Any, option: str | None = None) -> None:
        setattr(namespace, self.dest, [*getattr(namespace, self.dest), [option, *values]])


def _notebook(name: str) -> Path:
    if not Path(name).is_file():
        raise ProjectError(f"{name}: no such notebook; check the path, such as src/analysis.ipynb")
    return Path(os.path.relpath(name))


def _notebooks_of_src() -> list[Path]:
    notebooks = []
    for folder, folders, files in os.walk(SRC):
        # Data may be a large disk.
        folders[:] = [name for name in folders if name[0] != "." and Path(folder, name) != SRC / "data"]
        notebooks += [Path(folder, name) for name in files if name.endswith(".ipynb") and name[0] != "."]
    if not notebooks:
        raise ProjectError(f"{SRC}: contains no notebooks; add one, or use its path")
    return sorted(notebooks)


def _execute(notebook: Path, executed: Path, parameters: Sequence[str]) -> str:
    """Execute a notebook in its folder into another file, and return the error of the cell that failed."""
    try:
        kernel = nbformat.read(notebook, as_version=4).metadata.get("kernelspec", {})
    except (nbformat.reader.NotJSONError, nbformat.ValidationError, UnicodeError, AttributeError):
        raise ProjectError(f"{notebook}: not a notebook; restore it from git") from None
    # A notebook from another machine names its kernel there.
    known = kernel.get("name") in KernelSpecManager().find_kernel_specs() and "language" in kernel
    options = [] if known else ["--kernel=python3", "--language=python"]
    settings = [f"--cwd={notebook.parent}", "--engine=report", "--log-level=WARNING", "--progress-bar"]
    words = [str(notebook), str(executed), *parameters, *options, *settings]
    try:
        with papermill.make_context("report", words) as context:
            papermill.invoke(context)
    except PapermillExecutionError as error:
        return printable(excerpt(f"cell [{error.exec_count}]: {error.ename}: {error.evalue}"))
    return ""


def _engine(application: JupyterApp) -> type[NBClientEngine]:
    class Engine(NBClientEngine):  # type: ignore[misc]
        """Uses the settings of jupyter_config.py, and reports a dead kernel as the error of its cell."""

        @classmethod
        def execute_managed_notebook(cls, nb_man: Any, kernel_name: str, **options: Any) -> None:
            try:
                super().execute_managed_notebook(nb_man, kernel_name, config=application.config, **options)
            except DeadKernelError:
                begun = [cell for cell in nb_man.nb.cells if cell.metadata.papermill.status != nb_man.PENDING]
                said = "the kernel died, perhaps because it needed more than MEMORY in .env allows"
                begun[-1].execution_count = sum(cell.cell_type == "code" for cell in begun)
                begun[-1].outputs.append(
                    nbformat.v4.new_output("error", ename="DeadKernelError", evalue=said, traceback=[said])
                )

    return Engine


def _report(notebook: Path, output_dir: Path | None) -> Path:
    inside = notebook.relative_to(SRC) if SRC in notebook.parents else Path(notebook.name)
    return (output_dir / inside if output_dir else notebook).with_suffix(".html")


def _write_report(executed: Path, notebook: Path, report: Path, application: JupyterApp) -> None:
    report.parent.mkdir(parents=True, exist_ok=True)
    resources = {"metadata": {"name": notebook.stem, "path": str(notebook.parent)}}
    exporter = HTMLExporter(config=application.config)
    page, _ = exporter.from_notebook_node(nbformat.read(executed, as_version=4), resources)
    report.write_text(page, encoding="utf-8")
