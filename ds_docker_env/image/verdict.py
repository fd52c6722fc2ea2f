"""Writes a comparison for the user."""

from __future__ import annotations

import re

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ds_docker_env.common.target import Target
from ds_docker_env.image.comparison import Comparison
from ds_docker_env.image.needs import Need

_RUN = "docker compose run --rm jupyter"
_BUILD = "docker compose up --build"


def verdict(comparison: Comparison, source: str) -> str:
    """Return the result on one line; ``source`` is blank if production's file was not compared."""
    parity = comparison.parity
    held = {pin.name for pin in parity.held}
    wanted = held | {difference.pin.name for difference in parity.differences}
    line = f"{len(held)} of {len(wanted)} versions of production.txt are installed"
    if not wanted:
        line = "production.txt does not pin a version for this environment"
    if elsewhere := {pin.name for pin in parity.elsewhere} - wanted:
        line += f" ({len(elsewhere)} more not for {comparison.target.docker} or this Python)"
    if source and not comparison.moved:
        line += f"; {source} says the same"
    return line


def table(comparison: Comparison, source: str) -> str:
    """Return the table of differences, folded to the width of a terminal, else unfolded."""
    console = Console()
    terminal = console.is_terminal
    if not terminal:
        console.width = 10_000
    shown = Table(box=box.SIMPLE_HEAD if terminal else None, pad_edge=False)
    for place in (
        "package",
        *(["production now"] if source else []),
        "production.txt",
        "requirements.txt",
        "installed",
    ):
        shown.add_column(place, overflow="fold")
    for row in comparison.rows:
        cells = (row.package, *([row.source] if source else []), row.production, row.lock, row.image)
        shown.add_row(*(Text(cell or "-") for cell in cells))
    with console.capture() as captured:
        console.print(shown)
    return "\n".join(line.rstrip() for line in captured.get().strip("\n").splitlines())


def advice(comparison: Comparison, source: str) -> list[str]:
    """Return a remedy for each kind of difference."""
    lines = []
    if comparison.moved:
        lines.append(f"{source}: differs from production.txt; run take-over")
    if comparison.unlocked:
        lines.append(f"requirements.txt: locked with another production.txt; run: {_RUN} lock, then {_BUILD}")
    if comparison.stale:
        lines.append("requirements.txt: differs from the installed packages; run: docker compose restart")
    return lines


def problem(need: Need, lock: str, target: Target, python: str) -> str:
    """Return a requirement that is not met in an image with this patch release of Python, with its remedy."""
    made_for = re.search(r"--python-version ([\d.]+)", lock)
    if made_for and not need.applies(target, made_for[1]):
        return (
            f"Dockerfile: the base image has Python {python}, on which {need.package} needs {need.name}, but "
            f"requirements.txt is for Python {made_for[1]}; renew the base image (README.md), or run: "
            f"{_RUN} add {need.name}"
        )
    return f"{need}; run: {_RUN} {'lock' if need.version else f'add {need.name}'}"
