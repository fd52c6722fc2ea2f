"""The packages that an analysis needs besides production's, from ``locks/requirements.in``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

LOCKS = Path(__file__).parents[2] / "locks"


def requirements() -> list[str]:
    """Return the packages with their floors, in the order of the file."""
    return [line for line in _lines() if line and not line.startswith("#")]


def render(left_out: Mapping[str, str]) -> str:
    """Return requirements.in, with what is left out as comments that give the reason."""
    lines = [f"# {line}: left out, {left_out[line]}" if line in left_out else line for line in _lines()]
    return "".join(f"{line}\n" for line in lines)


def shipped(python: str, debian: str) -> dict[str, str]:
    """Return the files that were locked and tested with this template, by name."""
    sources = {
        "requirements.in": "requirements.in",
        "requirements.txt": f"requirements-{python}.txt",
        "tools.txt": f"tools-{debian}.txt",
    }
    return {name: (LOCKS / source).read_text(encoding="utf-8") for name, source in sources.items()}


def _lines() -> list[str]:
    return (LOCKS / "requirements.in").read_text(encoding="utf-8").splitlines()
