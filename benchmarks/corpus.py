"""Pin a directory of real production files as generation would: ``uv run benchmarks/corpus.py DIRECTORY [SERVICE...]``.

DIRECTORY has ``INDEX.tsv`` with the columns folder, entry and python, and perhaps debian; services are those of
the question. Prints a line for each file: how it ended (``stall`` is given up for time), what each processor gets
(wheels, packages to compile, or nothing), seconds, and packages of the analysis that were left out; below it the lines
of the summary counted by kind, and the packages to compile. Totals follow. Fails if a pin changed, a lock holds a
credential, a package is below its floor, uv cannot install a lock's wheels by their hashes on a processor, or an
exception other than ours appears. ``UV_CACHE_DIR`` set to an empty directory measures cold.
"""

from __future__ import annotations

import csv
import re
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from packaging.requirements import Requirement

from ds_docker_env.common import uv
from ds_docker_env.common.analysis import without_comment
from ds_docker_env.common.errors import GenerationError
from ds_docker_env.common.redaction import without_credentials
from ds_docker_env.common.shipped import shipped_analysis
from ds_docker_env.common.target import AMD64, ARM64, DEBIAN_RELEASES, MACHINES, Target, machines, why_amd64_only
from ds_docker_env.pinning.parity import prove_each, read_lock, without
from ds_docker_env.pinning.pinned import Pinned, pin
from ds_docker_env.pinning.production.model import Production, name_of
from ds_docker_env.pinning.production.reader import read_production
from ds_docker_env.pinning.resolver import Resolver
from ds_docker_env.pinning.wheels import offers


@dataclass(frozen=True)
class Outcome:
    """The result for one file; ``broken`` are the promises that were not kept.

    ``summary`` are the lines that a person reads of a lock; ``compiled`` has, for each processor that the lock is for,
    the packages without a wheel.
    """

    ended: str
    seconds: float
    summary: tuple[str, ...] = ()
    messages: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    broken: tuple[str, ...] = ()
    compiled: Mapping[str, Collection[str]] = field(default_factory=dict)

    def on(self, machine: str) -> str:
        """Return the result for a processor in one word."""
        packages = self.compiled.get(machine)
        return "cannot" if packages is None else f"{len(packages)} compiled" if packages else "wheels"

    def kinds(self) -> Counter[str]:
        """Count the lines of the summary by kind, and production's pins as ``kept``."""
        text = "\n".join(self.summary)
        kept = sum(map(int, re.findall(r"^Production: +(\d+)", text, re.MULTILINE)))
        heads = Counter(re.findall(r"^(?!Production|Added)([A-Z][\w ]+): ", text, re.MULTILINE))
        return Counter({"kept": kept}) + heads


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
    broken = ["an exception of Python's own"] if ended == "traceback" else []
    if ended != "locked":
        return Outcome(ended, seconds, messages=messages, broken=tuple(broken))
    text, production = pinned.files["requirements.txt"], _production(pinned, target)
    lock = read_lock(text, AMD64)
    # Packages that are left out or older are comments there.
    lines = filter(None, map(without_comment, pinned.files["requirements.in"].splitlines()))
    wanted = {name_of(line): Requirement(line) for line in lines}
    ours = {pin.name for pin in production.pins}
    try:
        prove_each(production, text, target)
    except GenerationError as error:
        broken += error.problems
    broken += [
        f"{name} {lock[name].version} is below its floor"
        for name in (wanted.keys() & lock.keys()) - ours
        if not wanted[name].specifier.contains(lock[name].version)
    ]
    if any(without_credentials(text) != text for text in pinned.files.values()):
        broken.append("a file holds a credential")
    left_out = tuple(name for name in map(name_of, analysis.requirements) if name not in lock)
    with tempfile.TemporaryDirectory() as folder:
        offered = offers(Resolver(Path(folder), production, set(), target), text)
        compiled = {
            machine: [
                name
                for name in read_lock(text, machine)
                if name not in offered[machine] or machine not in offered[machine][name].wheels
            ]
            for machine in machines(text)
        }
        for machine, names in compiled.items():
            broken += _install(without(text, names), target.on(machine), Path(folder))
    messages = (why_amd64_only(text),) if why_amd64_only(text) else ()
    if more := [name for name in compiled.get(ARM64, ()) if name not in compiled[AMD64]]:
        messages = (f"compiled on {MACHINES[ARM64]} alone: {', '.join(more)}",)
    return Outcome(ended, seconds, tuple(pinned.summary), messages, left_out, tuple(broken), compiled)


