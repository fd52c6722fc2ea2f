"""A sign of life while something takes its time."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager, nullcontext


def alive(message: str) -> AbstractContextManager[object]:
    """Say what is going on, in a terminal with something that moves."""
    if not sys.stderr.isatty():
        print(message, file=sys.stderr, flush=True)
        return nullcontext()
    from rich.console import Console

    return Console(stderr=True).status(message)
