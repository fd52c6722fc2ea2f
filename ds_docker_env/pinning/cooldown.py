"""Releases of the last days, which locks leave out, as most malicious ones are found and removed within days.

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

# A fork that wants another number changes it here; a person sets exclude-newer in uv.toml.
DAYS = 7
# Times that packages without dates are found, one behind another, before all are taken for such packages.
_ROUNDS = 3
_NOTED = re.compile(r"^# uv .*, index as of (\S+)$", re.MULTILINE)
_UNDATED = re.compile(r"^warning: `([^`]+)` is missing an upload date", re.MULTILINE)
_FILTERED = re.compile(r"^hint: `([^`]+)` was filtered by `exclude-newer`", re.MULTILINE)
_OWN = re.compile(r"^\s*exclude-newer\s*=", re.MULTILINE)


@dataclass
class Cooldown:
    """How new a release may be, and the packages for which that does not hold.

    ``limit`` is a time, or blank if any release will do or if uv knows of a limit by itself. It does not hold for what
    production ``pins``, for ``undated`` packages, of which the index does not say when they were uploaded, and for
    packages of which nothing older fits production, and which are ``forced``, until that is ``settled``. ``day`` is the
    day that a person named, or at which the project is ``held``, or a blank.
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
        """Return the cooldown for the next lock after this one, whose versions all stay available.

        A day that is ``given``, or at which the project is ``held``, takes precedence over a limit that a person has
        set for uv, in ``settings``, the project's uv.toml, or elsewhere. A given day may precede the limit of the lock.
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
        """Return options of uv."""
        if not self.limit:
            return []
        names = sorted({*self.pins, *self.undated, *self.forced})
        return ["--exclude-newer", self.limit, *(f"--exclude-newer-package={name}=false" for name in names)]

    @property
    def noted(self) -> str:
        """Return how new the index can have been apart from production's pins, or nothing for now."""
        return "" if self.forced and not self.day else self.limit

    def learn(self, said: str, *, force: bool = False) -> bool:
        """Take note of the packages to which it cannot be applied, from what uv said; say whether to try again.

        ``force`` also exempts packages of which nothing older fits.
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
        """Return the packages that uv, which found no lock, left releases out of."""
        return list(dict.fromkeys(_FILTERED.findall(said))) if self.limit else []

    @property
    def why(self) -> str:
        """Return the reason for leaving out a release, for a person."""
        if self.day:
            return f"released after {self.day}"
        return f"released after {self.limit}, and releases of the last {DAYS} days are left out"

    def lines(self, taken: Collection[str] = ()) -> list[str]:
        """Return lines for a person; ``taken`` are new releases in the lock that production pins or forces."""
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
    """Return what uv said, without a line for each file of which the index does not say when it was uploaded."""
    return "".join(line for line in said.splitlines(keepends=True) if not _UNDATED.match(line))


def time_of(limit: str) -> datetime | None:
    """Return the end of a limit as uv takes it, a day or a time, or nothing for another one, such as ``3 days``."""
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
