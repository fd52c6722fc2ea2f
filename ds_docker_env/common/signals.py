"""The signals that ask a program to stop, and the exit code of one that did."""

from __future__ import annotations

import signal

STOPPED = 130
# Those of this system; Windows has no SIGHUP.
STOPPING = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
