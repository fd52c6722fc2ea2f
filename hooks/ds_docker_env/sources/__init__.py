"""Where production's file can come from: one class for each kind of place."""

from __future__ import annotations

from typing import Protocol
from urllib.parse import urlsplit
from urllib.request import url2pathname

from ds_docker_env.errors import SourceError, without_credentials
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
    """Return the source at an absolute path or a URL; raise `SourceError` for a kind of URL that is not known."""
    if "://" not in location:
        return LocalFile(location)
    scheme = location.partition("://")[0].lower()
    if scheme in ("http", "https"):
        from ds_docker_env.sources.web import WebFile

        return WebFile(location)
    if scheme == "file":
        return LocalFile(url2pathname(urlsplit(location).path))
    raise SourceError(f"{without_credentials(location)}: {scheme}:// cannot be read; name a path or an http(s) URL")


__all__ = ["LocalFile", "Source", "source_of"]
