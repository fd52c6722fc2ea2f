"""``lock``: runs the command in the header of requirements.txt again."""

from __future__ import annotations

import argparse
import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from ds_docker_env.common.analysis import package_name, without_comment
from ds_docker_env.common.day import checked, today
from ds_docker_env.common.errors import LockError, ProjectError, RequirementsError
from ds_docker_env.common.progress import Say, alive, silent
from ds_docker_env.common.redaction import without_credentials
from ds_docker_env.common.shipped import BUILD_REQUIREMENTS
from ds_docker_env.common.target import (
    ARM64,
    EMULATED,
    LOCK_AGAIN,
    MACHINES,
    Target,
    machines,
    made_for,
    this_machine,
    why_amd64_only,
)
from ds_docker_env.image import installed, project
from ds_docker_env.image.build.context import newer_glibc
from ds_docker_env.image.hold import held_here
from ds_docker_env.image.project import LOCK, OVERRIDES, PRODUCTION, REQUIREMENTS
from ds_docker_env.pinning import indexes, watched
from ds_docker_env.pinning.builds import Building
from ds_docker_env.pinning.cooldown import Cooldown, without_undated
from ds_docker_env.pinning.diagnosis import obstacle
from ds_docker_env.pinning.lock import fresh
from ds_docker_env.pinning.moves import Moves, moved_elsewhere
from ds_docker_env.pinning.parity import Locked, prove_each, read_each, read_lock
from ds_docker_env.pinning.pinned import versions_in
from ds_docker_env.pinning.processors import differing, for_arm64, for_both, unmoved
from ds_docker_env.pinning.production.model import Production
from ds_docker_env.pinning.production.reader import read_production
from ds_docker_env.pinning.refusal import similar
from ds_docker_env.pinning.resolver import Attempt, Resolver, header, same_versions
from ds_docker_env.pinning.wheels import build_requirements, offers

_PREFIX = "ds-docker-env-"
# The second is uv's name for this option.
AT = ("--at", "--exclude-newer")
EMULATE = f"set {EMULATED} in .env, then run: docker compose up --build"


def run(options: Sequence[str]) -> int:
    """Lock requirements.in again for both processors, with further options for uv; return uv's exit code.

    A lock that would differ only in its header stays, so that the image is not built again. Raise `GenerationError`,
    and keep the lock then.
    """
    project.writable()
    before = project.read(LOCK)
    at, others = _at(options)
    machine = this_machine()
    versions = versions_in(before, machine)
    _require_locked(others, versions)
    command = [*locking_command(before), *others]
    with beside({LOCK: before}) as folder, resolving(production_here(), at=at) as resolver:
        print("+", shlex.join([*command, *resolver.cooldown.options[:2]]), file=sys.stderr, flush=True)
        with alive("Locking requirements.in") as say:
            done = compiled(folder, command, before, resolver, say)
        print(without_credentials(without_undated(done.stderr)), end="", file=sys.stderr)
        if done.returncode:
            if why := too_new(folder, command, before, resolver, done):
                raise LockError(f"{why}; to allow them, run: {shlex.join(['lock', *others])} --at {today()}")
            return done.returncode
        lock = for_processors(folder, command, before, resolver)
        lock = before if same_versions(before, lock) else lock
        moving = bool({"-U", "--upgrade"} & set(options))
        built_with = built_with_here()
        offered = offers(resolver, lock)
        building = build_requirements(resolver, lock, "" if moving else built_with, offered)
    if (lock, building.text) != (before, built_with):
        project.replace({LOCK: lock, BUILD_REQUIREMENTS: building.text})
    pinned = {pin.name for pin in resolver.production.pins}
    moves = Moves(versions, read_lock(lock, machine)) if versions else Moves({}, {})
    elsewhere = moved_elsewhere(before, lock, moves, machine) if versions else []
    for line in [
        *moves.lines,
        *elsewhere,
        *only_amd64(lock),
        *building.lines,
        *differing(read_each(lock), pinned),
        *fresh(resolver.cooldown, offered),
    ]:
        print(line)
    return 0


