"""Pin a folder of real production files as generation would: ``uv run benchmarks/corpus.py FOLDER``.

FOLDER holds ``INDEX.tsv`` with at least the columns folder, entry and python. Prints one line for each file and the
totals, and fails if a pin changed, a lock holds a credential, a package is below its floor, an exception other than
ours appears, or a file takes longer than 120 s.
"""

from __future__ import annotations

import csv
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "hooks"))

from ds_docker_env.analysis import shipped_analysis
from ds_docker_env.errors import GenerationError, without_credentials
from ds_docker_env.parity import prove, read_lock
from ds_docker_env.pinning import Pinned, pin
from ds_docker_env.production import read_production
from ds_docker_env.target import Target
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


@dataclass(frozen=True)
class Outcome:
    """What became of one file."""

    name: str
    python: str
    kind: str
    seconds: float
    left_out: str
    message: str
    broken: tuple[str, ...]


def run(folder: Path, row: dict[str, str]) -> Outcome:
    """Pin one file and check the invariants on the result."""
    location, target = str(folder / row["folder"] / row["entry"]), Target(row["python"])
    started = time.monotonic()
    kind, message, left_out, broken = "locked", "", "", []
    try:
        pinned = pin(location, target, shipped_analysis(target.python))
        left_out = ", ".join(line.split()[2].rstrip(",") for line in pinned.summary if line.startswith("Left out:"))
        broken = _broken_invariants(pinned, target)
    except GenerationError as error:
        kind, message = type(error).__name__, "; ".join(error.problems)
    except Exception as error:  # the point of the run is to find these
        kind, broken = "traceback", [repr(error)]
    seconds = time.monotonic() - started
    if seconds > 120:
        broken.append("took longer than 120 s")
    return Outcome(row["folder"], row["python"], kind, seconds, left_out, message, tuple(broken))


def _broken_invariants(pinned: Pinned, target: Target) -> list[str]:
    broken = []
    lock = read_lock(pinned.files["requirements.txt"])
    with tempfile.TemporaryDirectory() as folder:
        taken_over = Path(folder, "production.txt")
        taken_over.write_text(pinned.files["production.txt"], encoding="utf-8")
        if constraints := pinned.files.get("constraints.txt"):
            Path(folder, "constraints.txt").write_text(constraints, encoding="utf-8")
        production = read_production(str(taken_over), target)
    try:
        prove(production, lock, target)
    except GenerationError as error:
        broken += error.problems
    ours = {pin.name for pin in production.pins}
    for line in shipped_analysis(target.python).requirements:
        requirement = Requirement(line)
        name = canonicalize_name(requirement.name)
        if name in lock and name not in ours and not requirement.specifier.contains(lock[name].version):
            broken.append(f"{name} {lock[name].version} is below its floor")
    if any(without_credentials(text) != text for text in pinned.files.values()):
        broken.append("a file holds a credential")
    return broken


def main(folder: Path) -> int:
    """Print the table and return the number of files with a broken invariant."""
    with (folder / "INDEX.tsv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    outcomes = []
    for row in rows:
        outcome = run(folder, row)
        outcomes.append(outcome)
        print(
            f"{outcome.name[:44]:44} {outcome.python:5} {outcome.kind:18} {outcome.seconds:6.1f} s  {outcome.left_out}"
        )
        for line in (outcome.message, *outcome.broken):
            if line:
                print(f"    {line}", flush=True)
    seconds = sorted(outcome.seconds for outcome in outcomes)
    print(
        f"\n{sum(outcome.kind == 'locked' for outcome in outcomes)} of {len(outcomes)} locked; "
        f"median {statistics.median(seconds):.1f} s, 95 % {seconds[int(len(seconds) * 0.95)]:.1f} s, "
        f"longest {seconds[-1]:.1f} s; {sum(bool(outcome.broken) for outcome in outcomes)} with a broken invariant"
    )
    return sum(bool(outcome.broken) for outcome in outcomes)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
