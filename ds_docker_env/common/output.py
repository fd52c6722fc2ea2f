"""Standard output that is closed or full."""

from __future__ import annotations

import os
import sys


def discard() -> None:
    """Discard the rest of standard output; a closed pipe or a full disk would make Python fail at its exit.

    See https://docs.python.org/3/library/signal.html#note-on-sigpipe.
    """
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
