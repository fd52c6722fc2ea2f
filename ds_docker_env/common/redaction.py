"""Removal of secrets from texts and addresses."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence

# The longest message in characters, and how many of them are kept at its end, which names the fix.
_LENGTH, _END = 2_000, 500
# A login as in RFC 3986, or as users paste it: with a slash in the password (digits would be a port).
_ADDRESS = re.compile(r"""(?<=://)[^\s'"<>]+""")
_AT = re.compile(r"@(?=[\w.\[-])")
_NAME = re.compile(r"[^/@:]+:(?!\d+/)")
# The user of ssh is needed, and not secret.
_SSH = re.compile(r"[\w.-]+@")
# After a space, ; begins a marker and # a comment.
_TOKEN = re.compile(
    r"""((?:[?&]|(?<=\S)[;#])[\w-]*"""
    r"""(?:token|key|password|passwd|pass|pwd|secret|signature|sig|auth|credentials?|jwt|session)=)"""
    r"""(?!\.\.\.)[^\s'"<>&#]+""",
    re.IGNORECASE,
)
_QUERY = re.compile(r"(?<=[?&;])([^=&;#\s]+)(=?)([^&;#\s]*)")
# Parameters with which git servers choose a file and its version.
_HARMLESS = {
    *("api-version", "at", "h", "inline", "path", "plain", "raw", "ref", "ref_type", "rev", "version"),
    *("versiondescriptor.version", "versiondescriptor.versiontype"),
}


def without_credentials(text: str) -> str:
    """Remove ``user:password@``, and tokens in the query and the fragment, from every URL in a text.

    Takes linear time for any text.
    """
    return _TOKEN.sub(r"\1...", _ADDRESS.sub(_without_logins, text))


def redacted(address: str) -> str:
    """Return an address that may be stored and shown, with ``...`` in place of possible secrets."""

    def kept(found: re.Match[str]) -> str:
        name, equals, value = found.groups()
        if name.lower() in _HARMLESS or (equals and not value):
            return found[0]
        return f"{name}=..." if equals else "..."

    address = without_credentials(address)
    if "://" in address and not address.startswith("git+"):
        # Servers do not get the fragment, but a login may have been pasted there.
        address = address.partition("#")[0]
    return _QUERY.sub(kept, address)


def excerpt(text: str, length: int = 200) -> str:
    """Return the beginning of a text without credentials, which are removed before it is cut."""
    return without_credentials(text)[:length]


def some(names: Sequence[str], shown: int = 5) -> str:
    """Return the first of many names, and the number of the others."""
    return ", ".join(names[:shown]) + (f" and {len(names) - shown} more" if names[shown:] else "")


def printable(text: str) -> str:
    """Return a text on one line with escapes for control characters, its middle cut if it is too long."""
    if len(text) > _LENGTH:
        text = f"{text[: _LENGTH - _END]} ... {text[-_END:]}"
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _without_logins(found: re.Match[str]) -> str:
    """Return the part of an address after its first ://, without logins; it may contain further addresses."""
    address = found[0]
    ends = [at.end() for at in _AT.finditer(address)]
    if not ends:
        return address
    ssh = found.string.startswith("ssh", max(found.start() - 6, 0))
    kept, start = [], 0
    while start < len(address):
        while (end := _end_of_login(address, start, ends, ssh=ssh)) > start:
            start = end
        separator = address.find("://", start)
        rest = len(address) if separator < 0 else separator + 3
        kept.append(address[start:rest])
        ssh, start = address.startswith("ssh", rest - 6), rest
    return "".join(kept)


def _end_of_login(address: str, start: int, ends: list[int], *, ssh: bool) -> int:
    """Return the end of a login that begins at ``start``, or ``start``; ``ends`` are the positions after each @."""
    if ssh and _SSH.match(address, start):
        return start
    slash = address.find("/", start)
    last = ends[bisect_right(ends, slash if slash >= 0 else len(address)) - 1]
    if last > start and (slash < 0 or last <= slash):
        return last
    name = _NAME.match(address, start)
    later = bisect_right(ends, name.end()) if name else len(ends)
    return ends[later] if later < len(ends) else start
