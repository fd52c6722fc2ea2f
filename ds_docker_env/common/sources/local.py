"""A file on this machine."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from ds_docker_env.common.errors import SourceError
from ds_docker_env.common.sources.interface import MAX_BYTES, too_large


@dataclass(frozen=True)
class LocalFile:
    """A file at an absolute path."""

    location: str

    @property
    def name(self) -> str:
        return self.location

    @property
    def provenance(self) -> str:
        """The commit that the file was last changed in, if it lies in a git work tree."""
        from ds_docker_env.common.sources.git import last_commit

        return last_commit(self.location)

    def read(self) -> bytes:
        path = Path(self.location)
        try:
            if path.is_dir():
                raise SourceError(f"{self.name}: is a directory; name the requirements file in it")
            if not path.is_file():
                path.stat()
                raise SourceError(f"{self.name}: is no ordinary file; name a requirements file")
            with path.open("rb") as file:
                content = file.read(MAX_BYTES + 1)
        except FileNotFoundError:
            raise SourceError(f"{self.name}: no such file; check the path") from None
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise SourceError(f"{self.name}: cannot be read ({reason}); check the path and its permissions") from None
        if len(content) > MAX_BYTES:
            raise too_large(self.name)
        return content

    def beside(self, reference: str) -> str:
        if "://" in reference:
            return reference
        return os.path.normpath(os.path.join(os.path.dirname(self.location), reference))
