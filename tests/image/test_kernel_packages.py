"""Processes of the analysis import the packages of the lock, even if it changes while they run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from offers import TEMPLATE

FILES = TEMPLATE / "ds_docker_env" / "image" / "files"
PYTHON = f"python{sys.version_info[0]}.{sys.version_info[1]}"
SITE = Path("lib", PYTHON, "site-packages")
# For the programs of these tests: puts an overlay into use, or the image's own packages.
USE = """\
import os, sys
def use(overlay):
    link = os.path.join(sys.prefix, "packages", "current")
    if os.path.lexists(link):
        os.remove(link)
    if overlay:
        os.symlink(overlay, link)
"""

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="it runs in the image, on Linux")


class Analysis:
    """A virtual environment as the image has it, with overlays."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.python = folder / "bin" / "python"
        self.python.parent.mkdir()
        # The base Python, because this environment is a virtual one.
        self.python.symlink_to(Path(sys.base_prefix, "bin", PYTHON))
        (folder / "pyvenv.cfg").write_text(
            f"home = {sys.base_prefix}/bin\ninclude-system-site-packages = false\n", encoding="utf-8"
        )
        (folder / SITE).mkdir(parents=True)
        for name in ("_overlay.py", "overlay.pth"):
            (folder / SITE / name).symlink_to(FILES / "etc" / name)

    def install(self, overlay: str, name: str, version: str, **files: str) -> None:
        """Install a package of some files into an overlay, or into the image."""
        site = (self.folder / "packages" / overlay if overlay else self.folder) / SITE
        files = {"__init__.py": f"version = {version!r}", **files}
        paths = [f"{name}/{path}" if path.endswith(".py") else path for path in files]
        for path, content in zip(paths, files.values(), strict=True):
            (site / path).parent.mkdir(parents=True, exist_ok=True)
            (site / path).write_text(content, encoding="utf-8")
        info = site / f"{name}-{version}.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n", encoding="utf-8")
        (info / "RECORD").write_text("".join(f"{path},,\n" for path in paths), encoding="utf-8")

    def run(self, program: str, use: str = "") -> list[str]:
        """Run a program, at first with an overlay or the image's own packages, and return the lines that it prints."""
        (self.folder / "packages").mkdir(exist_ok=True)
        (self.folder / "packages" / "current").unlink(missing_ok=True)
        if use:
            (self.folder / "packages" / "current").symlink_to(use)
        (self.folder / "program.py").write_text(USE + program, encoding="utf-8")
        command = [str(self.python), "-B", str(self.folder / "program.py")]
        done = subprocess.run(command, cwd=self.folder, env={}, capture_output=True, text=True, check=False)
        assert done.stderr == ""
        return done.stdout.splitlines()


@pytest.fixture
def analysis(tmp_path: Path) -> Analysis:
    made = Analysis(tmp_path)
    made.install("", "tables", "1.0", **{"lazy.py": "from tables import version"})
    made.install("", "plots", "1.0")
    made.install("added", "tables", "2.0", **{"lazy.py": "raise SystemExit('of another version')"})
    made.install("added", "models", "3.0")
    return made


def test_a_running_process_imports_an_added_package_and_cannot_import_a_removed_one(analysis: Analysis) -> None:
    program = """
try:
    import models
except ImportError as error:
    print(error)
use("added")
import models
print(models.version, "packages/added" in models.__file__)
try:
    import plots
except ImportError as error:
    print(error)
use("")
import plots
print(plots.version)
"""
    assert analysis.run(program) == ["No module named 'models'", "3.0 True", "No module named 'plots'", "1.0"]


def test_imported_modules_stay_and_import_further_modules_of_their_version(analysis: Analysis) -> None:
    program = """
import tables
use("added")
import models, tables.lazy
print(tables.version, tables.lazy.version)
"""
    assert analysis.run(program) == ["1.0 1.0"]


def test_metadata_describes_the_packages_of_the_lock_from_the_start(analysis: Analysis) -> None:
    program = """
from importlib.metadata import distributions, version
print(version("tables"))
use("added")
print(version("tables"), *sorted(each.metadata["Name"] for each in distributions()))
"""
    assert analysis.run(program) == ["1.0", "2.0 models tables"]


def test_a_process_starts_with_the_overlay_instead_of_the_images_packages(analysis: Analysis) -> None:
    # Read after overlay.pth, as the one with the project's own modules is.
    (analysis.folder / SITE / "project.pth").write_text(f"inside\n{analysis.folder}/src\n", encoding="utf-8")
    (analysis.folder / SITE / "inside").mkdir()
    (analysis.folder / "src").mkdir()
    program = "print(*(os.path.relpath(path, sys.prefix) for path in sys.path if path.startswith(sys.prefix)))"
    site = f"packages/added/{SITE}"
    assert analysis.run(program, use="added") == [f". {site} {site}/inside src"]


@pytest.mark.parametrize("link", ["missing", "../packages", "current"])
def test_a_broken_link_leaves_the_images_packages(link: str, analysis: Analysis) -> None:
    assert analysis.run("import plots; print(plots.version)", use=link) == ["1.0"]


def test_a_pth_file_of_an_added_package_takes_effect(analysis: Analysis) -> None:
    analysis.install("added", "linked", "1.0", **{"linked.pth": "elsewhere\nimport os; os.environ['SEEN'] = '1'\n"})
    (analysis.folder / "packages" / "added" / SITE / "elsewhere").mkdir()
    (analysis.folder / "packages" / "added" / SITE / "elsewhere" / "inside.py").touch()
    program = """
use("added")
import inside
print(os.environ["SEEN"], len(sys.path) - len(set(sys.path)))
use("")
try:
    import models
except ImportError as error:
    print(error, any("elsewhere" in path and os.path.exists(path) for path in sys.path))
"""
    assert analysis.run(program) == ["1 0", "No module named 'models' False"]


