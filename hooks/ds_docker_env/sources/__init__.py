"""Where production's file can come from: one class for each kind of place."""

from __future__ import annotations

from typing import Protocol

from ds_docker_env.sources.local import LocalFile


class Source(Protocol):
    """A file that can be read and that can name others beside it."""

    @property
    def name(self) -> str:
        """How messages and production.txt call it, without credentials."""

    def read(self) -> bytes:
        """Return the content; raise `SourceError`."""

    def beside(self, reference: str) -> str:
        """Return the location of a file that this one includes."""


def source_of(location: str) -> Source:
    """Return the source at an absolute path or a URL."""
    if location.startswith(("http://", "https://")):
        from ds_docker_env.sources.web import WebFile

        return WebFile(location)
    return LocalFile(location)


__all__ = ["LocalFile", "Source", "source_of"]
