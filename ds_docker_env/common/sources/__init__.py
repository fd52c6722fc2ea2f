"""The sources of production's file: one class for each kind of location, and rules for included files."""

from __future__ import annotations

import os
from urllib.parse import urlsplit

from ds_docker_env.common.errors import DayError, SourceError
from ds_docker_env.common.redaction import redacted
from ds_docker_env.common.sources.interface import Source
from ds_docker_env.common.sources.local import LocalFile


def source_of(location: str) -> Source:
    """Return the source at a path, a URL, ``git+URL@REF@DAY#PATH``, ``image:NAME`` or ``-``, which is standard input.

    Raise `SourceError` for an unknown kind of URL.
    """
    try:
        parts = urlsplit(location)
    except ValueError:
        raise SourceError(f"{redacted(location)}: is not a valid URL; correct it") from None
    # In https://one\@other, a login for one host would go to the other.
    if "://" in location and "\\" in location:
        raise SourceError(f"{redacted(location)}: contains a backslash; write / instead")
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
    raise SourceError(f"{shown}: {scheme}:// is not supported; use {known}")


def day_of(location: str) -> str:
    """Return the day in a location, or a blank."""
    if not location.startswith("git+"):
        return ""
    from ds_docker_env.common.sources.git import GitFile

    return GitFile(location).day


def on_day(location: str, day: str) -> str:
    """Return the location of a file on a day, or now if that is blank.

    Raise `DayError` for a file without a history.
    """
    if location.startswith("git+"):
        from ds_docker_env.common.sources.git import GitFile

        return GitFile(location).on(day)
    if not day:
        return location
    raise DayError(
        f"{redacted(location)}: is a file without history; use its git repository, such as "
        f"git+https://HOST/TEAM/REPOSITORY@{day}#PATH, or a file from that day: take-over --at {day} FILE"
    )


def included(source: Source, reference: str) -> Source:
    """Return the source that another one includes; raise `SourceError` if it may not.

    A remote file may include files of the same place. A local file may include URLs, and files that are not private.
    """
    found = source_of(source.beside(reference))
    if isinstance(source, LocalFile):
        if isinstance(found, LocalFile):
            found.require_public(os.path.dirname(source.location))
            return found
        if found.place[0] in ("http", "https"):
            return found
    elif found.place == source.place:
        return found
    raise SourceError(
        f"{redacted(reference)}: is not read, because {source.name} is from elsewhere; copy its lines to that file, "
        "or download both and use the local one"
    )


__all__ = ["LocalFile", "Source", "day_of", "included", "on_day", "source_of"]
