"""An environment beside the image's, for a lock that is newer than the image.

It holds the packages of that lock that the image lacks, and links to all others in the image. It lies in a volume that
the containers of a project share, in a directory for images with this lock: ``cache`` is uv's, each other directory is
an overlay named by its lock, and the link ``current`` leads to the overlay in use. If the image has the lock, the link
is absent. A running container locks the directory; `remove_unused` removes unlocked ones.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from importlib.metadata import distributions
from pathlib import Path

from packaging.utils import canonicalize_name

from ds_docker_env.common.errors import LockError, ProjectError
from ds_docker_env.common.progress import Say, alive, silent
from ds_docker_env.common.target import this_machine, why_amd64_only
from ds_docker_env.image import installed, project
from ds_docker_env.image.build.layers import without_comments
from ds_docker_env.image.build.packages import LEFT_OUT
from ds_docker_env.image.build.running import ENVIRONMENT
from ds_docker_env.image.build.sources import BUILD_REQUIREMENTS, Section, sections
from ds_docker_env.image.lock import production_here, read_versions, unsuited
from ds_docker_env.image.project import LOCK, REQUIREMENTS
from ds_docker_env.pinning import watched
from ds_docker_env.pinning.parity import (
    Locked,
    compare,
    entries,
    name_of_entry,
    read_lock,
    requirement_of_entry,
    without,
)
from ds_docker_env.pinning.resolver import Attempt, check_reached
from ds_docker_env.pinning.search import REQUIRED

if sys.platform != "win32":
    import fcntl

_NEW = ".new-"


def current() -> Path:
    """Return the environment that the analysis sees: the overlay in use, or the image's."""
    link = installed.ANALYSIS / "packages" / "current"
    return link.resolve() if link.exists() else installed.ANALYSIS


def run(options: Sequence[str] = ()) -> int:
    """Install requirements.txt if the image has another lock, and remove unused overlays."""
    if not _agrees():
        with alive("Installing the packages of requirements.txt that the image lacks") as say:
            follow(say)
    remove_unused()
    return 0


def follow(say: Say = silent) -> None:
    """Make the analysis use the packages of the project's requirements.txt, if it has one.

    Raise `GenerationError` if they cannot be installed.
    """
    if _agrees():
        return
    with alone():
        lock = project.read(LOCK)
        # Locks of older templates do not name their processors.
        if why_amd64_only(lock) and (problem := unsuited(lock, installed.read_target(installed.ANALYSIS))):
            raise ProjectError(problem)
        _require_whole(lock)
        install(lock, project.root(), say)
        switch(lock)


def install(lock: str, folder: Path, say: Say = silent) -> None:
    """Make the overlay of a lock unless it exists or the image has the lock; `switch` puts it into use.

    ``folder`` contains the uv.toml to build with. Raise `GenerationError`, and leave nothing then.
    """
    overlay = _directory(lock)
    if overlay.exists():
        return
    new = overlay.with_name(f"{_NEW}{secrets.token_hex(4)}")
    try:
        # uv may still write for a while after its command was killed.
        for left in overlay.parent.glob(f"{_NEW}*"):
            with suppress(OSError):
                _remove(left)
        try:
            _install(lock, new, folder, say)
            new.rename(overlay)
        except BaseException:
            with suppress(OSError):
                _remove(new)
            raise
    except OSError as error:
        raise ProjectError.of(error, overlay) from None


def switch(lock: str) -> None:
    """Put the overlay of a lock, which is installed, or the image's own environment into use."""
    overlay, link = _directory(lock), installed.ANALYSIS / "packages" / "current"
    if overlay == installed.ANALYSIS:
        link.unlink(missing_ok=True)
        return
    new = link.with_name(".current")
    new.unlink(missing_ok=True)
    new.symlink_to(overlay.name)
    new.replace(link)


@contextmanager
def alone() -> Iterator[None]:
    """Lock the packages and files of this project, and finish the work of a command that was killed."""
    volume = (installed.ANALYSIS / "packages").resolve().parent
    try:
        volume.mkdir(parents=True, exist_ok=True)
        # Linux refuses O_CREAT for another user's file here.
        path = volume / ".lock"
        lock = os.open(path, os.O_RDONLY if path.exists() else os.O_RDONLY | os.O_CREAT, 0o666)
    except OSError:
        # The volume is read-only; commands that write report it.
        yield
        return
    try:
        _wait_for(lock)
        project.finish()
        yield
    finally:
        os.close(lock)


def remove_unused() -> None:
    """Remove the overlays of other images, except those that a running container uses."""
    own = (installed.ANALYSIS / "packages").resolve()
    for directory in {path for path in own.parent.iterdir() if path.is_dir()} - {own}:
        # It is in use, or another user's.
        with suppress(OSError):
            descriptor = os.open(directory, os.O_RDONLY)
            try:
                if sys.platform != "win32":
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _remove(directory)
            finally:
                os.close(descriptor)


def settings() -> Mapping[str, str]:
    """Return variables that give uv the project's logins, and a cache for later overlays."""
    packages = (installed.ANALYSIS / "packages").resolve()
    cache = packages / "cache"
    kept = {"UV_CACHE_DIR": str(cache)} if os.access(cache if cache.exists() else packages, os.W_OK) else {}
    return kept | project.logins()


def _wait_for(lock: int) -> None:
    if sys.platform != "win32":
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("Waiting for another command that changes the packages", file=sys.stderr, flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)


def _agrees() -> bool:
    if project.half_replaced():
        return False
    return not (project.root() / LOCK).exists() or current() == _directory(project.read(LOCK))


