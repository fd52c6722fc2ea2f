"""Pin small cases as generation would, for a person to compare: ``uv run benchmarks/cases.py DIRECTORY``.

DIRECTORY has a ``cases.tsv`` with the columns file, python, debian, ``expected right outcome`` and perhaps observed,
the earlier outcome. Prints for each case the expectation, and the current summary or message. Fails like
benchmarks/corpus.py, for example if a pin changed or an unknown exception appears, but not for the wording.
"""

from __future__ import annotations

import sys
from pathlib import Path

from corpus import read_rows, run, target_of


def main(folder: Path) -> int:
    """Print each case and return the number with a broken promise."""
    broken = 0
    for row in read_rows(folder / "cases.tsv"):
        outcome = run(str(folder / row["file"]), target_of(row), ())
        print(f"{row['file']}, Python {row['python']} on {row['debian']}: {outcome.ended}, {outcome.seconds:.1f} s")
        print(f"    expected: {row['expected right outcome']}")
        print(f"    before:   {row.get('observed') or '-'}")
        print(*(f"    seen:     {line}\n" for line in (*outcome.summary, *outcome.messages)), sep="", end="")
        print(*(f"    BROKEN:   {line}\n" for line in outcome.broken), sep="", flush=True)
        broken += bool(outcome.broken)
    return broken


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
