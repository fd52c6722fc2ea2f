"""How the versions of one lock differ from those of another."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from ds_docker_env.common.target import MACHINES, machines
from ds_docker_env.pinning.parity import Locked, read_lock


class Moves(NamedTuple):
    """The packages of two locks, by normalised name."""

    before: Mapping[str, Locked]
    after: Mapping[str, Locked]

    @property
    def changed(self) -> list[str]:
        """Return the packages that were removed or changed version."""
        return sorted(
            name for name, package in self.before.items() if _version(self.after.get(name)) != _version(package)
        )

    @property
    def differences(self) -> dict[str, tuple[str, str]]:
        """Return for each package that differs: ``Moved``, ``New`` or ``Gone``, and its name with its versions."""
        new = sorted(self.after.keys() - self.before.keys())
        moved = [name for name in self.changed if name in self.after]
        gone = [name for name in self.changed if name not in self.after]
        before, after = ({name: _version(each) for name, each in side.items()} for side in self)
        return {
            **{name: ("Moved", f"{name} {before[name]} -> {after[name]}") for name in moved},
            **{name: ("New", f"{name} {after[name]}") for name in new},
            **{name: ("Gone", f"{name} {before[name]}") for name in gone},
        }

    @property
    def lines(self) -> list[str]:
        """Return a line for each difference."""
        return self.with_words({})

    def with_words(self, words: Mapping[str, str]) -> list[str]:
        """Return a line for each difference, with the words for its package."""
        return [
            f"{f'{kind}:':<12}{versions}  {words.get(name, '')}".rstrip()
            for name, (kind, versions) in self.differences.items()
        ]


def moved_elsewhere(before: str, after: str, here: Moves, machine: str) -> list[str]:
    """Return a line for each version that moved on another processor only."""
    return [
        f"{line} on {MACHINES[other]}"
        for other in machines(after)
        if other != machine
        for line in Moves(read_lock(before, other), read_lock(after, other)).lines
        if line not in here.lines
    ]


def _version(package: Locked | None) -> str:
    return package.version or "from its URL" if package else ""
