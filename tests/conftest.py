from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from offers import CONTEXT, DEBIAN, PYTHON, QUESTIONS, TEMPLATE
from package_index import PACKAGES, PackageIndex

from ds_docker_env.common.analysis import Analysis
from ds_docker_env.common.errors import GenerationError
from ds_docker_env.common.signals import STOPPING
from ds_docker_env.common.target import Target
from ds_docker_env.pinning import pinned as pinning
from ds_docker_env.pinning.production.model import Production
from ds_docker_env.pinning.production.reader import read_production

__all__ = ["CONTEXT", "QUESTIONS", "TEMPLATE"]
pytest_plugins = ["small_image"]

# Without bytecode, every process would compile the same libraries again.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# Background jobs of a shell ignore these signals, and so do their children.
for number in STOPPING:
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, signal.default_int_handler)

# The same few examples each time; `--hypothesis-profile=thorough` looks for new ones.
settings.register_profile("few", max_examples=15, derandomize=True, database=None, deadline=10_000)
settings.register_profile("thorough", max_examples=2_000, deadline=10_000, suppress_health_check=list(HealthCheck))
settings.load_profile("few")

# One Python on the PATH: uv would start each of pyenv's Pythons to find the version of a lock.
AS_IN_THE_IMAGE = {"PATH": str(Path(sys.executable).parent), "UV_PYTHON_DOWNLOADS": "never"}
# With a digest, generation does not ask a registry.
BASE_IMAGE = f"python:{{{{ cookiecutter.python_version }}}}-{{{{ cookiecutter.debian_release }}}}@sha256:{'0' * 64}"
# The markers of tests that take minutes, the longest first.
LONG = ("forks", "docker")


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Run two files at a time beside an engine; fast tests wait a lot, so they get one more."""
    return (os.cpu_count() or 1) + 1 if "not docker" in config.option.markexpr else 2


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with files that take minutes; short ones fill the remaining time."""

    def place(item: pytest.Item) -> int:
        return min((LONG.index(mark.name) for mark in item.iter_markers() if mark.name in LONG), default=len(LONG))

    items.sort(key=place)


@dataclass(frozen=True)
class Generated:
    """The project and the output of a run of cookiecutter."""

    exit_code: int
    project: Path
    stdout: str
    stderr: str

    def read(self, name: str) -> str:
        return (self.project / name).read_text(encoding="utf-8")

    @property
    def locked(self) -> dict[str, str]:
        """Return the versions in the lock; fail with the message if there is none."""
        assert self.exit_code == 0, self.stderr
        return dict(re.findall(r"^([a-z0-9-]+)==(\S+)", self.read("requirements.txt"), re.MULTILINE))

    def lock_again(self) -> None:
        """Run the command in the header of the lock, as the image does."""
        command = self.read("requirements.txt").splitlines()[1].removeprefix("#").split()
        subprocess.run([*command, "--quiet"], cwd=self.project, env={**os.environ, **AS_IN_THE_IMAGE}, check=True)


# A fork may have other defaults.
ANSWERS = {
    "project_name": "Data Science Analysis",
    "project_slug": "{{ cookiecutter.project_name | slugify(separator='_') }}",
    "question": "",
    "data": "",
    "ticket_url": "",
    "production_requirements": "",
    "python_version": PYTHON,
    "debian_release": DEBIAN,
    "dvc_s3_url": "",
    "services": "",
    "ci": "none",
    "_base_image": BASE_IMAGE,
    "_language": "en",
    "_package_index": "",
    "_template_url": CONTEXT["_template_url"],
}


def answered(**answers: str) -> list[str]:
    """Return answers as arguments of the command line."""
    return [f"{name}={value}" for name, value in (ANSWERS | answers).items()]


T = TypeVar("T")
Pin = Callable[..., Generated]
Write = Callable[..., str]
Read = Callable[[bytes], Production]


@pytest.fixture(autouse=True)
def own_surroundings() -> Iterator[None]:
    """Restore the variables and the working directory, which commands of the image change."""
    folder, variables = Path.cwd(), dict(os.environ)
    yield
    os.chdir(folder)
    if variables != dict(os.environ):
        os.environ.clear()
        os.environ.update(variables)


@pytest.fixture
def bake(cookies: Any, capfd: pytest.CaptureFixture[str], tmp_path: Path) -> Callable[..., Generated]:
    """Generate with these answers through pytest-cookies; an unknown question fails the test."""

    def _bake(**answers: str) -> Generated:
        assert set(answers) <= {*QUESTIONS, *ANSWERS}, f"no such question: {set(answers) - {*QUESTIONS}}"
        before = set(tmp_path.glob("cookies/*/*"))
        result = cookies.bake(extra_context=ANSWERS | answers)
        said = capfd.readouterr()
        new = sorted(set(tmp_path.glob("cookies/*/*")) - before)
        project = new[0] if new else tmp_path / "nothing-generated"
        return Generated(result.exit_code, project, said.out, said.err)

    return _bake


