"""A server that is asked for too much: memory, disk, visitors, passwords."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from docker.conftest import copied
from docker.kernel import started_kernel
from docker.project import Project, ask

pytestmark = pytest.mark.docker

FILL_MEMORY = """\
full = bytearray(4_000_000_000)
for page in range(0, len(full), 4096):
    full[page] = 1"""
FILL_MEMORY_IN_A_CHILD = f"""\
import subprocess, sys
print(subprocess.run([sys.executable, "-c", {FILL_MEMORY!r}]).returncode)"""
FILL_TMP = """\
with open("/tmp/full", "wb") as full:
    while True:
        full.write(bytes(1_000_000))"""


@pytest.fixture(scope="module")
def small(built: Project, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """Start with little memory and a smaller /tmp in it."""
    project = copied(built, tmp_path_factory.mktemp("small"))
    (project.folder / ".env").write_text("MEMORY=700m\n", encoding="utf-8")
    compose = project.folder / "docker-compose.yml"
    compose.write_text(project.read("docker-compose.yml").replace("size=1g", "size=50m"), encoding="utf-8")
    with project.up():
        yield project


def started(project: Project) -> str:
    return str(project.inspect()["State"]["StartedAt"])


def test_a_cell_that_fills_the_memory_ends_its_kernel_and_not_the_server(small: Project) -> None:
    before = started(small)
    with started_kernel(small) as kernel, started_kernel(small) as bystander:
        assert bystander.run("kept = 42") == ""
        assert kernel.run(FILL_MEMORY) == "restarting"
        assert small.api("/api/contents").status == 200
        assert bystander.run("print(kept)") == "42"
    with started_kernel(small) as another:
        assert another.run("print('works')") == "works"
    assert started(small) == before


def test_a_program_that_a_cell_started_ends_before_the_kernel_does(small: Project) -> None:
    with started_kernel(small) as kernel:
        assert kernel.run(FILL_MEMORY_IN_A_CHILD) == "-9"
        assert kernel.run("print('works')") == "works"


def test_with_a_full_tmp_work_can_be_saved(small: Project) -> None:
    with started_kernel(small) as kernel:
        assert kernel.run(FILL_TMP) == "OSError: [Errno 28] No space left on device"
        small.write_notebook("1 + 1", name="src/saved.ipynb")
        notebook = small.api("/api/contents/src/saved.ipynb").json["content"]
        body = {"type": "notebook", "format": "json", "content": notebook}
        assert small.api("/api/contents/src/saved.ipynb", method="PUT", body=body).status == 200
        with started_kernel(small) as another:
            assert another.run("import os; os.remove('/tmp/full'); print('works')") == "works"


def test_a_thousand_wrong_passwords_are_refused_while_the_right_one_works(running: Project) -> None:
    contents = f"{running.url}/api/contents"
    before = time.monotonic()
    with ThreadPoolExecutor(8) as visitors:
        refused = visitors.map(lambda number: ask(contents, token=f"wrong-{number}").status, range(1000))
        assert ask(contents, token=running.password).status == 200
        assert Counter(refused) == {403: 1000}
    print(f"{1000 / (time.monotonic() - before):.0f} wrong passwords a second")  # shown by pytest -rP
    assert ask(contents, token=running.password).status == 200
    assert not re.search("wrong-[0-9]", running.log())
