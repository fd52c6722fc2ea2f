"""Vulnerabilities in audit.toml, which a user accepts until a day."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, NamedTuple

from ds_docker_env.common.errors import RequirementsError
from ds_docker_env.image.advisories import Advisory, Group
from ds_docker_env.pinning.production.formats.reading import entry_lines, read_toml, tables

FILE = "audit.toml"
_KEYS = {"id": str, "reason": str, "until": date}
_AS = 'write [[accepted]] with id = "CVE-…", reason = "…" and until = 2027-01-31'


class Accepted(NamedTuple):
    """The name of an advisory, the last day on which it is accepted, and its line."""

    id: str
    until: date
    line: int


def read(text: str, today: date) -> tuple[list[Accepted], list[str]]:
    """Return the entries in force, and a problem for each other entry."""
    try:
        document = read_toml(text, FILE, "correct it")
    except RequirementsError as error:
        return [], list(error.problems)
    entries = tables(document.get("accepted"))
    accepted, problems = [], []
    if document.keys() - {"accepted"} or (document and not entries):
        problems.append(f"{FILE}: contains other entries than [[accepted]]; {_AS}")
    for entry, line in zip(entries, entry_lines(text, "accepted", len(entries)), strict=True):
        if wrong := _wrong(entry):
            problems.append(f"{FILE}:{line}: {', '.join(wrong)}: missing, unknown or of the wrong type; {_AS}")
        elif entry["until"] < today:
            problems.append(
                f"{FILE}:{line}: {entry['id']}: was accepted until {entry['until']}; fix it, or set a later date"
            )
        else:
            accepted.append(Accepted(entry["id"], entry["until"], line))
    return accepted, problems


def without(groups: Sequence[Group], accepted: Sequence[Accepted]) -> tuple[list[Group], list[Accepted]]:
    """Return the groups without accepted vulnerabilities, and the entries that match nothing in them."""
    ids = {each.id for each in accepted}

    def matches(advisory: Advisory) -> bool:
        return not ids.isdisjoint(advisory.ids)

    named = {name for group in groups for advisory in group.advisories for name in advisory.ids}
    left = [group._replace(advisories=[each for each in group.advisories if not matches(each)]) for group in groups]
    return left, [each for each in accepted if each.id not in named]


def _wrong(entry: dict[str, Any]) -> list[str]:
    wrong = [
        key
        for key, kind in _KEYS.items()
        if not isinstance(entry.get(key), kind) or isinstance(entry[key], datetime) or not str(entry[key]).strip()
    ]
    return wrong + sorted(entry.keys() - _KEYS.keys())
