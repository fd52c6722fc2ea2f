"""Generation continues while it makes progress, and otherwise stops without leftovers."""

from __future__ import annotations

import contextlib
import io
import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from conftest import Pin, Write, answered
from offers import PYTHON, TEMPLATE
from package_index import PackageIndex

from ds_docker_env.common import progress
from ds_docker_env.pinning import watched

# The backend of a source whose dependencies are known only after a build; `work` comes first.
BACKEND = """\
import os, subprocess, sys, time
def prepare_metadata_for_build_wheel(folder, settings=None):
    {work}
    os.mkdir(os.path.join(folder, "slow-1.0.dist-info"))
    with open(os.path.join(folder, "slow-1.0.dist-info", "METADATA"), "w") as file:
        file.write("Metadata-Version: 2.1\\nName: slow\\nVersion: 1.0\\n")
    return "slow-1.0.dist-info"
def build_wheel(*arguments):
    raise SystemExit("not built by a test")
"""
COMPUTES = "end = time.time() + 0.9\n    while time.time() < end: pass"
# With a child, and with a process whose parent has ended.
HANGS = """\
sleep = f"import os, time; open({pids!r}, 'a').write(f'{{{{os.getpid()}}}}\\\\n'); time.sleep(600)"
    start = "import subprocess, sys; subprocess.Popen([sys.executable, '-c', sys.argv[1]])"
    subprocess.Popen([sys.executable, "-c", start, sleep])
    subprocess.Popen([sys.executable, "-c", sleep])
    exec(sleep)"""


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watched, "STALL", 0.6)


@pytest.fixture
def hanging(offline: PackageIndex, tmp_path: Path) -> Callable[[], list[int]]:
    """Offer a source whose build never ends, and return the processes of its build."""
    pids = tmp_path / "pids"
    offline.add_source("slow", "1.0", backend=BACKEND.format(work=HANGS.format(pids=str(pids))))

    def started() -> list[int]:
        return [int(line) for line in pids.read_text().split()] if pids.exists() else []

    return started


def alive(pids: list[int], seconds: float = 5) -> list[int]:
    """Return the processes that live on; a killed one needs a moment on a busy machine."""

    def lives(pid: int) -> bool:
        with contextlib.suppress(psutil.NoSuchProcess):
            return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
        return False

    deadline = time.monotonic() + seconds
    while (left := [pid for pid in pids if lives(pid)]) and time.monotonic() < deadline:
        time.sleep(0.1)
    return left


def test_an_index_that_is_slow_but_steady_may_take_longer_than_a_stall(
    pin: Pin, offline: PackageIndex, impatient: None
) -> None:
    # Each step depends on the previous one and needs two answers.
    for number in range(3):
        offline.add(f"chain-{number}", "1.0", requires=(f"chain-{number + 1}",))
    offline.add("chain-3", "1.0")
    offline.pause = 0.18
    started = time.monotonic()
    assert pin("chain-0==1.0\n").locked["chain-3"] == "1.0"
    assert time.monotonic() - started > 1.2


def test_a_source_that_compiles_silently_may_take_longer_than_a_stall(
    pin: Pin, offline: PackageIndex, impatient: None
) -> None:
    offline.add_source("slow", "1.0", backend=BACKEND.format(work=COMPUTES))
    assert pin("slow==1.0\n").locked["slow"] == "1.0"


@pytest.mark.parametrize(
    ("file", "message"),
    [
        (
            "slow",
            "resolving stalled for 0.6 s and was stopped (last request: http://127.0.0.1:",
        ),
        (
            "slow-1.0.tar.gz",
            "downloading slow 1.0 stalled for 0.6 s and was stopped (last request: http://127.0.0.1:",
        ),
    ],
)
def test_an_index_that_stops_during_an_answer_stops_generation(
    pin: Pin, offline: PackageIndex, impatient: None, monkeypatch: pytest.MonkeyPatch, file: str, message: str
) -> None:
    offline.add_source("slow", "1.0")
    offline.hanging = {file}
    monkeypatch.setenv("UV_DEFAULT_INDEX", offline.url.replace("://", "://ana:secret@"))
    refused = pin("slow==1.0\n")
    assert refused.exit_code == 1
    assert "secret" not in refused.stderr
    assert f"fix this first:\n  uv: {message}" in refused.stderr


def test_a_build_that_hangs_stops_with_all_its_processes(
    pin: Pin, impatient: None, monkeypatch: pytest.MonkeyPatch, hanging: Callable[[], list[int]]
) -> None:
    # As idle as uv while it waits.
    work, ticks = watched._work, itertools.count(step=0.00001)
    monkeypatch.setattr(watched, "_work", lambda process: work(process) + next(ticks))
    refused = pin("slow==1.0\n")
    assert refused.exit_code == 1
    assert "fix this first:\n  slow==1.0: its build from source stalled for 0.6 s and was stopped; " in refused.stderr
    assert len(hanging()) == 3
    assert alive(hanging()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no process groups and no pseudo-terminals")
@pytest.mark.parametrize("name", ["SIGINT", "SIGKILL"])
def test_a_terminal_shows_the_build_on_one_line_and_a_signal_ends_all_processes(
    tmp_path: Path, write: Write, hanging: Callable[[], list[int]], name: str
) -> None:
    import pty

    answers = answered(project_slug="p", python_version=PYTHON, production_requirements=write("slow==1.0\n"))
    controller, terminal = pty.openpty()  # type: ignore[attr-defined, unused-ignore]
    process = subprocess.Popen(
        [sys.executable, "-m", "cookiecutter", str(TEMPLATE), "--no-input", *answers],
        cwd=tmp_path,
        env={**os.environ, "HOME": str(tmp_path), "TERM": "xterm", "COLUMNS": "120"},
        stdout=subprocess.DEVNULL,
        stderr=terminal,
        start_new_session=True,
    )
    os.close(terminal)
    said = b""
    while b"building slow 1.0 from source" not in said or len(hanging()) < 3:
        said += os.read(controller, 65536)
    assert b"\n" not in said
    if name == "SIGKILL":
        psutil.Process(process.pid).children()[0].kill()
    else:
        os.killpg(process.pid, getattr(signal, name))  # type: ignore[attr-defined, unused-ignore]
    started = time.monotonic()
    with contextlib.suppress(OSError):
        while new := os.read(controller, 65536):
            said += new
    assert process.wait()
    while alive(hanging()):
        assert time.monotonic() - started < 60
        time.sleep(0.02)
    if name != "SIGKILL":
        assert b"ds-docker-env: stopped; nothing was generated" in said
        assert b"Traceback" not in said
    assert not (tmp_path / "p").exists()


def test_a_log_gets_a_line_for_each_step_that_lasts_and_not_hundreds(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "LASTING", 0.05)
    with progress.alive("Locking") as say:
        for number in range(500):
            say(f"downloading package {number}")
        for step in ("building slow 1.0 from source", "", "building slow 1.0 from source", "resolving"):
            until = time.monotonic() + 0.1
            while time.monotonic() < until:
                say(step)
    lines = capsys.readouterr().err.splitlines()
    assert lines == ["Locking", "Locking: building slow 1.0 from source", "Locking: resolving"]


def test_a_build_that_lasts_is_shown_with_its_minutes(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    log = watched._Log(io.BytesIO(b"DEBUG Preparing metadata for: slow==1.0\n"), "resolving")
    assert log.grew()
    assert log.step == "building slow 1.0 from source"
    now += 725
    assert log.step == "building slow 1.0 from source, 12 min"
