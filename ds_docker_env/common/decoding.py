"""Decoding of files that users write with any editor."""

from __future__ import annotations

import codecs
import re

from ds_docker_env.common.errors import SourceError


def decode(content: bytes, name: str) -> str:
    """Return the text of a requirements file; raise `SourceError`."""
    if not content.strip():
        raise SourceError(f"{name}: is empty; check that it is the right file")
    try:
        return text_in(content)
    except UnicodeError:
        raise SourceError(
            f"{name}: is not a text file; use a requirements file, such as the output of pip freeze"
        ) from None


def text_in(content: bytes) -> str:
    """Return the text in UTF-8, UTF-16 (PowerShell 5 writes it) or Latin-1; raise `UnicodeError` if it is not text."""
    encodings = ["utf-8-sig", "latin-1"]
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encodings = ["utf-16"]
    elif b"\0" in content:
        encodings = ["utf-16-le" if content[1:2] == b"\0" else "utf-16-be"]
    for encoding in encodings:
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        if not re.search(r"[\x00-\x08\x0e-\x1f\x7f]", text):
            return text
    raise UnicodeError("not text")
