"""The share of production's packages that its file pins."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from ds_docker_env.common.redaction import some
from ds_docker_env.common.target import Target, machines
from ds_docker_env.pinning.parity import Parity, entries, name_of_entry, needed_by
from ds_docker_env.pinning.production import distribution
from ds_docker_env.pinning.production.model import Production, name_of

# pip freeze omits these packages, so a file without them is complete.
_NOT_FROZEN = {"pip", "setuptools", "wheel", "distribute"}


@dataclass(frozen=True)
class Share:
    """The packages that production installs, by normalised name, and the number of those that are not in the lock.

    ``exact`` are pinned or from a URL. ``open`` have no version in production's file, or are dependencies that it
    does not name. ``pins`` are more than ``exact`` if processors have different versions.
    """

    source: str
    exact: frozenset[str]
    open: tuple[str, ...]
    left_out: int
    pins: int

    @property
    def lines(self) -> list[str]:
        """Return the first lines of the summary."""
        exact, every = len(self.exact), len(self.exact) + len(self.open) + self.left_out
        said = f"{exact} of {every} packages pinned and kept exactly"
        if exact == every:
            said = f"{self.pins} of {self.pins} pins kept exactly"
        if not every:
            said = "all packages are part of its operating system, or for another system or Python"
        elif not exact:
            said = f"0 of {every} packages pinned, so versions may differ"
        if self.left_out:
            said += f" ({self.left_out} not taken over)"
        open_ = (
            f"Open:       {len(self.open)} may differ from production: {some(self.open, 3)}; "
            "to pin all, use its pip freeze or image:NAME"
        )
        return [f"Production: {said}, from {self.source}", *([open_] if self.open else [])]


def share_of(production: Production, lock: str, parity: Parity, target: Target) -> Share:
    """Return the share, from the dependencies of production's packages in a lock."""
    environments = [target.on(machine).marker_environment() for machine in machines(lock)]
    named = [
        requirement
        for requirement in map(Requirement, production.unpinned)
        if not requirement.marker or any(map(requirement.marker.evaluate, environments))
    ]
    versions = {(pin.name, found.version) for pin, found in parity.held.items()}
    held = {name for name, _ in versions}
    exact = held | {canonicalize_name(each.name) for each in named if each.url}
    names = exact | {canonicalize_name(each.name) for each in named}
    needed = _with_needs(names, lock) - exact - (_NOT_FROZEN - names) - set(map(name_of, production.near))
    open_ = tuple(sorted(needed, key=lambda name: (name not in names, name)))
    left_out = {line for line, name in production.left_out.items() if name not in exact | needed}
    left_out -= {line for line in left_out if line.endswith(distribution.WHY)}
    return Share(production.source, frozenset(exact), open_, len(left_out), len(versions) + len(exact - held))


def _with_needs(names: Iterable[str], lock: str) -> set[str]:
    """Return the packages of a lock that have these normalised names, and their dependencies."""
    users = {name_of_entry(entry): {each.partition("[")[0] for each in needed_by(entry)} for entry in entries(lock)}
    found = users.keys() & set(names)
    while more := {name for name in users.keys() - found if users[name] & found}:
        found |= more
    return found
