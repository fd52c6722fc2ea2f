"""Where production's file can come from: one class for each kind of place."""

from __future__ import annotations

from typing import Protocol
from urllib.parse import urlsplit

from ds_docker_env.common.errors import SourceError
from ds_docker_env.common.redaction import redacted
from ds_docker_env.common.sources.local import LocalFile


class Source(Protocol):
    """A file that can be read and that can name others beside it."""

    @property
    def name(self) -> str:
        """How messages and production.txt call it, without credentials."""

    @property
    def provenance(self) -> str:
        """What identifies the content where it came from, such as a commit; may be blank."""

    def read(self) -> bytes:
        """Return the content; raise `SourceError`."""

    def beside(self, reference: str) -> str:
        """Return the location of a file that this one includes."""


def source_of(location: str) -> Source:
    """Return the source at a path, a URL, ``git+URL@REF#PATH``, ``image:NAME`` or ``-``, which is standard input.

    Raise `SourceError` for a kind of URL that is not known.
    """
    try:
        parts = urlsplit(location)
    except ValueError:
        raise SourceError(f"{redacted(location)}: is no address; correct it") from None
    if location == "-":
        from ds_docker_env.common.sources.standard_input import StandardInput

        return StandardInput()
    if location.startswith("image:"):
        from ds_docker_env.common.sources.image import Image

        return Image(location)
    if location.startswith("git+"):
        from ds_docker_env.common.sources.git import GitFile

        return GitFile(location)
    if "://" not in location:
        return LocalFile(location)
    scheme = location.partition("://")[0].lower()
    if scheme in ("http", "https"):
        from ds_docker_env.common.sources.web import WebFile

        return WebFile(location)
    if scheme == "file" and parts.netloc in ("", "localhost"):
        from urllib.request import url2pathname

        return LocalFile(url2pathname(parts.path))
    shown, known = redacted(location), "a path, an http(s) URL, git+URL@REF#PATH or image:NAME"
    raise SourceError(f"{shown}: {scheme}:// cannot be read; name {known}")


__all__ = ["LocalFile", "Source", "source_of"]
