"""Say in Markdown what a refresh has moved, and what is known about the locks: ``uv run locks/change.py``.

The exit code is 0 only if nothing is.
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from ds_docker_env.common import uv
from ds_docker_env.common.redaction import some
from ds_docker_env.common.shipped import LOCKS
from ds_docker_env.common.sources.command import run_git
from ds_docker_env.common.target import MACHINES
from ds_docker_env.pinning.parity import Locked, read_lock

Rows = dict[tuple[str, ...], list[str]]


def moved(locks: list[Path]) -> Rows:
    """Return what each package was and is, by the names of the locks; the last commit has what it was."""
    rows: Rows = defaultdict(list)
    for path in locks:
        committed = run_git("-C", str(path.parent), "show", f"HEAD:./{path.name}") or ""
        both = committed, path.read_text(encoding="utf-8")
        for row in {row for machine in MACHINES for row in _changes(*(read_lock(lock, machine) for lock in both))}:
            rows[row].append(path.stem)
    return rows


def known(locks: list[Path]) -> tuple[Rows, list[str]]:
    """Return the advisories by the names of the locks, and what could not be audited."""
    rows: Rows = defaultdict(list)
    silent: list[str] = []
    for path in locks:
        try:
            packages = _audit(path)
        except ValueError as error:
            silent.append(f"{path.stem}: {error}")
            continue
        for package in packages:
            for advisory in package.get("vulns", []):
                fixed = ", ".join(advisory["fix_versions"])
                rows[package["name"], package["version"], advisory["id"], fixed].append(path.stem)
        unknown = [package["name"] for package in packages if "skip_reason" in package]
        if unknown:
            silent.append(f"{path.stem}: the database of advisories does not know {some(unknown, 3)}")
    return rows, silent


def table(head: str, rows: Rows) -> list[str]:
    """Return a table in Markdown, whose last column is where."""
    columns = [*head.split(), "in"]
    lines = [" | ".join([*row, _where(locks)]) for row, locks in sorted(rows.items())]
    return ["", f"| {' | '.join(columns)} |", f"|{'---|' * len(columns)}", *(f"| {line} |" for line in lines)]


def _changes(before: Mapping[str, Locked], after: Mapping[str, Locked]) -> Iterator[tuple[str, str, str]]:
    for name in before.keys() | after.keys():
        was, now = before.get(name), after.get(name)
        if was != now:
            old, new = (locked.version if locked else "none" for locked in (was, now))
            yield name, old, new if old != new else "with other files"


def _where(locks: list[str]) -> str:
    """Return the names shortened, as GitHub takes no more than 65,536 letters."""
    names = [name.removeprefix("requirements-") for name in locks]
    return ", ".join(name for name in names if name.removesuffix("-options") == name or name[:-8] not in names)


def _audit(path: Path) -> list[dict[str, Any]]:
    """Return what pip-audit, of the version that ships with the template, says of each package."""
    options = ["--disable-pip", "--require-hashes", "--progress-spinner", "off", "--desc", "off", "--format", "json"]
    command = ["--constraints", "tools-trixie.txt", "pip-audit", *options, "--requirement", path.name]
    done = uv.run("tool", "run", "--quiet", *command, folder=path.parent)
    try:
        packages: list[dict[str, Any]] = json.loads(done.stdout)["dependencies"]
    except ValueError:
        raise ValueError((done.stderr.strip().splitlines() or ["pip-audit said nothing"])[-1][:300]) from None
    return packages


if __name__ == "__main__":
    every = sorted(LOCKS.glob("*.txt"))
    if rows := moved(every):
        print("What `uv run locks/refresh.py` has moved.", *table("package from to", rows), "", sep="\n")
    vulnerable, silent = known(every)
    if vulnerable:
        print(
            "What pip-audit knows about the locks.", *table("package version advisory fixed", vulnerable), "", sep="\n"
        )
    if silent:
        print("What pip-audit could not audit.\n", *(f"- {line}" for line in silent), sep="\n")
    if not (vulnerable or silent):
        print(f"pip-audit knows nothing about what is in these {len(every)} locks.")
    sys.exit(bool(vulnerable or silent))
