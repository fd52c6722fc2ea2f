"""Standard output that nobody can read any more."""

from __future__ import annotations

import os
import sys


def discard() -> None:
    """Send the rest of standard output nowhere; otherwise a closed pipe or a full disk fails Python when it ends.

    See https://docs.python.org/3/library/signal.html#note-on-sigpipe.
    """
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
