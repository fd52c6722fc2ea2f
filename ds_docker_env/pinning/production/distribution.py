"""Packages of Debian's or Ubuntu's own Python, which `pip freeze` lists there and an index does not have."""

from __future__ import annotations

import re

from packaging.utils import canonicalize_name

# Debian's revision in the version, https://www.debian.org/doc/debian-policy/ch-controlfields.html#version, or the
# package that Debian's virtualenv adds, https://bugs.debian.org/871790.
_THEIRS = re.compile(
    r"([a-z0-9][\w.-]*)\s*={2,3}\s*[\w.!+~-]*(?:ubuntu|debian|[+.~]deb)(?![a-z])"
    r"|(pkg[-_.]resources)\s*==\s*0(?:\.0)*\s*(?:$|;)",
    re.ASCII | re.IGNORECASE,
)


def named_in(line: str) -> str:
    """Return the normalised name of the package if a line pins one of these, or nothing."""
    found = _THEIRS.match(line)
    return canonicalize_name(found[1] or found[2]) if found else ""


def shown(line: str) -> str:
    """Return such a line as a package that is left out, with the reason."""
    return f"{line.partition(';')[0].strip()} (of Debian or Ubuntu)"
