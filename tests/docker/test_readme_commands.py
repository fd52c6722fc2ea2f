"""The commands of the README and of the pages that it links to, word for word, one after another."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from conftest import committed
from pages import page

from docker.conftest import PINNED, PRODUCTION, copied
from docker.project import NOTEBOOK, PASSWORD, Project, ask, blocks, eventually, logs_in, sh, shown, token_of

pytestmark = pytest.mark.docker

UP = "docker compose up --build"
RUN = "docker run --rm --publish 127.0.0.1:8888:8888"
SHELL = "docker compose exec"
FREEZE = "docker run --rm --entrypoint python IMAGE -m pip freeze"
NEWER = "2025.1"


def commands(markdown: str) -> list[str]:
    return [line for block in blocks(markdown, "sh") for line in block.splitlines()]


def command(markdown: str, *words: str) -> str:
    """Return the one command that has these words."""
    [found] = {line for line in commands(markdown) if all(word in line for word in words)}
    return found


@pytest.fixture(scope="module")
def reader(built: Project, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """Give a person who follows the README a folder, and an image name that is not the other tests'."""
    project = copied(built, tmp_path_factory.mktemp("reader"))
    slug = f"{built.image}-reader"
    for name in ("README.md", "docker-compose.yml"):
        (project.folder / name).write_text(project.read(name).replace(built.image, slug), encoding="utf-8")
    api = project.folder.parent / "api"
    api.mkdir()
    (api / "requirements.txt").write_text(PRODUCTION.replace(f"pytz=={PINNED['pytz']}", f"pytz=={NEWER}"))
    (api / "in-the-image.txt").write_text(PRODUCTION)
    reader = Project(project.folder, image=slug, name=slug)
    yield reader
    reader.remove()
    sh("docker", "image", "rm", "--force", slug, check=False)


def follow(project: Project, line: str) -> str:
    """Type a command, but let what would stay in the foreground go on behind."""
    typed = line.replace(UP, f"{UP} --detach").replace(FREEZE, "cat ../api/in-the-image.txt")
    typed = typed.replace(RUN, f"docker run --detach --name {project.name}-run --publish 127.0.0.1:{project.port}:8888")
    typed = typed.replace(SHELL, f"{SHELL} --no-TTY").replace(" churn", f" {project.image}")
    said = sh("bash", "-euo", "pipefail", "-c", typed, folder=project.folder, environment=project.environment).stdout
    if typed.startswith(UP):
        project.wait_until_answering()
    return said


def test_every_command_of_the_readme_works_in_its_order(reader: Project) -> None:
    # This asks a public database; test_audit.py gives it one of its own.
    lines = [line for line in commands(reader.read("README.md")) if not line.endswith(" audit")]
    assert len(lines) >= 9
    for line in lines:
        follow(reader, line)
        if line == UP:
            assert reader.api("/api/contents").status == 200
        elif "jupyter_password" in line:
            assert f"'{reader.password}'" in line
            reader.compose("down")


def test_a_newer_production_file_is_taken_over_from_each_place(reader: Project) -> None:
    mounted, start, again, piped, check = commands(page("take-over.md"))
    follow(reader, mounted)
    assert f"pytz=={NEWER}" in reader.read("requirements.txt")
    follow(reader, start)
    assert reader.outputs("from importlib.metadata import version; version('pytz')") == [f"'{NEWER}'"]
    follow(reader, check)

    (reader.folder / "here.txt").write_text(PRODUCTION, encoding="utf-8")
    follow(reader, f"{again} here.txt")
    assert f"pytz=={PINNED['pytz']}" in reader.read("requirements.txt")
    (reader.folder / "here.txt").write_text(f"pytz=={NEWER}\n", encoding="utf-8")
    follow(reader, again)
    assert f"pytz=={NEWER}" in reader.read("requirements.txt")
    follow(reader, piped)
    assert pins(reader.read("requirements.txt")).items() >= {name.lower(): PINNED[name] for name in PINNED}.items()


def test_a_shell_opens_in_the_running_container_and_jupyter_starts_without_compose(reader: Project) -> None:
    shell, _, build, run = commands(page("editors-and-engines.md"))
    follow(reader, shell)
    reader.compose("down")
    follow(reader, build)
    name = f"{reader.name}-run"
    try:
        follow(reader, run)
        token = eventually(partial(token_of, name), "a token in the log")
        contents = f"{reader.url}/api/contents"
        assert eventually(lambda: ask(contents).status, "an answer") == 403
        assert ask(contents, token=token).status == 200
    finally:
        sh("docker", "rm", "--force", name)


def test_a_report_is_made_without_a_browser(reader: Project) -> None:
    follow(reader, command(reader.read("README.md"), "--execute"))
    report = shown(reader.read(NOTEBOOK.with_suffix(".html")))
    assert "Why do customers leave?" in report
    assert f"numpy=={PINNED['numpy']}" in report
    follow(reader, command(page("same-results.md"), "PYTHONHASHSEED=random"))


def test_a_failing_cell_is_an_error_of_the_report(reader: Project) -> None:
    name = reader.write_notebook("1 / 0", name="src/failing.ipynb")
    line = command(reader.read("README.md"), "--execute").replace(NOTEBOOK.as_posix(), name)
    tried = sh(*shlex.split(line), folder=reader.folder, environment=reader.environment, check=False)
    assert tried.returncode != 0
    assert "ZeroDivisionError" in tried.stdout + tried.stderr


def test_a_package_is_added_and_production_stays_as_it_is(reader: Project) -> None:
    before = reader.read("requirements.txt")
    with (reader.folder / "requirements.in").open("a", encoding="utf-8") as file:
        file.write("humanize\n")
    follow(reader, command(reader.read("README.md"), "jupyter lock"))
    after = reader.read("requirements.txt")
    assert {line for line in before.splitlines() if not line.startswith("# uv ")} <= set(after.splitlines())
    assert set(pins(after)) - set(pins(before)) == {"humanize"}
    assert {name: pins(after)[name.lower()] for name in PINNED} == PINNED
    assert after.splitlines()[:2] == before.splitlines()[:2]
    follow(reader, UP)
    [printed] = reader.outputs("import humanize, pandas; print(humanize.intcomma(1234567), pandas.__version__)")
    assert printed == f"1,234,567 {PINNED['pandas']}"
    follow(reader, command(page("audit.md"), "--upgrade-package").replace("NAME", "humanize"))
    assert pins(reader.read("requirements.txt")) == pins(after)


def pins(lock: str) -> dict[str, str]:
    return dict(re.findall(r"^([a-z0-9._-]+)(?:\[[^\]]*\])?==([^\s;]+)", lock, re.MULTILINE))


def test_a_fresh_clone_starts_with_a_password_of_ones_choice(reader: Project, tmp_path: Path) -> None:
    author, clone = tmp_path / "author", tmp_path / "clone"
    sh("cp", "-r", str(reader.folder), str(author))
    committed(author)
    sh("git", "clone", "--quiet", str(author), str(clone))
    assert not (clone / PASSWORD).exists()
    assert not (clone / "src" / "analysis.html").exists()

    project = Project(clone, image=reader.image, name=f"{reader.name}-clone")
    try:
        for line in commands(project.read("README.md")):
            if ".secrets" in line:
                follow(project, line)
        follow(project, UP)
        assert logs_in(project)
        assert sh("git", "status", "--porcelain", folder=clone).stdout == ""
    finally:
        project.remove()