def _require_whole(lock: str) -> None:
    """Raise `ProjectError` if a lock lacks the kernel or production's versions, such as a truncated one."""
    packages = read_versions(lock)
    differences = compare(production_here(), packages, installed.read_target(installed.ANALYSIS)).differences
    missing = [REQUIRED] * (REQUIRED not in packages) + [str(difference.pin) for difference in differences]
    if missing:
        raise ProjectError(f"{LOCK}: lacks {', '.join(missing)}; run lock, or restore the file from git")


def _directory(lock: str) -> Path:
    plain = without_comments(lock)
    if plain == _lock_of_image():
        return installed.ANALYSIS
    return (installed.ANALYSIS / "packages").resolve() / hashlib.sha256(plain.encode()).hexdigest()[:16]


def _lock_of_image() -> str:
    return (installed.ANALYSIS / LOCK).read_text(encoding="utf-8")


def _install(lock: str, overlay: Path, folder: Path, say: Say) -> None:
    plain = without_comments(lock)
    before, after = read_lock(_lock_of_image(), this_machine()), read_versions(plain)
    same = {name for name in before.keys() & after.keys() if _same(before[name], after[name])}
    overlay.mkdir(parents=True)
    for requirements, built_with in _groups(without(plain, same), folder) if after.keys() - same else ():
        missing, constraints = overlay / "missing.txt", overlay / "constraints.txt"
        missing.write_text(requirements, encoding="utf-8")
        constraints.write_text(built_with, encoding="utf-8")
        # Services see only the lock, so they cannot build sources.
        sees_all = (folder / REQUIREMENTS).exists()
        done = watched.run(
            *("pip", "install", "--python", str(installed.ANALYSIS / "bin" / "python"), "--prefix", str(overlay)),
            *("--no-deps", "--require-hashes", "--compile-bytecode", "--no-progress", "--color", "never"),
            *("--requirement", str(missing), "--build-constraints", str(constraints), "--exclude-newer=false"),
            *(() if sees_all else ("--no-build",)),
            folder=folder,
            say=say,
            step="installing",
            environment={**ENVIRONMENT, **settings(), "UV_LINK_MODE": "hardlink"},
        )
        missing.unlink()
        constraints.unlink()
        if done.returncode:
            check_reached(done.stderr)
            if not sees_all and "building from source is disabled" in done.stderr:
                raise LockError(f"{LOCK}: has a package without a wheel; run: docker compose up --build")
            raise LockError(f"{LOCK}: cannot be installed; uv says: {Attempt('', done.stderr).said}")
    # Kernel and tools stay those of the image.
    for path in [overlay / "share/jupyter/kernels", *(path for pattern in LEFT_OUT for path in overlay.glob(pattern))]:
        shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
    gone = _files(before.keys() - same)
    parents = {parent for path in gone for parent in path.parents}
    for directory in (entry for entry in installed.ANALYSIS.iterdir() if entry.is_dir() and not entry.is_symlink()):
        _link(directory, overlay / directory.name, gone, parents)
    for made in [Path(folder, name) for folder, inside, files in os.walk(overlay) for name in (*inside, *files)]:
        if not made.is_symlink():
            made.chmod(made.stat().st_mode & 0o555)
    overlay.chmod(0o555)


def _groups(lock: str, folder: Path) -> Iterator[tuple[str, str]]:
    """Return the parts of a lock that are installed together, each with the build requirements of its sources."""
    path = folder / BUILD_REQUIREMENTS
    known = sections(path.read_text(encoding="utf-8")) if path.exists() else {}
    groups: dict[str, set[str]] = {}
    for entry in entries(lock):
        requirement = requirement_of_entry(entry).partition(" ; ")[0]
        groups.setdefault(known.get(requirement, Section()).requirements, set()).add(name_of_entry(entry))
    names = {name for group in groups.values() for name in group}
    for built_with, group in groups.items():
        yield without(lock, names - group), built_with


def _same(one: Locked, other: Locked) -> bool:
    # One common hash is enough, because an index adds and removes wheels of a version. URLs lack a version.
    return one.version == other.version and bool((one.hashes or set()) & (other.hashes or set()))


def _files(names: set[str]) -> set[Path]:
    """Return the files of these packages in the image, with their compiled ones."""
    found = set()
    for site in installed.ANALYSIS.glob("lib/python3*/site-packages"):
        tag = f"cpython-{site.parent.name.removeprefix('python').replace('.', '')}"
        for distribution in distributions(path=[str(site)]):
            if canonicalize_name(distribution.metadata["Name"] or "") in names:
                paths = [Path(os.path.normpath(site / file)) for file in distribution.files or ()]
                compiled = [path.parent / "__pycache__" / f"{path.stem}.{tag}.pyc" for path in paths]
                found |= {*paths, *compiled}
    return found


def _link(source: Path, target: Path, gone: set[Path], parents: set[Path]) -> None:
    """Link the content of a directory, except files that are gone, beside the target's content."""
    for entry in sorted(source.iterdir()):
        here = target / entry.name
        # uv does not follow links to a package's metadata.
        whole = not (here.is_dir() or entry in parents or entry.suffix == ".dist-info")
        if entry.is_dir() and not entry.is_symlink() and not whole:
            _link(entry, here, gone, parents)
        # Python's own links in bin would begin another environment.
        elif entry not in gone and not os.path.lexists(here) and not (entry.is_symlink() and source.name == "bin"):
            target.mkdir(parents=True, exist_ok=True)
            here.symlink_to(entry)


def _remove(directory: Path) -> None:
    if directory.exists():
        for each, _, _ in os.walk(directory):
            Path(each).chmod(0o755)
        shutil.rmtree(directory)
