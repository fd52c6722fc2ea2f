"""Print the changes of a refresh and the advisories about the locks in Markdown: ``uv run locks/change.py``.

The exit code is 0 only if the audit is complete and without advisories.
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
    """Return each change since the last commit, with the names of the locks."""
    rows: Rows = defaultdict(list)
    for path in locks:
        committed = run_git("-C", str(path.parent), "show", f"HEAD:./{path.name}") or ""
        both = committed, path.read_text(encoding="utf-8")
        for row in {row for machine in MACHINES for row in _changes(*(read_lock(lock, machine) for lock in both))}:
            rows[row].append(path.stem)
    return rows


def known(locks: list[Path]) -> tuple[Rows, list[str]]:
    """Return each advisory with the names of the locks, and the gaps in the audit."""
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
    """Return a table in Markdown, whose last column names the locks."""
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
    """Return shortened names, because GitHub's limit is 65,536 characters."""
    names = [name.removeprefix("requirements-") for name in locks]
    return ", ".join(name for name in names if name.removesuffix("-options") == name or name[:-8] not in names)


def _audit(path: Path) -> list[dict[str, Any]]:
    """Return the results for each package from pip-audit, in the version that ships with the template."""
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
        print("Changes by `uv run locks/refresh.py`:", *table("package from to", rows), "", sep="\n")
    vulnerable, silent = known(every)
    if vulnerable:
        print("Advisories from pip-audit:", *table("package version advisory fixed", vulnerable), "", sep="\n")
    if silent:
        print("Gaps in the audit:\n", *(f"- {line}" for line in silent), sep="\n")
    if not (vulnerable or silent):
        print(f"pip-audit: no known vulnerabilities in {len(every)} locks.")
    sys.exit(bool(vulnerable or silent))
