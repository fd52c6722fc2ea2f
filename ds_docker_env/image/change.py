"""A change of requirements.in, which is locked, proven and installed completely or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from ds_docker_env.common.day import today
from ds_docker_env.common.errors import LockError, ProjectError, RequirementsError
from ds_docker_env.common.progress import Say, silent
from ds_docker_env.common.shipped import BUILD_REQUIREMENTS
from ds_docker_env.common.target import AMD64, machines, why_amd64_only
from ds_docker_env.image import overlay, project, requirements
from ds_docker_env.image.build.sources import sections
from ds_docker_env.image.lock import (
    EMULATE,
    beside,
    built_with_here,
    compiled,
    for_processors,
    locking_command,
    only_amd64,
    read_versions,
    resolving,
    too_new,
)
from ds_docker_env.image.project import LOCK, REQUIREMENTS
from ds_docker_env.pinning.build_requirements import BuildRequirements
from ds_docker_env.pinning.moves import Moves, moved_elsewhere
from ds_docker_env.pinning.parity import Locked, read_each, require_no_password, without
from ds_docker_env.pinning.production.model import Production, as_lines
from ds_docker_env.pinning.refusal import older, refuse
from ds_docker_env.pinning.resolver import same_versions
from ds_docker_env.pinning.wheels import build_requirements


class Change(NamedTuple):
    """The moves of versions, and lines about other processors, older versions and packages that exclude arm64."""

    moves: Moves
    elsewhere: list[str]
    older: list[str]
    only: list[str]

    def report(self, otherwise: str) -> str:
        """Return the lines for the user; ``otherwise`` stands in for moves if all versions stay."""
        lines = [*([*self.moves.lines, *self.elsewhere] or [otherwise]), *self.older, *self.only]
        if self.moves.changed:
            lines.append(
                f"Next:       restart kernels and services that have imported {' or '.join(self.moves.changed)}"
            )
        return "\n".join(lines)


def change(
    edit: Callable[[str], str],
    production: Production,
    names: Sequence[str] = (),
    upgrade: bool = False,
    say: Say = silent,
    at: str = "",
) -> Change:
    """Edit requirements.in, lock it, install the lock and write both files; return how versions moved.

    Versions stay unless the edit moves them. ``upgrade`` lets the versions of the edited packages ``names`` move.
    Releases after the day ``at`` are left out. Raise `GenerationError`, and change nothing then.
    """
    project.writable()
    before = {name: project.read(name) for name in (REQUIREMENTS, LOCK)}
    packages_before, text = read_versions(before[LOCK]), edit(before[REQUIREMENTS])
    os.environ.update(overlay.settings())
    moving = names if upgrade else ()
    # uv resolves in this order, so it moves other packages for the first ones.
    first = as_lines(requirements.find(text, name) for name in moving)
    kept = _without_urls(before[LOCK], text, names)
    with (
        beside({REQUIREMENTS: first + text, LOCK: kept}) as folder,
        resolving(production, names, say, at) as resolver,
    ):
        command = [*locking_command(before[LOCK]), *(part for name in moving for part in ("--upgrade-package", name))]
        done = compiled(folder, command, kept, resolver, say)
        wanted = [line for name in names if (line := requirements.find(text, name))]
        if done.returncode:
            if why := too_new(folder, command, kept, resolver, done):
                raise LockError(f"{why}, or add: --at {today()}")
            raise refuse(done.stderr, wanted, replace(resolver, target=resolver.target.on(AMD64)))
        lock = for_processors(folder, command, kept, resolver)
        lock = before[LOCK] if same_versions(before[LOCK], lock) else lock
        packages = read_versions(lock)
        _require(wanted, [*read_each(lock).values()])
        require_no_password(text, lock)
        if why_amd64_only(lock) and resolver.target.machine not in machines(lock):
            raise LockError(f"{why_amd64_only(lock)}; {EMULATE}")
        only = only_amd64(lock) if why_amd64_only(lock) != why_amd64_only(before[LOCK]) else []
        moves = Moves(packages_before, packages)
        elsewhere = moved_elsewhere(before[LOCK], lock, moves, resolver.target.machine)
        built_with = built_with_here()
        building = BuildRequirements(built_with)
        if lock != before[LOCK]:
            # Sources that stay may be large; their build requirements are known.
            known = {name: section.requirements for name, section in sections(built_with).items() if section.fixed}
            building = build_requirements(resolver, lock, built_with, known=known)
            # Not through the link to the project's own.
            (folder / BUILD_REQUIREMENTS).unlink(missing_ok=True)
            (folder / BUILD_REQUIREMENTS).write_text(building.text, encoding="utf-8", newline="\n")
        old = [*older(wanted, packages, resolver, upgrade), *resolver.cooldown.lines()]
        made = Change(moves, elsewhere, old, [*only, *building.lines])
        overlay.install(lock, folder, say)
        if before != {name: project.read(name) for name in before}:
            raise ProjectError(f"{REQUIREMENTS} or {LOCK}: changed during this command; run it again")
        overlay.switch(lock)
        try:
            files = {REQUIREMENTS: text, LOCK: lock}
            project.replace(files | ({BUILD_REQUIREMENTS: building.text} if building.text != built_with else {}))
        except BaseException:
            overlay.switch(before[LOCK])
            raise
        return made


def _without_urls(lock: str, text: str, names: Sequence[str]) -> str:
    """Return a lock without the packages that now come from a URL, with another hash."""
    moved = {name for name in names if " @ " in requirements.find(text, name)}
    return without(lock, moved)


def _require(wanted: Sequence[str], locks: Sequence[Mapping[str, Locked]]) -> None:
    """Raise `RequirementsError` if every processor's lock lacks a requirement, such as one for Windows."""
    for each in map(Requirement, wanted):
        found = [lock[name] for lock in locks if (name := canonicalize_name(each.name)) in lock]
        if not any(not one.version or each.specifier.contains(one.version, prereleases=True) for one in found):
            raise RequirementsError(
                f"{REQUIREMENTS}: {each}: does not apply here, or another line conflicts; correct it, then run lock"
            )
