"""A sign of life while something takes its time."""

from __future__ import annotations

from contextlib import AbstractContextManager


def alive(message: str) -> AbstractContextManager[object]:
    """Say what is going on, in a terminal with something that moves."""
    from rich.console import Console

    console = Console(stderr=True)
    if not console.is_terminal:
        console.print(message, markup=False, highlight=False, soft_wrap=True)
    return console.status(message)
