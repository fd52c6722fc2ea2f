"""The signals that ask a program to stop, and its exit code."""

from __future__ import annotations

import signal

STOPPED = 130
# Windows lacks SIGHUP.
STOPPING = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
