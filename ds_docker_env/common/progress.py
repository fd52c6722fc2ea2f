"""A sign of life while something takes its time."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Say = Callable[[str], None]
# Seconds that a step has to last for a line in a log, of which a person reads no hundreds.
LASTING = 5


def silent(step: str) -> None:
    """Say nothing about a step."""


@contextmanager
def alive(message: str) -> Iterator[Say]:
    """Say what is going on, and each step of it, that is told again and again to the function that this gives.

    In a terminal that is one line that changes; a log gets a line, and one more for a step that lasts. So does a cell:
    Jupyter gives it a terminal, of which the notebook cannot erase a line.
    """
    if not sys.stderr.isatty() or "JPY_PARENT_PID" in os.environ:
        print(message, file=sys.stderr, flush=True)
        yield _logged(message)
        return
    from rich.console import Console
    from rich.text import Text

    with Console(stderr=True).status(message) as status:
        yield lambda step: status.update(Text(f"{message}: {step}" if step else message))


def _logged(message: str) -> Say:
    current, since, printed = "", 0.0, ""

    def say(step: str) -> None:
        nonlocal current, since, printed
        now = time.monotonic()
        if step != current:
            current, since = step, now
        elif step and step != printed and now - since >= LASTING:
            printed = step
            print(f"{message}: {step}", file=sys.stderr, flush=True)

    return say
