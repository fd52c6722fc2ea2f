"""Untrusted TOML: its entries with their lines, and fields that may be missing or have a wrong type."""

from __future__ import annotations

import re
import sys
from typing import Any

from ds_docker_env.common.errors import RequirementsError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

# Real files have at most a tenth of this; each entry may take a millisecond.
ENTRIES = 10_000
TOO_MANY = f"has more than {ENTRIES:,} entries; check that it is the right file"
# The parser takes quadratic time for a key with many parts.
_LONG_KEY = re.compile(r"""(?<![\w-])(?:(?:[\w-]+|"[^"\n]*"|'[^'\n]*')[ \t]*\.[ \t]*){30}""")


def read_toml(text: str, name: str, remedy: str) -> dict[str, Any]:
    """Parse TOML; raise `RequirementsError` with the line and the reason."""
    if _LONG_KEY.search(text):
        raise RequirementsError(f"{name}: a key has too many parts; {remedy}")
    try:
        document = tomllib.loads(text)
    except ValueError as error:
        reason, _, place = str(error).partition(" (at ")
        line = re.match(r"line (\d+)", place)
        where = f"{name}:{line[1]}" if line else name
        raise RequirementsError(f"{where}: invalid TOML ({reason}); {remedy}") from None
    if any(len(value) > ENTRIES for value in document.values() if isinstance(value, list)):
        raise RequirementsError(f"{name}: {TOO_MANY}")
    return document


def entry_lines(text: str, key: str, count: int) -> list[int]:
    """Return the lines of the ``[[key]]`` headers, or line 1 for each entry if there are not ``count`` headers."""
    header = re.compile(rf"^[ \t]*\[\[[ \t]*{key}[ \t]*\]\]", re.MULTILINE)
    lines = []
    line, end = 1, 0
    for match in header.finditer(text):
        line += text.count("\n", end, match.start())
        end = match.start()
        lines.append(line)
    return lines if len(lines) == count else [1] * count


def table(value: object) -> dict[str, Any]:
    """Return a table, or an empty one."""
    return value if isinstance(value, dict) else {}


def tables(value: object) -> list[dict[str, Any]]:
    """Return the tables of an array, or a single table as a list."""
    if isinstance(value, dict):
        return [value]
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def text_of(entry: dict[str, Any], key: str) -> str:
    """Return a string, or an empty one."""
    value = entry.get(key)
    return value if isinstance(value, str) else ""


def texts(value: object) -> list[str]:
    """Return the strings of an array."""
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []
