"""Jupyter's files on disk, saved by `ds_docker_env.image.saving`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

from jupyter_server.services.contents.filecheckpoints import AsyncGenericFileCheckpoints
from jupyter_server.services.contents.fileio import FileManagerMixin
from jupyter_server.services.contents.largefilemanager import AsyncLargeFileManager

from ds_docker_env.image.saving import replacing


class _Replacing(FileManagerMixin):
    @contextmanager
    def atomic_writing(
        self, os_path: str, text: bool = True, encoding: str = "utf-8", **options: Any
    ) -> Iterator[IO[Any]]:
        """Open a file for writing; without the right to write in its directory, in jupyter_server's own way."""
        if not self.use_atomic_writing or not os.access(os.path.dirname(os.path.realpath(os_path)), os.W_OK):
            with super().atomic_writing(os_path, text=text, encoding=encoding, **options) as file:
                yield file
            return
        text_only = {"encoding": encoding, "newline": "\n"} if text else {}
        with self.perm_to_403(os_path), replacing(os_path, "w" if text else "wb", **text_only, **options) as file:
            yield file


class Contents(_Replacing, AsyncLargeFileManager):  # type: ignore[misc]
    """Notebooks and other files."""


class Checkpoints(_Replacing, AsyncGenericFileCheckpoints):
    """Checkpoints, which this class saves as new files instead of copying in place."""
