"""What a person reads of a comparison."""

from __future__ import annotations

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ds_docker_env.image.comparison import Comparison

_RUN = "docker compose run --rm --no-deps jupyter"
_BUILD = "docker compose up --build"


def verdict(comparison: Comparison, source: str) -> str:
    """Return on one line what was compared; ``source`` is blank where production's file was not."""
    parity = comparison.parity
    held = {pin.name for pin in parity.held}
    wanted = held | {difference.pin.name for difference in parity.differences}
    line = f"{len(held)} of {len(wanted)} versions of production.txt are in this image"
    if not wanted:
        line = "production.txt pins no version that this image could hold"
    if parity.elsewhere:
        line += f" ({len(parity.elsewhere)} more not for Linux or this Python)"
    if source and not comparison.moved:
        line += f"; {source} says the same"
    return line


def table(comparison: Comparison, source: str) -> str:
    """Return the differences, fitted to a terminal, where long values are folded, or as wide as they are."""
    console = Console()
    terminal = console.is_terminal
    if not terminal:
        console.width = 10_000
    shown = Table(box=box.SIMPLE_HEAD if terminal else None, pad_edge=False)
    for place in ("package", *(["production now"] if source else []), "production.txt", "requirements.txt", "image"):
        shown.add_column(place, overflow="fold")
    for row in comparison.rows:
        cells = (row.package, *([row.source] if source else []), row.production, row.lock, row.image)
        shown.add_row(*(Text(cell or "-") for cell in cells))
    with console.capture() as captured:
        console.print(shown)
    return "\n".join(line.rstrip() for line in captured.get().strip("\n").splitlines())


def advice(comparison: Comparison, source: str) -> list[str]:
    """Return what to do about each kind of difference."""
    lines = []
    if comparison.moved:
        lines.append(f"{source} is not what production.txt says; take-over instead of check takes it over")
    if comparison.unlocked:
        lines.append(f"requirements.txt was locked with another production.txt: {_RUN} lock, and {_BUILD}")
    if comparison.stale:
        lines.append(f"this image was built from another requirements.txt: {_BUILD}")
    return lines
