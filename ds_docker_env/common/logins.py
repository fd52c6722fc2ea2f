"""The logins for the indexes and URLs of a lock, found where uv looks on this machine."""

from __future__ import annotations

import contextlib
import netrc
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

# Where a project keeps them.
LOGINS = Path(".secrets", "netrc")
# In the lines of indexes, and of packages from a URL.
_ASKED = re.compile(r"^[\w-].*?(https?://\S+)", re.MULTILINE)
# Variables with addresses for uv, which may contain a login, and may be named: "team=https://...".
_VARIABLES = ("UV_DEFAULT_INDEX", "UV_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL", "UV_FIND_LINKS")
_ADDRESS = re.compile(r"https?://[^\s,]+")


def logins(lock: str) -> dict[str, tuple[str, str]]:
    """Return name and password for each host of a lock that has a login."""
    known = dict(_from_environment())
    found = {}
    for host in dict.fromkeys(parts.hostname or "" for parts in _split(_ASKED.findall(lock))):
        if login := known.get(host) or _from_netrc(host):
            found[host] = login
    return found


def as_netrc(logins: dict[str, tuple[str, str]]) -> str:
    """Return logins in the form of a netrc file."""
    return "".join(
        f"machine {host} login {_word(name)} password {_word(password)}\n" for host, (name, password) in logins.items()
    )


def _from_environment() -> Iterator[tuple[str, tuple[str, str]]]:
    for variable in _VARIABLES:
        for parts in _split(_ADDRESS.findall(os.environ.get(variable, ""))):
            if parts.hostname and parts.username:
                yield parts.hostname, (unquote(parts.username), unquote(parts.password or ""))


def _split(addresses: Iterable[str]) -> Iterator[SplitResult]:
    """Split the valid addresses; uv refuses others."""
    for address in addresses:
        with contextlib.suppress(ValueError):
            yield urlsplit(address)


def _from_netrc(host: str) -> tuple[str, str] | None:
    given = os.environ.get("NETRC")
    for path in [Path(given)] if given else [Path.home() / ".netrc", Path.home() / "_netrc"]:
        try:
            # Not `authenticators`: the default entry applies to all hosts, also to the public index.
            login = netrc.netrc(path).hosts.get(host)
        except (OSError, netrc.NetrcParseError, UnicodeError):
            continue
        if login:
            return login[0], login[2] or ""
    return None


def _word(text: str) -> str:
    return '"{}"'.format(re.sub(r'(["\\])', r"\\\1", text)) if re.search(r'[\s"\\]', text) or not text else text
