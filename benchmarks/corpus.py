"""Pin a folder of real production files as generation would: ``uv run benchmarks/corpus.py FOLDER [SERVICE...]``.

FOLDER holds ``INDEX.tsv`` with at least the columns folder, entry and python; services are those of the question.
Prints a line for each file (how it ended, seconds, packages of the analysis that were left out) and the totals. Fails
if a pin changed, a lock holds a credential, a package is below its floor, an exception other than ours appears, or a
file takes longer than 120 s.
"""

from __future__ import annotations

import csv
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from packaging.requirements import Requirement

from ds_docker_env.common.errors import GenerationError
from ds_docker_env.common.redaction import without_credentials
from ds_docker_env.common.shipped import shipped_analysis
from ds_docker_env.common.target import Target
from ds_docker_env.pinning.parity import prove, read_lock
from ds_docker_env.pinning.pinned import Pinned, pin
from ds_docker_env.pinning.production.model import Production, name_of
from ds_docker_env.pinning.production.reader import read_production

# Seconds that a person waits at most.
_PATIENCE = 120


@dataclass(frozen=True)
class Outcome:
    """What became of one file; ``broken`` are the promises that were not kept."""

    ended: str
    seconds: float
    messages: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    broken: tuple[str, ...] = ()


def run(location: str, target: Target, services: Sequence[str]) -> Outcome:
    """Pin one file as generation would and check the promises on the result."""
    started = time.monotonic()
    analysis = shipped_analysis(target.python, services)
    messages: tuple[str, ...] = ()
    try:
        pinned = pin(location, target, analysis)
        ended = "locked"
    except GenerationError as error:
        ended, messages = type(error).__name__.removesuffix("Error").lower(), error.problems
    except Exception as error:  # to find these is the point of the run
        ended, messages = "traceback", (repr(error),)
    seconds = time.monotonic() - started
    broken = ["took longer than 120 s"] if seconds > _PATIENCE else []
    if ended == "traceback":
        broken.append("an exception of Python's own")
    if ended != "locked":
        return Outcome(ended, seconds, messages, broken=tuple(broken))
    lock, production = read_lock(pinned.files["requirements.txt"]), _production(pinned, target)
    wanted = {name_of(line): Requirement(line) for line in analysis.requirements}
    ours = {pin.name for pin in production.pins}
    try:
        prove(production, lock, target)
    except GenerationError as error:
        broken += error.problems
    broken += [
        f"{name} {lock[name].version} is below its floor"
        for name in (wanted.keys() & lock.keys()) - ours
        if not wanted[name].specifier.contains(lock[name].version)
    ]
    if any(without_credentials(text) != text for text in pinned.files.values()):
        broken.append("a file holds a credential")
    left_out = tuple(name for name in wanted if name not in lock)
    return Outcome(ended, seconds, (), left_out, tuple(broken))


def main(folder: Path, *services: str) -> int:
    """Print the table and return the number of files with a broken promise."""
    with (folder / "INDEX.tsv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    outcomes = []
    for row in rows:
        outcome = run(str(folder / row["folder"] / row["entry"]), Target(row["python"]), services)
        outcomes.append(outcome)
        print(
            f"{row['folder'][:42]:42} {row['python']:5} {outcome.ended:16} {outcome.seconds:5.1f} s  "
            f"{', '.join(outcome.left_out)}"
        )
        for line in (*outcome.messages, *outcome.broken):
            print(f"    {line}", flush=True)
    seconds = sorted(outcome.seconds for outcome in outcomes)
    broken = sum(bool(outcome.broken) for outcome in outcomes)
    print(*(f"{count:3} {ended}" for ended, count in Counter(each.ended for each in outcomes).most_common()), sep="\n")
    late = seconds[int(len(seconds) * 0.95)]
    print(f"median {statistics.median(seconds):.1f} s, 95 % {late:.1f} s, longest {seconds[-1]:.1f} s")
    print(f"{broken} of {len(outcomes)} files with a broken promise")
    return broken


def _production(pinned: Pinned, target: Target) -> Production:
    """Read production.txt as anybody would who gets the project."""
    with tempfile.TemporaryDirectory() as folder:
        for name, text in pinned.files.items():
            Path(folder, name).write_text(text, encoding="utf-8")
        return read_production(str(Path(folder, "production.txt")), target)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), *sys.argv[2:]))
