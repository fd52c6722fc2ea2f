"""Names of conda's packages on the package index, from a list in the template."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from packaging.utils import canonicalize_name

FILE = Path(__file__).with_name("conda-names.txt")


def twin(conda: str) -> str:
    """Return the normalised name on the index, or nothing, because the same name may be a different project."""
    return names().get(canonicalize_name(conda), "")


@cache
def names() -> dict[str, str]:
    """Return the index's name of each package, by conda's normalised name."""
    lines = [line.split() for line in FILE.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    return {line[0]: line[-1] for line in lines}
