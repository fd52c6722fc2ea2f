"""The package indexes that uv asks, with cache headers that let it keep their files."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from ds_docker_env.common.errors import GenerationError
from ds_docker_env.common.redaction import without_credentials
from ds_docker_env.pinning.production.formats.reading import read_toml, table, tables, text_of, texts

_PYPI = "https://pypi.org/simple"
# PyPI's own headers, as uv recommends: https://docs.astral.sh/uv/concepts/indexes/#customizing-cache-control-headers
_FILES = 'files = "max-age=365000000, immutable"'
# Pages of other indexes are not cached, because they may show a new upload at once.
_PAGES = 'api = "max-age=600"'
# Settings of an index that still apply beside another entry with its address.
_PLACE = {"name", "url", "default", "explicit"}
_OPTION = re.compile(r"^-.*?(https?://[^\s\"']+)", re.MULTILINE)
_TABLE = re.compile(r"^[ \t]*\[\[[ \t]*index[ \t]*\]\]", re.MULTILINE)
# uv's variables, in its order, and whether they name the default index.
_VARIABLES = {"UV_DEFAULT_INDEX": True, "UV_INDEX": False, "UV_EXTRA_INDEX_URL": False, "UV_INDEX_URL": True}
_GIVEN = re.compile(r"(?:([\w.-]+)=)?(https?://\S+)")


class Kept(NamedTuple):
    """The text of a uv.toml, and the environment variables that go with it."""

    settings: str
    environment: dict[str, str]


def keep(settings: str, *requirements: str) -> Kept:
    """Return uv.toml with the indexes of the environment and cache headers for each index.

    uv takes the header from the first entry with the address of an index, which need not be the entry that it uses:
    https://docs.astral.sh/uv/concepts/indexes/#searching-across-multiple-indexes. ``requirements`` are texts with lines
    such as ``--index-url``.
    """
    environment: dict[str, str] = {}
    entries = [entry for variable in _VARIABLES for entry in _moved(variable, environment)]
    files = [settings, *settings_of_uv()]
    named = [*(url for text in files for url in _named(text)), *_OPTION.findall("\n".join(requirements)), _PYPI]
    for number, url in enumerate(dict.fromkeys(map(without_credentials, named))):
        entries.append(_entry(f"ds-docker-env-{number}", url, "explicit = true"))
    first = _TABLE.search(settings)
    if not first and table(_parsed(settings)).get("index"):
        # One array, which TOML cannot extend.
        return Kept(settings, {})
    start = first.start() if first else len(settings)
    return Kept("\n".join([settings[:start], *entries, settings[start:]]), environment)


def settings_of_uv() -> Iterator[str]:
    """Yield the settings of the user and the system for uv, https://docs.astral.sh/uv/concepts/configuration-files/."""
    if sys.platform == "win32":
        folders = [os.environ.get("APPDATA", ""), os.environ.get("PROGRAMDATA", "")]
    else:
        folders = [os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config"), "/etc"]
        folders += (os.environ.get("XDG_CONFIG_DIRS") or "/etc/xdg").split(":")
    for path in [Path(os.environ.get("UV_CONFIG_FILE", "")), *(Path(folder, "uv", "uv.toml") for folder in folders)]:
        with suppress(OSError, UnicodeDecodeError):
            yield path.read_text(encoding="utf-8")


def _moved(variable: str, environment: dict[str, str]) -> Iterator[str]:
    """Yield entries for the indexes in a variable and empty it in ``environment``, where logins stay."""
    given = [_GIVEN.fullmatch(word) for word in os.environ.get(variable, "").split()]
    if not all(given) or any(_plain(found[2]) != without_credentials(found[2]) for found in filter(None, given)):
        # A directory, or a token, which uv.toml would show.
        return
    for number, found in enumerate(filter(None, given)):
        name, parts = found[1] or f"{variable.lower()}-{number}", urlsplit(found[2])
        if parts.username:
            # https://docs.astral.sh/uv/concepts/indexes/#providing-credentials-directly
            prefix = f"UV_INDEX_{re.sub('[^A-Z0-9]', '_', name.upper())}"
            environment[f"{prefix}_USERNAME"] = unquote(parts.username)
            environment[f"{prefix}_PASSWORD"] = unquote(parts.password or "")
        environment[variable] = ""
        yield _entry(name, _plain(found[2]), "default = true" if _VARIABLES[variable] else "")


def _plain(url: str) -> str:
    """Return an address without a login, as uv reads it."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def _named(text: str) -> Iterator[str]:
    """Yield the URLs of the indexes in a uv.toml, except those with other settings."""
    settings = _parsed(text)
    for part in (settings, table(settings.get("pip"))):
        yield from (text_of(each, "url") for each in tables(part.get("index")) if each.keys() <= _PLACE)
        yield from filter(None, [*texts(part.get("extra-index-url")), text_of(part, "index-url")])


def _parsed(text: str) -> dict[str, object]:
    with suppress(GenerationError):
        return read_toml(text, "uv.toml", "correct it")
    return {}


def _entry(name: str, url: str, more: str) -> str:
    control = f"{_FILES}, {_PAGES}" if url.rstrip("/") == _PYPI else _FILES
    return f"[[index]]\nname = {json.dumps(name)}\nurl = {json.dumps(url)}\ncache-control = {{ {control} }}\n{more}"
