"""A kernel that memory ended says so in the log of the server, or of the run."""

from __future__ import annotations

import logging
import signal
import sys
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import pytest
from conftest import run_alone
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.multikernelmanager import AsyncMultiKernelManager
from jupyter_client.provisioning.factory import KernelProvisionerFactory
from offers import TEMPLATE

from ds_docker_env.common.errors import GenerationError, ProjectError

kernels = pytest.importorskip("ds_docker_env.image.kernels")

STARTUP = TEMPLATE / "ds_docker_env" / "image" / "files" / "etc" / "ipython" / "startup" / "memory.py"
KILLED = -9
HOW = "set MEMORY=16g in .env"


class Process(SimpleNamespace):
    """A process of which only its end is known."""

    code: int | None = None

    def poll(self) -> int | None:
        return self.code


@pytest.fixture
def counter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "memory.events"
    path.write_text("oom 2\noom_kill 2\noom_group_kill 0\n", encoding="ascii")
    monkeypatch.setattr(kernels, "_COUNTERS", (path,))
    monkeypatch.setattr(kernels.Provisioner, "_seen", 2)
    return path


def polled(process: Process, times: int = 2) -> list[int | None]:
    provisioner: Any = kernels.Provisioner()
    provisioner.process = process
    return [run_alone(provisioner.poll()) for _ in range(times)]


def test_a_kill_because_of_full_memory_is_logged_once_with_the_fix(
    counter: Path, caplog: pytest.LogCaptureFixture
) -> None:
    counter.write_text("oom 3\noom_kill 3\noom_group_kill 0\n", encoding="ascii")
    with caplog.at_level(logging.WARNING):
        assert polled(Process(code=KILLED)) == [KILLED, KILLED]
    [said] = caplog.messages
    assert said.startswith("memory: full") and HOW in said


def test_a_library_that_aborts_because_of_full_memory_is_logged_too(
    counter: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        assert polled(Process(code=-signal.SIGABRT)) == [-6, -6]
    [said] = caplog.messages
    assert "perhaps because memory was full" in said and HOW in said


def test_a_kernel_that_runs_or_ends_for_another_reason_is_not_logged(
    counter: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for code in (None, 0, 1, KILLED, -signal.SIGTERM):
        polled(Process(code=code))
    assert caplog.messages == []


def faked(follow: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let these kernels start after another installation of their packages."""
    monkeypatch.setitem(sys.modules, "ds_docker_env.image.overlay", SimpleNamespace(follow=follow))

    def create(_: object, kernel_id: str, spec: KernelSpec, parent: Any) -> Any:
        return kernels.Provisioner(kernel_id=kernel_id, kernel_spec=spec, parent=parent)

    monkeypatch.setattr(KernelProvisionerFactory, "create_provisioner_instance", create)


def test_a_kernel_waits_for_the_packages_of_the_lock_while_the_server_goes_on(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    threads: list[threading.Thread] = []

    def follow(say: Any) -> None:
        say("installing polars")
        threads.append(threading.current_thread())

    faked(follow, monkeypatch)
    spec = KernelSpec(argv=["python", "-m", "ipykernel_launcher"])
    with caplog.at_level(logging.INFO):
        options = run_alone(kernels.Provisioner(kernel_spec=spec).pre_launch(env={}))
    assert options["cmd"] == spec.argv
    assert threads != [threading.main_thread()]
    assert "installing polars" in caplog.messages


@pytest.mark.skipif(sys.platform != "linux", reason="it runs in the image, on Linux")
def test_a_kernel_does_not_start_without_the_packages_of_the_lock(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def follow(say: Any) -> None:
        raise ProjectError("requirements.txt: polars cannot be installed; run docker compose up --build")

    async def start() -> None:
        await AsyncMultiKernelManager(connection_dir=str(tmp_path)).start_kernel()

    faked(follow, monkeypatch)
    with pytest.raises(GenerationError) as failed:
        run_alone(start())
    # JupyterLab shows this text.
    assert str(failed.value) == "requirements.txt: polars cannot be installed; run docker compose up --build"


@pytest.mark.skipif(sys.platform != "linux", reason="it runs in the image, on Linux")
def test_a_cell_that_needs_too_much_memory_says_how_to_get_more(capsys: pytest.CaptureFixture[str]) -> None:
    handlers: dict[type, Any] = {}
    shown: list[Any] = []

    def set_custom_exc(kinds: tuple[type], handler: Any) -> None:
        handlers.update(dict.fromkeys(kinds, handler))

    shell = SimpleNamespace(set_custom_exc=set_custom_exc, showtraceback=lambda *error, **_: shown.append(error))
    names = {"get_ipython": lambda: shell, "open": lambda *_: SimpleNamespace(write=len)}
    exec(compile(STARTUP.read_text(encoding="utf-8"), STARTUP, "exec"), names)
    handlers[MemoryError](shell, MemoryError, MemoryError(), None)
    assert len(shown) == 1
    assert capsys.readouterr().err.startswith("memory: ") and "explain" not in names


def test_a_kernel_that_is_shut_down_does_not_log_the_interruption(caplog: pytest.LogCaptureFixture) -> None:
    path = STARTUP.parents[1] / "ipython_kernel_config.py"
    log = logging.getLogger("IPKernelApp")
    before = [*log.filters]
    try:
        exec(compile(path.read_text(encoding="utf-8"), path, "exec"), {"c": MagicMock()})
        log.error("KeyboardInterrupt caught in kernel.")
        log.error("Exception in message handler:")
    finally:
        log.filters[:] = before
    assert caplog.messages == ["Exception in message handler:"]
