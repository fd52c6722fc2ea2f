"""Where production's file can come from: one class for each kind of place."""

from __future__ import annotations

from urllib.parse import urlsplit

from ds_docker_env.common.errors import SourceError
from ds_docker_env.common.redaction import redacted
from ds_docker_env.common.sources.interface import Source
from ds_docker_env.common.sources.local import LocalFile


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
