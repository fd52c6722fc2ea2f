"""Progress of slow steps."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Say = Callable[[str], None]
# Seconds after which a step gets a line in a log.
LASTING = 5


def silent(step: str) -> None:
    """Discard a step."""


@contextmanager
def alive(message: str) -> Iterator[Say]:
    """Show a message, and the current step, which the caller passes to the function that this yields.

    A terminal shows one line that changes. A log gets a line for the message, and one for each step that lasts. So does
    a notebook's cell: it has a terminal, but cannot erase a line.
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
