"""What conda's packages are called on the package index, from a list in the project: nothing is looked up."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from packaging.utils import canonicalize_name

FILE = Path(__file__).with_name("conda-names.txt")


def twin(conda: str) -> str:
    """Return the normalised name on the index, or nothing: a package of that name may be something else there."""
    return names().get(canonicalize_name(conda), "")


@cache
def names() -> dict[str, str]:
    """Return the index's name of each package, by conda's normalised name."""
    lines = [line.split() for line in FILE.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    return {line[0]: line[-1] for line in lines}
