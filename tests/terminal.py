"""A user at a terminal, for commands that ask."""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

SECONDS = 120


def at_terminal(
    *command: str, answers: list[str], folder: Path, environment: Mapping[str, str] | None = None
) -> tuple[int, str]:
    """Type an answer, with its newline, after each question; return the exit code and the output."""
    if sys.platform == "win32":
        raise OSError("Windows has no pseudo-terminals")
    terminal, end = os.openpty()
    process = subprocess.Popen(
        command, cwd=folder, env={**os.environ, **(environment or {})}, stdin=end, stdout=end, stderr=end
    )
    os.close(end)
    shown, remaining = b"", [*answers]
    # Linux ends the output of a terminal with an error.
    with contextlib.suppress(OSError):
        while select.select([terminal], [], [], SECONDS)[0] and (part := os.read(terminal, 1024)):
            shown += part
            if remaining and part.endswith(b": "):
                os.write(terminal, remaining.pop(0).encode())
    os.close(terminal)
    try:
        return process.wait(SECONDS), shown.decode()
    finally:
        process.kill()