def run_in_home(
    home: Path, *command: str, folder: Path, typed: str = "", environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command, a module of this Python, with this home."""
    return subprocess.run(
        [sys.executable, "-m", *command],
        input=typed,
        cwd=folder,
        env={
            **os.environ,
            "HOME": str(home),
            "USERPROFILE": str(home),
            "PYTHONIOENCODING": "utf-8",
            **(environment or {}),
        },
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=120,
    )


def generate(
    tmp_path: Path,
    *arguments: str,
    typed: str | None = None,
    folder: Path | None = None,
    environment: dict[str, str] | None = None,
    **answers: str,
) -> Generated:
    """Run the real ``cookiecutter`` command in an empty home, from any folder, with any environment."""
    assert set(answers) <= {*QUESTIONS, *ANSWERS}, f"no such question: {set(answers) - {*QUESTIONS}}"
    home, output = tmp_path / "home", tmp_path / "output"
    home.mkdir(exist_ok=True)
    output.mkdir(exist_ok=True)
    before = set(output.iterdir())
    done = run_in_home(
        home,
        *("cookiecutter", str(TEMPLATE), "--output-dir", str(output)),
        *([] if typed is not None else ["--no-input"]),
        *arguments,
        *answered(**answers),
        typed=typed or "",
        folder=folder or tmp_path,
        environment=environment,
    )
    new = [path for path in output.iterdir() if path not in before]
    project = new[0] if new else output / "nothing-generated"
    return Generated(done.returncode, project, done.stdout, done.stderr)


@pytest.fixture
def cookiecutter(tmp_path: Path) -> Callable[..., Generated]:
    """Run `generate` in the folder of this test."""
    return partial(generate, tmp_path)


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Generated:
    """Generate the default project once, for tests that generate it again."""
    return generate(tmp_path_factory.mktemp("made"))


@pytest.fixture
def existing(made: Generated, tmp_path: Path) -> Path:
    """Return a copy of the default project, where `cookiecutter` would generate it again."""
    assert made.exit_code == 0, made.stderr
    return Path(shutil.copytree(made.project, tmp_path / "output" / made.project.name))


@pytest.fixture
def read(tmp_path: Path) -> Callable[[bytes], Production]:
    """Read this content as production's file, for Python 3.11."""

    def _read(content: bytes) -> Production:
        path = tmp_path / "requirements.txt"
        path.write_bytes(content)
        return read_production(str(path), Target("3.11"))

    return _read


@contextmanager
def only_index(folder: Path, patch: pytest.MonkeyPatch) -> Iterator[PackageIndex]:
    """Let uv see only the analysis packages, as tiny wheels on 127.0.0.1, and packages that tests add."""
    with PackageIndex(folder / "index") as index:
        index.add_analysis_packages()
        patch.setenv("UV_DEFAULT_INDEX", index.url)
        for name in ("XDG_CONFIG_HOME", "XDG_CONFIG_DIRS", "APPDATA", "PROGRAMDATA"):
            patch.setenv(name, str(folder / "no-config"))
        yield index


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[PackageIndex]:
    """Let uv see `only_index` in this test."""
    with only_index(tmp_path, monkeypatch) as index:
        yield index


def copy_template(folder: Path) -> None:
    """Copy the template as its users have it: without tests, history and files of tools."""
    names = shutil.ignore_patterns(".*", "tests", "docs", "benchmarks", "screenshots", "uv.lock")
    compiled = shutil.ignore_patterns("__pycache__")

    def ignored(path: str, found: list[str]) -> set[str]:
        if path != str(TEMPLATE):
            return compiled(path, found)
        # The README's first command generates a project, with its own repository, in a clone.
        projects = {name for name in found if (TEMPLATE / name / ".git").exists()}
        return {*compiled(path, found), *(names(path, found) - {".gitattributes"}), *projects}

    shutil.copytree(TEMPLATE, folder, ignore=ignored)


def run_alone(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine in a thread, because the browser of other tests has a running loop in this one."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()


def git(*arguments: str, folder: Path, when: str = "") -> str:
    """Run git without the settings of this machine or of a hook that runs the tests, now or at another time."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    clean |= {"GIT_COMMITTER_DATE": when} if when else {}
    done = subprocess.run(["git", *arguments], cwd=folder, env=clean, capture_output=True, text=True, check=True)
    return done.stdout


def committed(folder: Path, when: str = "") -> None:
    """Commit a folder as its own repository, now or at another time."""
    git("init", "--quiet", "--initial-branch=main", folder=folder)
    git("add", "--all", folder=folder)
    author = ("-c", "user.name=Ada", "-c", "user.email=ada@example.com")
    git(*author, "commit", "--quiet", "-m", "Change", folder=folder, when=when)


def write_files(folder: Path, files: dict[str, str]) -> None:
    """Write texts under their names in a folder."""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a production file, with others beside it, and return its path."""

    def _write(content: str, beside: dict[str, str] | None = None) -> str:
        write_files(tmp_path / "production", {**(beside or {}), "requirements.txt": content})
        return str(tmp_path / "production" / "requirements.txt")

    return _write


@pytest.fixture
def pin(offline: PackageIndex, write: Write, tmp_path: Path) -> Pin:
    """Only pin, in this process, for a production file with this content or at this location."""

    def _pin(
        content: str,
        beside: dict[str, str] | None = None,
        location: str = "",
        python: str = "3.11",
        debian: str = "bookworm",
    ) -> Generated:
        analysis = Analysis(
            PACKAGES, lock="".join(f"{line.partition('>')[0]}==9999.1\n" for line in PACKAGES.splitlines()[1:])
        )
        try:
            pinned = pinning.pin(location or write(content, beside), Target(python, debian=debian), analysis)
        except GenerationError as error:
            return Generated(1, tmp_path / "nothing-generated", "", error.report())
        project = tmp_path / "project"
        project.mkdir()
        for name, text in pinned.files.items():
            if text:
                (project / name).write_text(text)
        return Generated(0, project, "\n".join(pinned.summary), "")

    return _pin