def test_parts_of_a_package_in_several_distributions_come_from_the_overlay(analysis: Analysis) -> None:
    namespace = "import sys, importlib.util, importlib.machinery; " + (
        "m = sys.modules.setdefault('shared', importlib.util.module_from_spec(importlib.machinery.PathFinder"
        ".find_spec('shared', [sys._getframe(1).f_locals['sitedir']])))\n"
    )
    analysis.install("", "one", "1.0", **{"shared/one/where.txt": "", "one-nspkg.pth": namespace})
    analysis.install("added", "one", "2.0", **{"shared/one/where.txt": "", "one-nspkg.pth": namespace})
    for overlay in ("", "packages/added"):
        part = analysis.folder / overlay / SITE / "shared" / "one" / "__init__.py"
        part.write_text(f"where = {overlay!r}", encoding="utf-8")
    program = "import shared.one; print(shared.one.where)"
    assert analysis.run(program, use="added") == ["packages/added"]
    assert analysis.run(f"import shared; use('added'); import models; {program}") == ["packages/added"]


def test_children_of_a_process_see_the_packages_of_the_lock(analysis: Analysis) -> None:
    program = """
import multiprocessing, subprocess
def version(name):
    return __import__(name).version
if __name__ == "__main__":
    context = multiprocessing.get_context("spawn")
    import concurrent.futures.process, multiprocessing.popen_spawn_posix, multiprocessing.resource_tracker
    use("added")
    with context.Pool(1) as pool:
        print(pool.apply(version, ["models"]), flush=True)
    subprocess.run([sys.executable, "-c", "import models; print(models.version)"])
"""
    assert analysis.run(program) == ["3.0", "3.0"]


def test_threads_import_while_the_packages_change(analysis: Analysis) -> None:
    for number in range(40):
        for overlay in ("", "added"):
            analysis.install(overlay, f"package{number}", "1.0")
    program = """
import threading
failed = []
def load(first):
    for number in range(first, 40, 4):
        if number == 20:
            use("added")
        try:
            __import__("package%d" % number)
        except BaseException as error:
            failed.append(error)
threads = [threading.Thread(target=load, args=[number]) for number in range(4)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
import models
print(failed, models.version)
"""
    assert analysis.run(program) == ["[] 3.0"]


OUTDATED = """
import _overlay, tables, plots
use("added")
print(_overlay.outdated())
use("")
print(_overlay.outdated())
"""


def test_packages_that_a_process_has_imported_in_another_version_are_named(analysis: Analysis) -> None:
    assert analysis.run(OUTDATED) == ["[('plots', '1.0', None), ('tables', '1.0', '2.0')]", "[]"]


def test_python_m_pip_runs_the_command_pip(tmp_path: Path) -> None:
    (tmp_path / "pip").write_text('#!/bin/sh\necho "pip:" "$@"\n', encoding="utf-8")
    (tmp_path / "pip").chmod(0o755)
    done = subprocess.run(
        [sys.executable, str(FILES / "etc" / "python" / "pip"), "install", "polars"],
        env={"PATH": f"{tmp_path}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "pip: install polars\n"


class Shell:
    """IPython's shell, as far as pip.py in its startup directory goes."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.site, self.old = "image", [("numpy", "2.3.5", "2.2.6"), ("seaborn", "0.13.2", None)]
        self.ran: list[str] = []
        self.magics: dict[str, Any] = {}
        self.callbacks: dict[str, Any] = {}
        overlay = SimpleNamespace(refresh=lambda: self.site, outdated=lambda: self.old)
        monkeypatch.setitem(sys.modules, "_overlay", overlay)
        self.events = SimpleNamespace(register=self.callbacks.__setitem__)
        self.names: dict[str, Any] = {"get_ipython": lambda: self}
        path = FILES / "etc" / "ipython" / "startup" / "pip.py"
        exec(compile(path.read_text(encoding="utf-8"), path, "exec"), self.names)

    def register_magic_function(self, function: Any, magic_name: str) -> None:
        self.magics[magic_name] = function

    def system(self, line: str) -> None:
        self.ran.append(line)


def test_pip_in_a_cell_runs_the_command_and_a_lower_bound_is_not_a_redirection(monkeypatch: pytest.MonkeyPatch) -> None:
    shell = Shell(monkeypatch)
    shell.magics["pip"]("install polars seaborn>=0.13,<1 'numpy<3'")
    shell.magics["uv"]("pip list 2>&1 | grep polars >found.txt")
    assert shell.ran == [
        "pip install polars 'seaborn>=0.13,<1' 'numpy<3'",
        "uv pip list 2>&1 | grep polars >found.txt",
    ]
    assert shell.names.keys() == {"get_ipython", "__builtins__"}


def test_a_cell_prints_once_that_the_kernel_must_restart(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shell = Shell(monkeypatch)
    shell.callbacks["pre_run_cell"](None)
    assert capsys.readouterr().out == ""
    shell.site = "overlay"
    shell.callbacks["post_run_cell"](None)
    shell.callbacks["pre_run_cell"](None)
    said = "Restart the kernel: it has imported numpy 2.3.5 (now 2.2.6), seaborn 0.13.2 (now removed).\n"
    assert capsys.readouterr().out == said
    shell.site, shell.old = "another", []
    shell.callbacks["pre_run_cell"](None)
    assert capsys.readouterr().out == ""
