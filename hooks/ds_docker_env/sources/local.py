"""A file on this machine."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from ds_docker_env.errors import SourceError

MAX_BYTES = 10_000_000
_SECONDS = 5


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
        commit = self._git("log", "-1", "--format=%H")
        if not commit:
            return ""
        return f"commit {commit}" + (", changed since" if self._git("status", "--porcelain") else "")

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
            raise SourceError(f"{self.name}: is larger than {MAX_BYTES // 1_000_000} MB, so not a requirements file")
        return content

    def _git(self, *arguments: str) -> str:
        folder, name = os.path.split(self.location)
        command = ["git", "-c", "core.fsmonitor=", "-C", folder or ".", *arguments, "--", name]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False)
        except (OSError, subprocess.TimeoutExpired):
            return ""
        return done.stdout.strip() if done.returncode == 0 else ""

    def beside(self, reference: str) -> str:
        if "://" in reference:
            return reference
        return os.path.normpath(os.path.join(os.path.dirname(self.location), reference))