def read_rows(path: Path) -> list[dict[str, str]]:
    """Return the rows of a table with tabs and a heading."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


def target_of(row: Mapping[str, str]) -> Target:
    """Return the Python of a row, on its Debian or on the default one."""
    target = Target(row["python"])
    debian = row.get("debian") or DEBIAN_RELEASES[target.python][0]
    return target._replace(**{"debian": debian} if "debian" in Target._fields else {})


def main(folder: Path, *services: str) -> int:
    """Print the table and return the number of files with a broken promise."""
    outcomes = []
    for row in read_rows(folder / "INDEX.tsv"):
        outcome = run(str(folder / row["folder"] / row["entry"]), target_of(row), services)
        outcomes.append(outcome)
        print(
            f"{row['folder'][:42]:42} {row['python']:5} {outcome.ended:12} {outcome.on(AMD64):12} "
            f"{outcome.on(ARM64):12} {outcome.seconds:5.1f} s  {', '.join(outcome.left_out)}"
        )
        lines = [*outcome.messages, *outcome.broken]
        if outcome.ended == "locked":
            lines.insert(0, _counted(outcome.kinds()))
        if names := sorted(set(chain.from_iterable(outcome.compiled.values()))):
            lines.append(f"to compile: {', '.join(names)}")
        print(*(f"    {line}\n" for line in lines), sep="", end="", flush=True)
    for machine, name in MACHINES.items():
        counts = Counter(outcome.on(machine).partition(" ")[2] or outcome.on(machine) for outcome in outcomes)
        print(f"{name}: {', '.join(f'{count} {word}' for word, count in counts.most_common())}")
    seconds = sorted(outcome.seconds for outcome in outcomes)
    broken = sum(bool(outcome.broken) for outcome in outcomes)
    print(f"in all: {_counted(sum((outcome.kinds() for outcome in outcomes), Counter()))}")
    print(*(f"{count:3} {ended}" for ended, count in Counter(each.ended for each in outcomes).most_common()), sep="\n")
    late = seconds[int(len(seconds) * 0.95)]
    print(f"median {statistics.median(seconds):.1f} s, 95 % {late:.1f} s, longest {seconds[-1]:.1f} s")
    print(f"{broken} of {len(outcomes)} files with a broken promise")
    return broken


def _counted(kinds: Counter[str]) -> str:
    return ", ".join(f"{count} {kind}" for kind, count in kinds.most_common())


def _install(wheels: str, target: Target, folder: Path) -> list[str]:
    """Return the reason why a lock's wheels cannot be installed by hash, without downloading them."""
    (folder / "wheels.txt").write_text(wheels, encoding="utf-8")
    done = uv.run(
        *("pip", "install", "--dry-run", "--quiet", "--no-deps", "--require-hashes", "--only-binary", ":all:"),
        *("--python-version", target.full_python, "--python-platform", target.platform, "--target", "installed"),
        *("--requirement", "wheels.txt"),
        folder=folder,
    )
    return [f"{target.docker}: {done.stderr[:300]}"] if done.returncode else []


def _production(pinned: Pinned, target: Target) -> Production:
    """Read production.txt as a user of the project would."""
    with tempfile.TemporaryDirectory() as folder:
        for name, text in pinned.files.items():
            Path(folder, name).write_text(text, encoding="utf-8")
        return read_production(str(Path(folder, "production.txt")), target)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), *sys.argv[2:]))
