"""The claim of processes on a hidden directory: a file lock, which ends with its process, even after ``kill -9``."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from pathlib import Path
from typing import IO

_NAME = "lock"


def is_claimed(directory: Path) -> bool:
    """Say whether a directory has a lock, held or not."""
    return (directory / _NAME).exists()


def claim(directory: Path, *, alone: bool = False, by_hook: bool = False) -> IO[str]:
    """Claim a directory, alone or with other processes of a generation; raise `FileExistsError` if it is claimed."""
    lock = _opened(directory / _NAME)
    if by_hook:
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
    if not _held(lock, alone=alone):
        lock.close()
        advice = "another generation is running here; wait until it ends, or remove this directory if it was killed"
        raise FileExistsError(0, advice, str(directory))
    return lock


def take_from_hook(lock: IO[str]) -> bool:
    """Stop a hook that shares the claim; return whether the directory exists and only this process claims it."""
    if sys.platform != "win32" and not _held(lock, alone=True) and _exists(lock):
        lock.seek(0)
        with contextlib.suppress(OSError, ValueError):
            os.kill(int(lock.read()), signal.SIGTERM)
    return _held(lock, alone=True, wait=True)


def _held(lock: IO[str], *, alone: bool = False, wait: bool = False) -> bool:
    """Lock the file, exclusively or shared; return whether that worked and the file still exists."""
    if sys.platform == "win32":  # cannot remove a file that another process has open
        if alone:
            lock.close()
            with contextlib.suppress(OSError):
                Path(lock.name).unlink()
        return not alone or not Path(lock.name).exists()
    import fcntl

    try:
        fcntl.flock(lock, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        return not alone
    return _exists(lock)


def _exists(lock: IO[str]) -> bool:
    """Say whether the directory still has this lock, and not that of a later generation."""
    with contextlib.suppress(OSError):
        return os.path.samestat(Path(lock.name).stat(), os.fstat(lock.fileno()))
    return False


def _opened(path: Path) -> IO[str]:
    def without_links(path: str, flags: int) -> int:
        return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0), 0o600)

    return open(path, "a+", encoding="utf-8", opener=without_links)
