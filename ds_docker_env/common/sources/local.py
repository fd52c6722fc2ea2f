"""A file on this machine."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from ds_docker_env.common.errors import SourceError
from ds_docker_env.common.sources.interface import MAX_BYTES, too_large

# Docker's secrets, environments and open files of processes, devices, and the machine's passwords.
_OF_THE_SYSTEM = ("/run", "/var/run", "/proc", "/sys", "/etc")
# Files and directories of programs for logins.
_SECRET = {".aws", ".git", ".git-credentials", ".gnupg", ".netrc", ".secrets", ".ssh", "_netrc"}


@dataclass(frozen=True)
class LocalFile:
    """A file at an absolute path."""

    location: str

    @property
    def name(self) -> str:
        return self.location

    @property
    def provenance(self) -> str:
        """The commit of the file's last change, if it is in a git work tree."""
        from ds_docker_env.common.sources.git import last_commit

        return last_commit(self.location)

    @property
    def place(self) -> tuple[str, ...]:
        return ("file",)

    def require_public(self, near: str) -> None:
        """Raise `SourceError` for a file that may contain a secret, as seen from a known directory.

        These are files in a system directory, hidden files, and links to them.
        """
        path = os.path.realpath(self.location)
        parts = {part.casefold() for part in Path(path).parts}
        if any(_below(path, place) for place in _OF_THE_SYSTEM) or parts & _SECRET or _hidden(path, near):
            raise SourceError(
                f"{self.name}: is hidden or in a directory for secrets, so it is not read; if it is a requirements "
                "file, copy it to another directory or name"
            )

    def read(self) -> bytes:
        path = Path(self.location)
        try:
            self.require_public(os.path.dirname(self.location))
            if path.is_dir():
                raise SourceError(f"{self.name}: is a directory; use the requirements file in it")
            if not path.is_file():
                path.stat()
                raise SourceError(f"{self.name}: is not a regular file; use a requirements file")
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


def _below(path: str, place: str) -> bool:
    return Path(path).is_relative_to(os.path.realpath(place))


def _hidden(path: str, near: str) -> bool:
    """Say whether the path from a directory to a file contains a hidden name.

    Kubernetes uses names that begin with two dots; these are not hidden.
    """
    try:
        way = Path(os.path.relpath(path, os.path.realpath(near))).parts
    except ValueError:  # another drive, on Windows
        way = Path(path).parts
    return any(part.startswith(".") and not part.startswith("..") for part in way)
