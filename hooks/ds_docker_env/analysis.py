"""The packages that an analysis needs besides production's, from ``locks/requirements.in``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

LOCKS = Path(__file__).parents[2] / "locks"


def requirements() -> list[str]:
    """Return the packages with their floors, in the order of the file."""
    return [line for line in _lines() if line and not line.startswith("#")]


def render(left_out: Mapping[str, str]) -> str:
    """Return requirements.in for production, with what is left out as comments that give the reason."""
    first, *packages = [f"# {line}: left out, {left_out[line]}" if line in left_out else line for line in _lines()]
    heading = "# Floors only: everything that production pins has production's version."
    return "".join(f"{line}\n" for line in [first, heading, *packages])


def shipped(python: str, debian: str) -> dict[str, str]:
    """Return the files that were locked and tested with this template, by name."""
    return {
        "requirements.in": (LOCKS / "requirements.in").read_text(encoding="utf-8"),
        "requirements.txt": shipped_lock(python),
        "tools.txt": (LOCKS / f"tools-{debian}.txt").read_text(encoding="utf-8"),
    }


def shipped_lock(python: str) -> str:
    """Return the lock of the packages without a production file."""
    return (LOCKS / f"requirements-{python}.txt").read_text(encoding="utf-8")


def _lines() -> list[str]:
    return (LOCKS / "requirements.in").read_text(encoding="utf-8").splitlines()
