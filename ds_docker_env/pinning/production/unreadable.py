"""Lines of a requirements file that pip cannot read or partly ignores: how to show them, and the reason."""

from __future__ import annotations

import re
import unicodedata

# A name, a separator, then a version. A single or long word may be a token; digits without a dot may be a password.
_BEGINNING = re.compile(
    r"-{0,5}[a-z][\w.-]{0,38}(?:\s*(?:=[=<>~]{0,2}|[<>~!]=?|[:@;,(\[])\s*|\s+)(?=[^\s=])"
    r"(?:v?\d{1,8}(?:\.\d{1,8}){1,4}(?:(?:a|b|rc|\.post|\.dev)\d{1,4}|\.\*)?(?=[\s=<>~!,;+#)\"']|$))?",
    re.ASCII | re.IGNORECASE,
)
# Marks before a requirement that are not part of it.
_MARK = re.compile(r"(?:(?:--?|[*+>$]|\d{1,2}[.)])\s+)?[\"']?")
_NAME = r"^[a-z0-9][\w.-]*(?:\[[^\]]*\])?\s*"
_SECOND = r"[a-z][\w.-]*\s*(?:[=<>~!]=|$)"
# Patterns with the reason and the fix; the first match counts.
_KINDS = tuple(
    (re.compile(pattern, re.ASCII | re.IGNORECASE), why, fix)
    for pattern, why, fix in (
        (r"\\$", "a space follows the \\ at its end", "remove the space"),
        (r"^(?:<{7} |={7}$|>{7} )", "it is a merge conflict marker", "resolve the conflict"),
        (r"^([-=*_~+])\1{2,}", "it is a heading", "remove it, or begin the line with #"),
        (
            r"^(?:\[notice\]|(?:warning|error|deprecation|collecting|using cached|requirement already|downloading)\b)",
            "it is pip's output",
            "remove the line",
        ),
        (r"\$\{?\w|%\w+%|\{\{", "it contains a variable", "write the version instead"),
        (r"^(?:[*+>$]|\d{1,2}[.)])\s", "it is a list item", "remove the text before the name"),
        (r"^-", "unknown option of pip", "remove it, or only its dash if it is not an option"),
        (r"^[\"']", "it is quoted", "remove the quotes and any comma"),
        (
            r"^(?:sudo |python3? -m |uv )*(?:pip3?|conda|poetry|pipenv|uv) (?:install|add) ",
            "it is a command",
            "write only the packages, one per line",
        ),
        (r"^;|\s//|^//", "pip does not support this kind of comment", "begin the comment with #"),
        (r"\S#", "a # without a space before it does not begin a comment", "write a space before the #"),
        (
            r"^[\w.-]+=[\w.!]+=[\w.]+$",
            "it comes from conda",
            "use environment.yml instead, made with: conda env export > environment.yml",
        ),
        (_NAME + r"=\s*[\"'{]", "it is a TOML entry", "write it as name==version"),
        (_NAME + r"(?:=[<>]|~>|\^|=(?![=<>~]))", "unknown operator", "write ==, >=, <= or ~="),
        (_NAME + r":", "it has : instead of ==", "write it as name==version"),
        (_NAME + r"@\s*v?\d", "it has @ instead of ==", "write it as name==version"),
        (_NAME + r"\(", "it has the version in parentheses", "write it as name==version"),
        (_NAME + r"(?<=\s)v?\d", "it lacks == before the version", "write it as name==version"),
        (
            _NAME + r"(?:[=<>~!]=[^\s;]*[\s,]\s*|\s)" + _SECOND,
            "it contains two requirements",
            "write one per line",
        ),
        (_NAME + r"[=<>~!]=\s*(?:latest|\*)?\s*$", "it lacks a version", "write the version that production has"),
        (r"\s--?[a-z]", "pip does not accept this option after a requirement", "remove it"),
        (r"^[^;]*;", "invalid marker", "write it as: name==version ; python_version >= '3.9'"),
    )
)
_OTHERWISE = "", "correct it, or make the file with: pip freeze"


def unreadable(line: str, reason: str = "") -> str:
    """Return why a line is not a requirement, with ``reason`` if it is known, and how to correct it."""
    kinds = ((why, fix) for pattern, why, fix in _KINDS if pattern.search(line))
    why, fix = _strange(line) or next(kinds, _OTHERWISE)
    why = reason or why
    return f"is not a requirement{why and f' ({why})'}; {fix}"


def dropped(line: str) -> str:
    """Return why pip ignores text after a dash or an option, and how to correct the line."""
    if re.match(r"--?\s", line):
        return "is a list item, which pip ignores silently; remove the dash"
    if line.startswith("--hash"):
        return "belongs to a requirement, but pip ignores it here; end the line above with \\"
    return "begins with an option, and pip ignores the rest; write each on its own line"


def shown(line: str) -> str:
    """Return the beginning of a line for a message: the file may contain passwords or a key, named by mistake."""
    mark = _MARK.match(line)
    start = mark.end() if mark else 0
    found = _BEGINNING.match(line, start)
    end = found.end() if found else start
    return line if re.fullmatch(r"[\"',;]{0,3}", line[end:]) and found else f"{line[:end]}..."


def _strange(line: str) -> tuple[str, str] | None:
    """Return the reason and the fix for an invisible character, or one that only looks like pip's."""
    for character in dict.fromkeys(re.sub(r"[\x00-\x7f]+", "", line)):
        category = unicodedata.category(character)
        alike = unicodedata.normalize("NFKC", character)
        if alike == character and category not in ("Cf", "Pd", "Pi", "Pf"):
            continue
        name = unicodedata.name(character, "a control character").lower()
        fix = "delete it" if category == "Cf" else "retype it"
        return f"it contains U+{ord(character):04X}, {name}", fix
    return None
