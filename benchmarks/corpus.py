"""Pin a folder of real production files as generation would: ``uv run benchmarks/corpus.py FOLDER [SERVICE...]``.

FOLDER holds ``INDEX.tsv`` with at least the columns folder, entry and python; services are those of the question.
Prints a line for each file (how it ended, seconds, the oldest package of the analysis with its month, packages of the
analysis that were left out) and the totals. Fails if a pin changed, a lock holds a credential, a package is below its
floor, an exception other than ours appears, or a file takes longer than 120 s. Months come from the index; where it
has none, nothing is the oldest.
"""

from __future__ import annotations

import csv
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

sys.path.insert(0, str(Path(__file__).parents[1]))

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from ds_docker_env.common import uv
from ds_docker_env.common.errors import GenerationError, LockError
from ds_docker_env.common.redaction import without_credentials
from ds_docker_env.common.shipped import shipped_analysis
from ds_docker_env.common.target import Target
from ds_docker_env.pinning.parity import prove, read_lock
from ds_docker_env.pinning.pinned import Pinned, pin
from ds_docker_env.pinning.production.model import Production
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
    oldest: str = ""
    broken: tuple[str, ...] = ()


def run(location: str, target: Target, services: Sequence[str]) -> Outcome:
    """Pin one file as generation would and check the promises on the result."""
    started = time.monotonic()
    analysis = shipped_analysis(target.python, services)
    messages: tuple[str, ...] = ()
    try:
        pinned = pin(location, target, analysis)
        ended = "locked"
    except LockError as error:
        ended, messages = ", ".join(error.causes), error.problems
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
    wanted: dict[str, Requirement] = {
        canonicalize_name((found := Requirement(line)).name): found for line in analysis.requirements
    }
    ours = {pin.name for pin in production.pins}
    free: dict[str, str] = {name: lock[name].version for name in wanted if name in lock and name not in ours}
    try:
        prove(production, lock, target)
    except GenerationError as error:
        broken += error.problems
    broken += [
        f"{name} {version} is below its floor"
        for name, version in free.items()
        if not wanted[name].specifier.contains(version)
    ]
    if any(without_credentials(text) != text for text in pinned.files.values()):
        broken.append("a file holds a credential")
    left_out = tuple(name for name in wanted if name not in lock)
    return Outcome(ended, seconds, (), left_out, _oldest(free, target), tuple(broken))


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
            f"{outcome.oldest:30} {', '.join(outcome.left_out)}"
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


def _oldest(versions: Mapping[str, str], target: Target) -> str:
    """Return the package that was released first, with the month, as the index dates it."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "all.in").write_text(
            "".join(f"{name}=={version}\n" for name, version in versions.items()), encoding="utf-8"
        )
        options = ("--quiet", "--no-deps", "--python-version", target.full_python, "--output-file", "pylock.toml")
        uv.run("pip", "compile", *options, "all.in", folder=Path(folder))
        dated = Path(folder, "pylock.toml")
        packages = tomllib.loads(dated.read_text(encoding="utf-8"))["packages"] if dated.exists() else []
    released: dict[str, datetime] = {}
    for package in packages:
        times = [file["upload-time"] for file in package.get("wheels", []) if "upload-time" in file]
        if times:
            released[package["name"]] = min(times)
    if not released:
        return ""
    name = min(released, key=lambda found: released[found])
    return f"{name} {versions[name]} ({released[name]:%Y-%m})"


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), *sys.argv[2:]))
