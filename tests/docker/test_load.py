"""A server under load: memory, disk, visitors, passwords."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from docker.conftest import copied
from docker.kernel import started_kernel
from docker.project import Answer, Project, ask

pytestmark = pytest.mark.docker

TOO_LARGE = "bytearray(4_000_000_000)"
# Shared memory, which is not part of a process's limit.
FILL_MEMORY = """\
import mmap
full = mmap.mmap(-1, 4_000_000_000)
for page in range(0, len(full), 4096):
    full[page] = 1"""
FILL_MEMORY_IN_A_CHILD = f"""\
import subprocess, sys
print(subprocess.run([sys.executable, "-c", {FILL_MEMORY!r}]).returncode)"""
COUNT_PROCESSORS = """\
import multiprocessing, os, subprocess, sys
child = subprocess.run([sys.executable, "-c", "import os; print(os.cpu_count())"], capture_output=True, text=True)
print(os.cpu_count(), multiprocessing.cpu_count(), child.stdout.strip())"""
SMALL_DISK = 'services: {jupyter: {tmpfs: ["/project/src/disk:size=8m,mode=1777"]}}\n'


@pytest.fixture(scope="module")
def small(built: Project, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """Start with little memory, one processor, and a small disk."""
    project = copied(built, tmp_path_factory.mktemp("small"))
    (project.folder / ".env").write_text("MEMORY=700m\nCPUS=1\n", encoding="utf-8")
    (project.folder / "docker-compose.override.yml").write_text(SMALL_DISK, encoding="utf-8")
    with project.up():
        yield project


def started(project: Project) -> str:
    return str(project.inspect()["State"]["StartedAt"])


def test_a_cell_that_exceeds_the_memory_limit_gets_an_error_with_the_setting(small: Project) -> None:
    with started_kernel(small) as kernel:
        said = kernel.run(TOO_LARGE)
        assert "MemoryError" in said and "set MEMORY=16g in .env" in said
        assert kernel.run("print('works')") == "works"


def test_python_and_its_subprocesses_count_the_containers_processors(small: Project) -> None:
    with started_kernel(small) as kernel:
        assert kernel.run(COUNT_PROCESSORS) == "1 1 1"


def test_a_cell_that_fills_the_memory_ends_only_its_kernel(small: Project) -> None:
    before = started(small)
    with started_kernel(small) as kernel, started_kernel(small) as bystander:
        assert bystander.run("kept = 42") == ""
        assert kernel.run(FILL_MEMORY) == "restarting"
        assert small.api("/api/contents").status == 200
        assert bystander.run("print(kept)") == "42"
    with started_kernel(small) as another:
        assert another.run("print('works')") == "works"
    assert started(small) == before
    assert "memory: full" in small.log()


def test_a_program_that_a_cell_started_ends_before_the_kernel_does(small: Project) -> None:
    with started_kernel(small) as kernel:
        assert kernel.run(FILL_MEMORY_IN_A_CHILD) == "-9"
        assert kernel.run("print('works')") == "works"


def test_a_full_disk_keeps_the_old_notebook_and_the_browser_shows_the_reason(small: Project) -> None:
    path = "/api/contents/src/disk/saved.ipynb"

    def saved(text: str) -> Answer:
        cell = {"cell_type": "markdown", "id": "a", "metadata": {}, "source": text * 3_000_000}
        content = {"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
        return small.api(path, method="PUT", body={"type": "notebook", "format": "json", "content": content})

    assert saved("a").status == 201
    refused = saved("b")
    assert (refused.status, "No space left on device" in refused.text) == (500, True)
    assert small.api(path).json["content"]["cells"][0]["source"] == "a" * 3_000_000


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
