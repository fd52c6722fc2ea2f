"""How the versions of one lock differ from those of another."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from ds_docker_env.pinning.parity import Locked


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
    def lines(self) -> list[str]:
        """Return a line for each difference."""
        new = sorted(self.after.keys() - self.before.keys())
        moved = [name for name in self.changed if name in self.after]
        return [
            *(f"Moved:      {name} {_version(self.before[name])} -> {_version(self.after[name])}" for name in moved),
            *(f"New:        {name} {_version(self.after[name])}" for name in new),
            *(f"Gone:       {name} {_version(self.before[name])}" for name in self.changed if name not in moved),
        ]


def _version(package: Locked | None) -> str:
    return package.version or "from its URL" if package else ""
