"""The commands of the README and of the pages that it links to, verbatim and in order."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from conftest import committed
from pages import page
from terminal import at_terminal

from docker.conftest import PINNED, PRODUCTION, copied
from docker.project import NOTEBOOK, PASSWORD, Project, ask, blocks, eventually, logs_in, sh, shown, token_of

pytestmark = pytest.mark.docker

UP = "docker compose up --build"
RUN = "docker run --rm --publish 127.0.0.1:8888:8888"
SHELL = "docker compose exec"
FREEZE = "docker run --rm --entrypoint python IMAGE -m pip freeze"
NEWER = "2025.1"
CHOSEN = "four random words"


def commands(markdown: str) -> list[str]:
    return [line for block in blocks(markdown, "sh") for line in block.splitlines()]


def command(markdown: str, *words: str) -> str:
    """Return the one command with these words."""
    [found] = {line for line in commands(markdown) if all(word in line for word in words)}
    return found


@pytest.fixture(scope="module")
def reader(built: Project, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """Give a reader of the README a directory and an image name of their own."""
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
    """Run a command; those that would stay in the foreground run in the background."""
    typed = line.replace(UP, f"{UP} --detach").replace(FREEZE, "cat ../api/in-the-image.txt")
    typed = typed.replace(RUN, f"docker run --detach --name {project.name}-run --publish 127.0.0.1:{project.port}:8888")
    typed = typed.replace(SHELL, f"{SHELL} --no-TTY").replace(" churn", f" {project.image}")
    if typed.endswith(" password"):
        answers = [f"{CHOSEN}\n"] * 2
        code, said = at_terminal(
            *typed.split(), answers=answers, folder=project.folder, environment=project.environment
        )
        assert code == 0, said
        return said
    if typed.startswith(UP):
        # Build first, without compression.
        project.build()
    said = sh("bash", "-euo", "pipefail", "-c", typed, folder=project.folder, environment=project.environment).stdout
    if typed.startswith(UP):
        project.wait_until_answering()
    return said


def test_every_command_of_the_readme_works_in_order(reader: Project) -> None:
    # `audit` asks a public database; test_audit.py has a local one.
    lines = [line for line in commands(reader.read("README.md")) if not line.endswith(" audit")]
    assert len(lines) >= 5
    for line in lines:
        follow(reader, line)
        if line == UP:
            assert reader.api("/api/contents").status == 200
    reader.wait_until_answering()
    assert reader.password == CHOSEN
    assert logs_in(reader)


def test_a_password_file_written_by_windows_powershell_opens_the_server(reader: Project) -> None:
    (reader.folder / PASSWORD).write_text("words of Windows\r\n", encoding="utf-16")
    reader.compose("restart", "jupyter")
    reader.wait_until_answering()
    contents = f"{reader.url}/api/contents"
    assert ask(contents, token="words of Windows").status == 200
    assert ask(contents, token=CHOSEN).status == 403
    (reader.folder / PASSWORD).write_text(f"{CHOSEN}\n", encoding="utf-8")
    reader.compose("restart", "jupyter")


def test_a_newer_production_file_from_each_place_moves_only_its_packages(reader: Project) -> None:
    mounted, start, again, piped, check = commands(page("take-over.md"))
    [mount] = blocks(page("take-over.md"), "yaml")
    (reader.folder / "docker-compose.override.yml").write_text(mount, encoding="utf-8")
    before = reader.read("requirements.txt")
    dry = follow(reader, f"{mounted} --dry-run").splitlines()
    assert reader.read("requirements.txt") == before
    said = follow(reader, mounted).splitlines()
    # The first command also prints the build.
    assert dry[-len(said) : -1] == said[:-1]
    [moved] = [line for line in said if line.startswith(("Moved:", "New:", "Gone:"))]
    assert moved.startswith(f"Moved:      pytz {PINNED['pytz']} -> {NEWER}")
    assert said[-1] == "Next:       docker compose up --build"
    assert "# source: /api/requirements.txt\n" in reader.read("production.txt")
    changed = set(reader.read("requirements.txt").splitlines()) - set(before.splitlines())
    assert f"pytz=={NEWER} \\" in changed
    assert all(line.startswith(("# uv ", "# for linux/", "pytz==", "    --hash=")) for line in changed)
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
    follow(reader, command(reader.read("README.md"), "jupyter report"))
    report = shown(reader.read(NOTEBOOK.with_suffix(".html")))
    assert "Why do customers leave?" in report
    assert f"numpy=={PINNED['numpy']}" in report
    follow(reader, command(page("same-results.md"), "PYTHONHASHSEED=random"))


def test_adding_a_package_keeps_productions_versions(reader: Project) -> None:
    before = reader.read("requirements.txt")
    add = command(reader.read("README.md"), "jupyter add").replace("polars", "humanize")
    assert re.search(r"^New: +humanize \d", follow(reader, add), re.MULTILINE)
    after = reader.read("requirements.txt")
    assert {line for line in before.splitlines() if not line.startswith("# uv ")} <= set(after.splitlines())
    assert set(pins(after)) - set(pins(before)) == {"humanize"}
    assert {name: pins(after)[name.lower()] for name in PINNED} == PINNED
    assert after.splitlines()[:2] == before.splitlines()[:2]
    [printed] = reader.outputs("import humanize, pandas; print(humanize.intcomma(1234567), pandas.__version__)")
    assert printed == f"1,234,567 {PINNED['pandas']}"
    follow(reader, command(page("audit.md"), "--upgrade-package").replace("NAME", "humanize"))
    assert pins(reader.read("requirements.txt")) == pins(after)


def test_the_next_image_has_the_package_and_the_unused_volume_is_emptied(reader: Project) -> None:
    owner, mounted = reader.folder.stat(), (f"{reader.folder}:/project", f"{reader.name}_packages:/opt/packages")
    options = (f"--user={owner.st_uid}:{owner.st_gid}", *(f"--volume={each}" for each in mounted))
    other = sh("docker", "run", "--detach", *options, reader.image, "sleep", "1d").stdout.strip()
    in_other = ("docker", "exec", other, "python", "-c", "import humanize; print(humanize.__file__)")
    overlay = "/opt/analysis/packages/"
    held = sh("docker", "exec", other, "readlink", "/opt/analysis/packages").stdout.strip()
    try:
        eventually(lambda: sh(*in_other, check=False).stdout.startswith(overlay), "the package in the old image")
        follow(reader, UP)
        of_image = "import humanize, os; print(humanize.__file__, os.listdir('/opt/packages'))"
        said = reader.compose("exec", "--no-TTY", "jupyter", "python", "-c", of_image).stdout
        assert said.startswith("/opt/analysis/lib/") and Path(held).name in said
        # The packages remain although another image runs.
        assert sh(*in_other).stdout.startswith(overlay)
    finally:
        sh("docker", "rm", "--force", other)
    reader.compose("restart", "jupyter")
    reader.wait_until_answering()
    own, *content = reader.compose(
        *("exec", "--no-TTY", "jupyter", "sh", "-c", "readlink /opt/analysis/packages; find /opt/packages -mindepth 1")
    ).stdout.split()
    assert own != held and set(content) == {own, "/opt/packages/.lock"}


def pins(lock: str) -> dict[str, str]:
    return dict(re.findall(r"^([a-z0-9._-]+)(?:\[[^\]]*\])?==([^\s;]+)", lock, re.MULTILINE))


def test_a_new_clone_starts_after_the_command_in_its_error_beside_the_other_clone(
    reader: Project, tmp_path: Path
) -> None:
    author, clone = tmp_path / "author", tmp_path / "clone"
    sh("cp", "-r", str(reader.folder), str(author))
    committed(author)
    sh("git", "clone", "--quiet", str(author), str(clone))
    assert not {".env", ".secrets", "src/analysis.html"} & {path.name for path in clone.iterdir()}
    refused = sh(*UP.split(), folder=clone, check=False)
    assert refused.returncode and "COMPOSE_PROJECT_NAME is missing a value" in refused.stderr
    [setup] = re.findall(r"; in a new clone, run: (.*)$", refused.stderr, re.MULTILINE)
    assert f"`{setup}`" in (clone / "README.md").read_text(encoding="utf-8")

    with reader.up():
        sh(*setup.split(), folder=clone)
        [name] = re.findall("^COMPOSE_PROJECT_NAME=(.+)$", (clone / ".env").read_text(), re.MULTILINE)
        project = Project(clone, image=name, name=name)
        before = reader.inspect()["State"]["StartedAt"]
        try:
            # Compose takes the project name from .env.
            sh(*UP.split(), "--detach", folder=clone, environment={"PORT": str(project.port)})
            project.wait_until_answering()
            assert logs_in(project)
            assert sh("git", "status", "--porcelain", folder=clone).stdout == ""
        finally:
            project.remove()
        assert reader.inspect()["State"]["StartedAt"] == before
        assert reader.api("/api/contents").status == 200