def _require_locked(options: Sequence[str], locked: Mapping[str, Locked]) -> None:
    """Raise `RequirementsError` if a package is to be upgraded that the lock lacks, which uv ignores."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("-P", "--upgrade-package", action="append", default=[])
    names = map(package_name, parser.parse_known_args(options)[0].upgrade_package)
    known = locked.keys() | set(map(package_name, project.read(REQUIREMENTS).splitlines()))
    if problems := [f"{name}: is not in {LOCK}{similar(name, locked)}" for name in names if name not in known]:
        raise RequirementsError(*problems)


@contextmanager
def beside(files: Mapping[str, str]) -> Iterator[Path]:
    """Make a directory with the project's files, in which these files have other texts."""
    with tempfile.TemporaryDirectory(prefix=_PREFIX) as directory:
        folder = Path(directory)
        for path in Path().iterdir():
            if path.name not in files:
                (folder / path.name).symlink_to(path.absolute())
        for name, text in files.items():
            (folder / name).write_text(text, encoding="utf-8", newline="\n")
        yield folder


@contextmanager
def resolving(
    production: Production, names: Collection[str] = (), say: Say = silent, at: str = ""
) -> Iterator[Resolver]:
    """Make a resolver that answers questions about a lock.

    It uses the index as of the day ``at``, else as of the day at which the project is held.
    """
    with tempfile.TemporaryDirectory(prefix=_PREFIX) as folder:
        resolver = Resolver(Path(folder), production, set(names), installed.read_target(installed.ANALYSIS), say=say)
        resolver.building = Building(_text("uv.toml"))
        resolver.overrides = overrides_here()
        pins = {pin.name for pin in production.fixed}
        resolver.cooldown = Cooldown.of(_text(LOCK), pins, resolver.building.settings, at, held_here())
        yield resolver


def compiled(
    folder: Path, command: Sequence[str], before: str, resolver: Resolver, say: Say = silent, step: str = "resolving"
) -> subprocess.CompletedProcess[str]:
    """Run a command of uv in a directory, prefer the lock ``before``, and leave out releases that are too new."""
    kept = indexes.keep(_text("uv.toml"), _text(PRODUCTION), before)
    # Replace the link, or the project's own file would change.
    (folder / "uv.toml").unlink(missing_ok=True)
    (folder / "uv.toml").write_text(kept.settings, encoding="utf-8", newline="\n")
    while True:
        (folder / LOCK).write_text(before, encoding="utf-8", newline="\n")
        done = watched.run(
            *command[1:],
            *("--custom-compile-command", noted_command(before, resolver.cooldown.noted)),
            *("--no-progress", "--color", "never"),
            *resolver.cooldown.options,
            folder=folder,
            say=say,
            step=step,
            environment=kept.environment,
        )
        if not resolver.cooldown.learn(done.stderr):
            return done


def too_new(
    folder: Path, command: Sequence[str], before: str, resolver: Resolver, done: subprocess.CompletedProcess[str]
) -> str:
    """Return why locking failed if only releases that are too new would help, else nothing."""
    if not (names := resolver.cooldown.filtered(done.stderr)):
        return ""
    anyhow = replace(resolver, cooldown=Cooldown())
    if compiled(folder, command, before, anyhow).returncode:
        return ""
    return f"{', '.join(names)}: {resolver.cooldown.why}; use an older version"


