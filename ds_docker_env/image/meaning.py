"""A few words about each move of a version."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from packaging.version import InvalidVersion, Version

from ds_docker_env.common.redaction import some
from ds_docker_env.common.target import Target
from ds_docker_env.image.releases import Release, look_up
from ds_docker_env.pinning.moves import Moves
from ds_docker_env.pinning.parity import Locked

# Packages to look up, and vulnerabilities to name for each.
MOST, _NAMED = 30, 3
_FIRST_YEAR = 1990


def lines(moves: Moves, target: Target, indexes: Iterable[str] = ()) -> list[str]:
    """Return a line with the facts for each difference, and one for each source that did not answer."""
    said, silent = explain(moves, target, indexes)
    return [*moves.with_words(said), *silent]


def explain(moves: Moves, target: Target, indexes: Iterable[str] = ()) -> tuple[dict[str, str], list[str]]:
    """Return the facts about moves by normalised name, and lines about sources that did not answer.

    ``indexes`` are option lines of production's file, in addition to uv's own settings.
    """
    names = list(moves.differences)
    if not names:
        return {}, []
    sides = (moves.before, moves.after)
    old, new = (
        {name: side[name].version for name in names[:MOST] if name in side and side[name].version} for side in sides
    )
    facts = look_up(old, new, target, indexes)
    said = {
        name: "; ".join(words(_release(name, moves.before, facts.old), _release(name, moves.after, facts.new)))
        for name in names
    }
    silent = [*facts.silent]
    if more := len(names[MOST:]):
        silent.append(f"Not known:  details of {more} more packages: only the first {MOST} are looked up")
    return {name: text for name, text in said.items() if text}, silent


def words(old: Release | None, new: Release | None) -> list[str]:
    """Return the facts about a move; a missing package is None."""
    found = [_step(old, new)] if old and new else []
    found += [f"{each.version} is yanked" for each in (new, old) if each and each.yanked]
    before, after = (each.vulnerabilities if each else frozenset() for each in (old, new))
    if before is not None and after is not None:
        found += [_listed("introduces", after, before), _listed("fixes", before, after)]
    if old and new:
        found += [_age(old.uploaded, new.uploaded), new.changelog]
    return [each for each in found if each]


def _release(name: str, side: Mapping[str, Locked], known: Mapping[str, Release]) -> Release | None:
    return known.get(name, Release(side[name].version)) if name in side else None


def _step(old: Release, new: Release) -> str:
    """Return the kind of a move, such as ``major version``; before 1.0 the second number counts as major.

    https://semver.org/#spec-item-4
    """
    try:
        first, second = Version(old.version), Version(new.version)
    except InvalidVersion:
        return ""
    kind = ""
    if (first.epoch, first.major) != (second.epoch, second.major):
        kind = "" if _by_calendar(first, old.uploaded) and _by_calendar(second, new.uploaded) else "major version"
    elif first.major == 0 and first.minor != second.minor:
        kind = "minor version before 1.0"
    return f"older {kind or 'version'}" if second < first else kind


def _by_calendar(version: Version, uploaded: datetime | None) -> bool:
    """Say whether a version begins with a year, of two digits if it was uploaded in that year."""
    return version.major >= _FIRST_YEAR or bool(uploaded and version.major == uploaded.year % 100)


def _listed(verb: str, these: frozenset[frozenset[str]], others: frozenset[frozenset[str]]) -> str:
    """Return the vulnerabilities that do not share a name with others, each by its CVE if it has one."""
    known = frozenset().union(*others)
    names = sorted(map(_shown, filter(known.isdisjoint, these)))
    return f"{verb} {some(names, _NAMED)}" if names else ""


def _shown(names: frozenset[str]) -> str:
    return min(names, key=lambda name: (not name.startswith("CVE-"), name))


def _age(old: datetime | None, new: datetime | None) -> str:
    """Return how much later a version was uploaded, such as ``9 months newer``."""
    if not (old and new) or not (days := abs((new.date() - old.date()).days)):
        return ""
    count, unit = (days, "day") if days < 60 else (round(days / 30.44), "month")
    if count >= 24 and unit == "month":
        count, unit = round(days / 365.25), "year"
    return f"{count} {unit}{'s' if count > 1 else ''} {'newer' if new > old else 'older'}"
