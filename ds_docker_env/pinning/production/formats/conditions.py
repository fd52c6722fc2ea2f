"""Markers of locks, evaluated for extras and dependency groups."""

from __future__ import annotations

import re

from packaging.markers import Marker

_SIDE = r"""("[^"]*"|'[^']*'|[a-z_]+)"""
_COMPARISON = re.compile(rf"{_SIDE} (not in|in|[=<>!~]+) {_SIDE}")
# Replacements for comparisons of extras and groups, in markers with other conditions.
_HOLDS, _FAILS = 'python_version >= "3"', 'python_version < "3"'
_DECIDED = re.compile(rf"\((?:{_HOLDS}|{_FAILS}| and | or )+\)")


def installed_if(marker: str, groups: frozenset[str] = frozenset()) -> str | None:
    """Return the condition on the environment under which a package is installed with these groups, without extras.

    ``marker`` has the form of `packaging`. The condition is empty if it always holds, and ``None`` if it never does.
    """
    if not re.search(r"\b(extra|extras|dependency_groups)\b", marker):
        return marker

    def decide(other: str = "") -> str:
        """Replace comparisons of extras and groups by their results, and others by ``other`` if given."""
        return _COMPARISON.sub(lambda found: _result(found, groups) or other or found[0], marker)

    # Markers cannot negate, so with equal values for all other comparisons the result holds in every environment.
    if not Marker(decide(_HOLDS)).evaluate():
        return None
    if Marker(decide(_FAILS)).evaluate():
        return ""
    text = _DECIDED.sub(lambda found: _constant(Marker(found[0]).evaluate()), decide())
    return text.replace(f" and {_HOLDS}", "").replace(f"{_HOLDS} and ", "")


def _result(comparison: re.Match[str], groups: frozenset[str]) -> str:
    """Return a constant comparison with the result for extras or groups, or nothing for other comparisons."""
    left, operator, right = comparison.groups()
    of_sets = right in ("extras", "dependency_groups") and operator.endswith("in")
    of_one = "extra" in (left, right) and operator in ("==", "!=")
    if not (of_sets or of_one):
        return ""
    known: dict[str, str | frozenset[str]] = {"extra": "", "dependency_groups": groups}
    return _constant(Marker(comparison[0]).evaluate(known, context="lock_file"))


def _constant(holds: bool) -> str:
    return _HOLDS if holds else _FAILS
