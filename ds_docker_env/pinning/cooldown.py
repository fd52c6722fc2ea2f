"""The cooldown: locks leave out releases of the last days, because most malicious ones are removed within days.

https://docs.astral.sh/uv/concepts/resolution/#dependency-cooldowns
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone

from packaging.utils import canonicalize_name, parse_sdist_filename, parse_wheel_filename

from ds_docker_env.common.day import last_second
from ds_docker_env.common.redaction import some
from ds_docker_env.pinning.indexes import settings_of_uv

# Forks change the number here; users set exclude-newer in uv.toml.
DAYS = 7
# After as many rounds with packages without dates, the index is assumed to have no dates.
_ROUNDS = 3
_NOTED = re.compile(r"^# uv .*, index as of (\S+)$", re.MULTILINE)
_UNDATED = re.compile(r"^warning: `([^`]+)` is missing an upload date", re.MULTILINE)
_FILTERED = re.compile(r"^hint: `([^`]+)` was filtered by `exclude-newer`", re.MULTILINE)
_OWN = re.compile(r"^\s*exclude-newer\s*=", re.MULTILINE)


@dataclass
class Cooldown:
    """The time limit for releases, and the packages that are exempt.

    ``limit`` is blank if any release is allowed or if uv's own settings have a limit. Exempt are packages that
    production ``pins``, ``undated`` packages without upload dates, and ``forced`` packages, whose older releases do not
    fit production; once ``settled``, others are not forced. ``day`` is the day that a user named, or at which the
    project is ``held``, or blank.
    """

    limit: str = ""
    pins: Collection[str] = ()
    undated: set[str] = field(default_factory=set)
    forced: set[str] = field(default_factory=set)
    off: bool = False
    day: str = ""
    held: bool = False
    settled: bool = False
    _rounds: int = 0

    @classmethod
    def of(cls, lock: str, pins: Collection[str], settings: str = "", given: str = "", held: str = "") -> Cooldown:
        """Return the cooldown for the next lock after ``lock``, whose versions stay available.

        A day that is ``given``, or at which the project is ``held``, overrides a limit in ``settings``, the project's
        uv.toml, or in other settings of uv. A given day may precede the limit of the lock.
        """
        noted = _NOTED.search(lock)
        before = time_of(noted[1]) if noted else None
        if day := given or held:
            limit = last_second(day) if given else max(last_second(day), before or last_second(day))
            return cls(_text(limit), pins, day=limit.date().isoformat(), held=not given)
        if os.environ.get("UV_EXCLUDE_NEWER") or any(map(_OWN.search, [settings, *settings_of_uv()])):
            return cls()
        start = datetime.now(timezone.utc).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(DAYS)
        return cls(_text(max(start, before or start)), pins)

    @property
    def options(self) -> list[str]:
        """Return the options for uv."""
        if not self.limit:
            return []
        names = sorted({*self.pins, *self.undated, *self.forced})
        return ["--exclude-newer", self.limit, *(f"--exclude-newer-package={name}=false" for name in names)]

    @property
    def noted(self) -> str:
        """Return the limit for the header of the lock, or nothing if the lock has newer releases."""
        return "" if self.forced and not self.day else self.limit

    def learn(self, said: str, *, force: bool = False) -> bool:
        """Exempt packages that need it, from uv's output; say whether to try again.

        ``force`` also exempts packages whose older releases do not fit.
        """
        if not self.limit:
            return False
        undated = {name for file in _UNDATED.findall(said) if (name := _name(file))} - self.undated
        exempt = {*self.undated, *self.forced, *self.pins}
        forced = set(_FILTERED.findall(said)) - exempt if force and not self.settled else set()
        self.undated |= undated
        self.forced |= forced - undated
        self._rounds += bool(undated)
        if self._rounds > _ROUNDS:
            self.off, self.limit = True, ""
        return bool(undated or forced)

    def filtered(self, said: str) -> list[str]:
        """Return the packages whose new releases the limit excluded, when uv did not find a lock."""
        return list(dict.fromkeys(_FILTERED.findall(said))) if self.limit else []

    @property
    def why(self) -> str:
        """Return the reason for excluding a release, for a message."""
        if self.day:
            return f"released after {self.day}"
        return f"released after {self.limit}, and releases of the last {DAYS} days are left out"

    def lines(self, taken: Collection[str] = ()) -> list[str]:
        """Return the lines for a summary; ``taken`` are new releases that production pins or forces."""
        when = f"after {self.day}" if self.day else f"in the last {DAYS} days"
        lines = [f"Held at:    {self.day} (UTC): packages as the index had them then"] if self.held else []
        for each in taken:
            why = "production pins it" if each.partition(" ")[0] in self.pins else "nothing older fits"
            lines.append(f"Too new:    {each}: released {when}, but {why}")
        names = [] if self.off else sorted(self.undated)
        if self.off or names:
            which = f"{some(names)}: " if names else ""
            lines.append(f"Undated:    {which}the index has no upload dates, so any release is allowed")
        return lines


def without_undated(said: str) -> str:
    """Return uv's output without its warnings about missing upload dates."""
    return "".join(line for line in said.splitlines(keepends=True) if not _UNDATED.match(line))


def time_of(limit: str) -> datetime | None:
    """Return the end of a day or a time in uv's notation, or nothing for a duration such as ``3 days``."""
    with suppress(ValueError):
        found = datetime.fromisoformat(limit.replace("Z", "+00:00"))
        found = found + timedelta(1) if len(limit) == len("2026-01-01") else found
        return found if found.tzinfo else found.replace(tzinfo=timezone.utc)
    return None


def _text(limit: datetime) -> str:
    return limit.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def _name(file: str) -> str:
    with suppress(ValueError):
        return str((parse_wheel_filename if file.endswith(".whl") else parse_sdist_filename)(file)[0])
    return canonicalize_name(file.partition("-")[0])
