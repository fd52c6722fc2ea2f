"""uv without a time limit, but stopped if it makes no progress."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import BinaryIO
from urllib.parse import unquote, urlsplit

import psutil
from packaging.utils import parse_sdist_filename, parse_wheel_filename

from ds_docker_env.common import uv
from ds_docker_env.common.errors import StallError
from ds_docker_env.common.progress import Say, silent
from ds_docker_env.common.redaction import excerpt, redacted

# Seconds without a request, a step of a build or processor time. uv itself waits 30 s for an answer of an index.
STALL = 120
# Processor time in a second that counts as idle: uv uses 0.0002 s while it waits for a build.
_IDLE = 0.001
# uv's own names for the seconds that it waits for an index, https://docs.astral.sh/uv/reference/environment/
_HTTP_TIMEOUTS = ("UV_HTTP_TIMEOUT", "UV_REQUEST_TIMEOUT", "HTTP_TIMEOUT")
# Log messages of uv for each request and each build, https://docs.astral.sh/uv/reference/environment/#rust_log
_LOG = {"RUST_LOG": "off,uv_distribution=debug,uv_client::cached_client=debug"}
_LOGGED = re.compile(r"^(?:DEBUG|INFO|WARN) .*\n?", re.MULTILINE)
_BEGUN = re.compile(r"DEBUG (?:Preparing metadata for|Building): (\S+)")
_ENDED = re.compile(r"DEBUG (?:Prepared metadata for:|Built) `?([^\s`]+)")
_ASKED = re.compile(r"DEBUG Sending fresh GET request for: (\S+)")
_DOWNLOADING = re.compile(r"DEBUG Downloading source distribution: (\S+)")


def run(
    *arguments: str,
    folder: Path,
    say: Say = silent,
    step: str = "",
    environment: Mapping[str, str] = MappingProxyType({}),
) -> subprocess.CompletedProcess[str]:
    """Run uv in a directory and return its output, shortened in the middle if it is long; raise `UvError`.

    ``say`` gets the current action several times a second: the ``step``, a build or a download. ``environment`` adds
    to the environment of this process. Raise `StallError` if uv and its children make no progress for `STALL` seconds.
    After any exception, all of them are killed.
    """
    command = [*uv.find(), *arguments]
    variables = {**os.environ, **uv.ENVIRONMENT, **environment, **_LOG}
    with tempfile.TemporaryDirectory(prefix="ds-docker-env-uv-") as logs:
        # Files, because a process that outlives uv would keep a pipe open.
        out, err = Path(logs, "stdout"), Path(logs, "stderr")
        with out.open("wb") as stdout, err.open("wb") as stderr, err.open("rb") as log:
            process = _start(command, folder, variables, stdout, stderr)
            try:
                _watch(process, _Log(log, step), say)
            finally:
                if process.poll() is None:
                    _end(process)
        said = [path.read_text(encoding="utf-8", errors="replace") for path in (out, err)]
    return uv.checked(subprocess.CompletedProcess(command, process.returncode, said[0], _LOGGED.sub("", said[1])))


@dataclass
class _Log:
    """The log of uv, and its current actions; ``building`` maps sources to their start times."""

    file: BinaryIO
    usual: str
    building: dict[str, float] = field(default_factory=dict)
    downloading: list[str] = field(default_factory=list)
    address: str = ""
    rest: bytes = b""

    def grew(self) -> bool:
        """Read new lines, and say whether there were any."""
        if new := self.file.read():
            *lines, self.rest = (self.rest + new).split(b"\n")
            for line in lines:
                self._read(line.decode(errors="replace"))
        return bool(new)

    @property
    def step(self) -> str:
        """Return the current action in a few words, without passwords."""
        if self.building:
            source, begun = [*self.building.items()][-1]
            minutes = int(time.monotonic() - begun) // 60
            return f"building {source.replace('==', ' ')} from source" + (f", {minutes} min" if minutes else "")
        downloading = self.downloading[-1].replace("==", " ") if self.downloading else _package(self.address)
        return f"downloading {downloading}" if downloading else self.usual

    def _read(self, line: str) -> None:
        if downloading := _DOWNLOADING.match(line):
            self.downloading.append(excerpt(downloading[1]))
            return
        # The next message about a source means that its download is complete.
        self.downloading = [source for source in self.downloading if source not in line]
        if begun := _BEGUN.match(line):
            self.building[excerpt(begun[1])] = time.monotonic()
        elif ended := _ENDED.match(line):
            self.building.pop(excerpt(ended[1]), None)
            self.address = ""
        elif asked := _ASKED.match(line):
            self.address = redacted(asked[1])


def _start(
    command: list[str], folder: Path, environment: dict[str, str], stdout: BinaryIO, stderr: BinaryIO
) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            start_new_session=True,
        )
    except OSError as error:
        raise uv.not_runnable(command, error) from None


def _watch(process: subprocess.Popen[bytes], log: _Log, say: Say) -> None:
    stall = max([STALL, *(2 * int(value) for name in _HTTP_TIMEOUTS if (value := os.environ.get(name, "")).isdigit())])
    # Count the pauses: by the clock, sleep or overload of the machine would look like a stall.
    quiet = looked = worked = 0.0
    while True:
        # Most runs of uv end within 0.1 s.
        pause = min(0.02 + quiet / 10, 0.2, stall / 20)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(pause)
            return
        quiet += pause
        if log.grew():
            quiet = looked = 0
        say(log.step)
        if quiet - looked >= stall / 4:
            used = _work(process)
            if used - worked > _IDLE * (quiet - looked):
                quiet = 0
            looked, worked = quiet, used
        if quiet >= stall:
            raise StallError(_stalled(log, stall))


def _work(process: subprocess.Popen[bytes]) -> float:
    """Return the processor seconds of uv and all processes that it started."""
    used = 0.0
    for each in _tree(process):
        with contextlib.suppress(psutil.Error):
            used += sum(each.cpu_times()[:4])
    return used


def _tree(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    try:
        first = psutil.Process(process.pid)
        return [first, *first.children(recursive=True)]
    except psutil.Error:
        return []


def _end(process: subprocess.Popen[bytes]) -> None:
    tree = _tree(process)
    if sys.platform != "win32":
        # Also those whose parent is gone.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    for each in tree:
        with contextlib.suppress(psutil.Error):
            each.kill()
    process.wait()


def _stalled(log: _Log, stall: float) -> str:
    if log.building:
        source = [*log.building][-1]
        return (
            f"{source}: its build from source stalled for {stall:g} s and was stopped; "
            "check the network that the build uses, or publish a wheel to production's index"
        )
    request = f" (last request: {log.address})" if log.address else ""
    return (
        f"uv: {log.step or 'it'} stalled for {stall:g} s and was stopped{request}; "
        "check the network and the package index, or set UV_HTTP_TIMEOUT to more seconds for a slow index"
    )


def _package(address: str) -> str:
    """Return the name and version of the package at an address, or nothing."""
    file = unquote(urlsplit(address).path.rpartition("/")[2])
    with contextlib.suppress(ValueError):
        name, version = parse_wheel_filename(file)[:2] if file.endswith(".whl") else parse_sdist_filename(file)
        return f"{name} {version}"
    return ""
