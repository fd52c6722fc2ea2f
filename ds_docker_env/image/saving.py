"""Replaces files instead of writing in place: a power loss leaves the whole old content or the whole new one."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

LEFTOVER = ".~saving-"
_HOUR = 3600


@contextmanager
def replacing(path: str | Path, mode: str = "w", **options: Any) -> Iterator[IO[Any]]:
    """Open a new file, ``mode`` "w" or "wb", that takes the place of ``path`` when the block ends without an error.

    A symbolic link stays and its target is replaced. Mode, group and access list stay. If they cannot, or if the
    directory forbids replacing this file, the content is copied over in place. Raise `OSError`, such as for a full
    disk, and keep the old file then.
    """
    target = Path(os.path.realpath(path))
    exists = target.exists()
    if exists and not os.access(target, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(target))
    _remove_leftovers(target.parent)
    temporary = target.with_name(f"{LEFTOVER}{secrets.token_hex(8)}")
    try:
        with open(temporary, mode.replace("w", "x"), opener=_private if exists else None, **options) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    try:
        if exists and sys.platform != "win32":
            os.chown(temporary, -1, target.stat().st_gid)
            shutil.copystat(target, temporary)
            os.utime(temporary)
        temporary.replace(target)
    except OSError:
        # A mounted file, a sticky directory, or a group that this process is not in.
        shutil.copyfile(temporary, target)
        temporary.unlink()
    _sync(target.parent)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _sync(directory: Path) -> None:
    # Some network file systems cannot, and some directories may not be read.
    with suppress(OSError):
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _remove_leftovers(directory: Path) -> None:
    for left in directory.glob(f"{LEFTOVER}*"):
        with suppress(OSError):
            if left.stat().st_mtime < time.time() - _HOUR:
                left.unlink()
