"""A day in UTC, such as 2026-03-01."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone

from ds_docker_env.common.errors import DayError

PATTERN = r"\d{4}-\d{2}-\d{2}"


def today() -> str:
    """Return today's date."""
    return datetime.now(timezone.utc).date().isoformat()


def checked(day: str, where: str) -> str:
    """Return the day, or a blank for a blank; raise `DayError` if the day does not exist or is in the future."""
    if not day:
        return ""
    try:
        known = bool(re.fullmatch(PATTERN, day)) and bool(last_second(day))
    except (ValueError, OverflowError):
        known = False
    if not known:
        raise DayError(f"{where}: {day!r} is not a date; write YYYY-MM-DD, such as {today()}")
    if day > today():
        raise DayError(f"{where}: {day} is in the future; use a day up to {today()} (today in UTC)")
    return day


def last_second(day: str) -> datetime:
    """Return the last second of a day; raise `ValueError`."""
    return datetime.fromisoformat(f"{day}T23:59:59+00:00")


def of(seconds: int) -> str:
    """Return the day of a time in seconds since 1970."""
    return (datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(seconds=seconds)).date().isoformat()