def for_processors(folder: Path, command: Sequence[str], before: str, resolver: Resolver) -> str:
    """Return the lock that this command made in a directory, extended to both processors and proven for each.

    Packages for arm64 only stay as in the lock ``before``. Raise `GenerationError`.
    """

    def solve(preferred: str) -> Attempt:
        arm64 = [command[0], *for_arm64(command[1:])]
        done = compiled(folder, arm64, preferred, resolver, resolver.say, "resolving for linux/arm64")
        return Attempt("" if done.returncode else _read(folder), without_credentials(done.stderr))

    def why(attempt: Attempt) -> str:
        lines = map(without_comment, (folder / REQUIREMENTS).read_text(encoding="utf-8").splitlines())
        arm64 = replace(resolver, target=resolver.target.on(ARM64))
        return obstacle(arm64, list(filter(package_name, lines)), amd64, attempt).why

    amd64 = _read(folder)
    lock = for_both(amd64, unmoved(before, command[1:]), solve, why)
    prove_each(resolver.production, lock, resolver.target)
    return lock


def _read(folder: Path) -> str:
    return (folder / LOCK).read_text(encoding="utf-8")


def locking_command(lock: str) -> list[str]:
    """Return the words of the command in the header of a lock, on this Debian; raise `ProjectError` without one."""
    found = re.search(r"^#    (uv pip compile .*)$", made_for(lock, installed.release()), re.MULTILINE)
    if not found:
        raise ProjectError(f"{LOCK}: the header does not contain the command that made it; restore the file from git")
    return shlex.split(found[1])


def read_versions(lock: str) -> dict[str, Locked]:
    """Return the packages of a lock; raise `ProjectError` if the lock is invalid, such as during a merge."""
    if packages := versions_in(lock, this_machine()):
        return packages
    raise ProjectError(f"{LOCK}: invalid lock file; resolve the merge conflict, or restore the file from git")


def unsuited(lock: str, target: Target) -> str:
    """Return the problem of a lock that was not made for the processor or the Debian of a target, or nothing."""
    if problem := newer_glibc(lock, target.manylinux):
        return problem
    if target.machine in machines(lock):
        return ""
    names = " and ".join(MACHINES[machine] for machine in machines(lock))
    if why := why_amd64_only(lock):
        return f"{LOCK}: for {names} only: {why}; {EMULATE}"
    return f"{LOCK}: locked for {names} only, but this is {target.docker}; run: {LOCK_AGAIN}"


def only_amd64(lock: str) -> list[str]:
    """Return a line for a lock that excludes arm64."""
    why = why_amd64_only(lock)
    return [f"Only amd64: {why}; on arm64, set {EMULATED} in .env"] if why else []


def overrides_here() -> list[str]:
    """Return the versions in overrides.txt, which override the requirements of other packages."""
    return [line for line in _text(OVERRIDES).splitlines() if re.match(r"\w", line)]


def built_with_here() -> str:
    """Return build-requirements.txt, which exists if a source is built, or a blank."""
    return _text(BUILD_REQUIREMENTS)


def production_here() -> Production:
    """Return the content of production.txt, which is empty in a project without one; raise `GenerationError`."""
    path = project.root() / PRODUCTION
    if not path.exists():
        return Production("production", "")
    return read_production(os.path.relpath(path), installed.read_target(installed.ANALYSIS))


def noted_command(before: str, limit: str = "") -> str:
    """Return the header of the next lock: its command, the notes of the last lock, uv's version and the time."""
    made, version = header(shlex.join(locking_command(before)), limit).split("\n")
    notes = re.findall(r"^# production runs .*$", re.match(r"(?:#.*\n)*", before)[0], re.MULTILINE)  # type: ignore[index]
    return "\n".join([made, *notes, version])


def _text(name: str) -> str:
    return project.read(name) if (project.root() / name).exists() else ""


def _at(options: Sequence[str]) -> tuple[str, list[str]]:
    """Return the day in the options, and uv's options; raise `DayError`, or `ProjectError` for a day of one package."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument(*AT, default="")
    parser.add_argument("--exclude-newer-package", action="append")
    known, others = parser.parse_known_args(options)
    if known.exclude_newer_package:
        raise ProjectError(
            "--exclude-newer-package: the next lock would ignore it; set it in uv.toml, or use one day for "
            f"all packages: --at {today()}"
        )
    return checked(known.at, AT[0]), others
