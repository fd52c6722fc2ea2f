"""Markers that can be combined, and of which extras and groups can be decided."""

from __future__ import annotations

import re
from functools import lru_cache

from ds_docker_env.pinning.production.formats.page import marker_of

# A marker as any of several conjunctions of comparisons: nothing in it never holds, an empty conjunction always does.
Comparison = tuple[str, str, str]
Condition = frozenset[frozenset[Comparison]]
NEVER: Condition = frozenset()
ALWAYS: Condition = frozenset({frozenset()})

_TOKEN = re.compile(r""""[^"]*"|'[^']*'|[()]|[^\s()]+""")
_DECIDABLE = re.compile(r"\b(extra|extras|dependency_groups)\b")
_OPPOSITE = {"==": "!=", "<": ">=", ">": "<=", "in": "not in"}
_OPPOSITE |= {opposite: operator for operator, opposite in _OPPOSITE.items()}
# Beyond this a marker would be longer than anyone reads; then the package is kept whatever the marker says.
_CONJUNCTIONS = 16


def installed_if(marker: str, groups: frozenset[str] = frozenset()) -> str | None:
    """Return a marker without its extras (none is installed) and groups; ``None`` if it never holds.

    Raise `InvalidMarker`.
    """
    if not _DECIDABLE.search(marker):
        return marker
    condition = parse(marker, groups)
    return None if condition == NEVER else render(condition)


@lru_cache(maxsize=10_000)
def parse(marker: str, groups: frozenset[str] = frozenset()) -> Condition:
    """Return a marker as a condition; an empty one always holds. Raise `InvalidMarker`."""
    if not marker:
        return ALWAYS
    tokens = [*_TOKEN.findall(str(marker_of(marker))), ""]
    return _any(tokens[::-1], groups)


def either(one: Condition, other: Condition) -> Condition:
    """Return what holds if any of the two does."""
    return one if one == other else _simplified(one | other)


def both(one: Condition, other: Condition) -> Condition:
    """Return what holds if both do."""
    if ALWAYS in (one, other):
        return other if one == ALWAYS else one
    if len(one) * len(other) > 4 * _CONJUNCTIONS:
        return ALWAYS
    return _simplified(frozenset(left | right for left in one for right in other))


def render(condition: Condition) -> str:
    """Return the marker, which is empty for what always holds."""
    if condition == ALWAYS:
        return ""
    conjunctions = sorted(" and ".join(" ".join(part) for part in sorted(parts)) for parts in condition)
    return " or ".join(f"({text})" if " and " in text and len(conjunctions) > 1 else text for text in conjunctions)


def _any(tokens: list[str], groups: frozenset[str]) -> Condition:
    condition = _all(tokens, groups)
    while tokens[-1] == "or":
        tokens.pop()
        condition = either(condition, _all(tokens, groups))
    return condition


def _all(tokens: list[str], groups: frozenset[str]) -> Condition:
    condition = _one(tokens, groups)
    while tokens[-1] == "and":
        tokens.pop()
        condition = both(condition, _one(tokens, groups))
    return condition


def _one(tokens: list[str], groups: frozenset[str]) -> Condition:
    left = tokens.pop()
    if left == "(":
        condition = _any(tokens, groups)
        tokens.pop()
        return condition
    operator = tokens.pop()
    if operator == "not":
        operator = f"not {tokens.pop()}"
    right = tokens.pop()
    if right in ("extras", "dependency_groups"):
        active = right == "dependency_groups" and left.strip("\"'") in groups
        return ALWAYS if active == (operator == "in") else NEVER
    if "extra" in (left, right) and operator in ("==", "!="):
        return ALWAYS if operator == "!=" else NEVER
    return frozenset({frozenset({(left, operator, right)})})


def _simplified(condition: Condition) -> Condition:
    """Drop what another conjunction implies, and comparisons whose opposite is covered."""
    if len(condition) > 4 * _CONJUNCTIONS:
        return ALWAYS
    parts = set(condition)
    changed = True
    while changed:
        changed = False
        for conjunction in sorted(parts, key=len, reverse=True):
            others = parts - {conjunction}
            if any(other <= conjunction for other in others):
                parts = others
                continue
            needless = {part for part in conjunction if _covered(part, conjunction, others)}
            if needless:
                # One at a time: two needless ones may each be needless only beside the other.
                parts = others | {conjunction - {min(needless)}}
                changed = True
                break
    return frozenset(parts) if len(parts) <= _CONJUNCTIONS else ALWAYS


def _covered(part: Comparison, conjunction: frozenset[Comparison], others: set[frozenset[Comparison]]) -> bool:
    left, operator, right = part
    opposite = (left, _OPPOSITE.get(operator, ""), right)
    return any(opposite in other and other - {opposite} <= conjunction - {part} for other in others)
