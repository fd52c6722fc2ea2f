"""Work that a command can abandon, such as a DNS lookup, which cannot be stopped."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


def begin(function: Callable[P, T], *arguments: P.args, **options: P.kwargs) -> Future[T]:
    """Call a function in a thread that ends with the process; return the future of its result."""
    arriving: Future[T] = Future()

    def call() -> None:
        try:
            arriving.set_result(function(*arguments, **options))
        except Exception as error:
            arriving.set_exception(error)

    threading.Thread(target=call, daemon=True).start()
    return arriving
