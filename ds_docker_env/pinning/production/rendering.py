"""The files of a project that are made from production's file."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

from ds_docker_env.pinning.production.model import Production, as_lines


def render_production(production: Production, today: date, day: str = "") -> str:
    """Return production.txt: the source of the pins, the day if there is one, and the pins."""
    provenance = f"# {production.provenance}\n" if production.provenance else ""
    parts = [
        "# Production's versions; the lock holds each of them exactly.\n"
        f"# source: {production.source}\n{provenance}# sha256: {production.digest}\n"
        f"# taken over on: {today.isoformat()}\n" + (f"# at: {day}\n" if day else "")
    ]
    for title, lines in (
        ("", production.option_lines()),
        ("", [str(pin) for pin in production.pins]),
        ("# Not pinned by production, or from a URL; the lock has the chosen versions.\n", production.unpinned),
    ):
        parts.append(title + as_lines(lines) if lines else "")
    parts.append(_comment("Not taken over; not on a package index, or its URL is unreachable:", production.left_out))
    return "\n".join(part for part in parts if part)


def render_constraints(production: Production) -> str:
    """Return constraints.txt, which production.txt includes."""
    return "# Production's constraints; production.txt includes them.\n" + production.constraints_text()


def render_overrides(overrides: Iterable[str]) -> str:
    """Return overrides.txt, with which uv locks pins that conflict."""
    title = "# Production runs pins that conflict. These versions override the requirements of other packages."
    return as_lines([title, *overrides])


def _comment(title: str, lines: Iterable[str]) -> str:
    return f"# {title}\n" + as_lines([f"#   {line}" for line in lines]) if lines else ""
