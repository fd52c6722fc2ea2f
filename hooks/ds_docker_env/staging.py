"""A project in the making: rendered in a hidden folder, and put into its place in one go or not at all.

Run as a program it is the guard, which tidies up after a cookiecutter that has gone, however that went.
"""

from __future__ import annotations

import contextlib
import filecmp
import json
import os
import re
import secrets
import shutil
import sys
import time
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

NEW, AGAIN, MISSING = "new", "again", "missing"
# Where a project keeps what was replaced in it.
FORMER = ".former"
_FORMER = re.compile(r"(\.former/\d+)?")
# What is to be done with a finished folder; while it lies in the project, that is being done.
_PLAN = ".placing.json"
_NAME = re.compile(rf"\.(?P<slug>.+)\.(?P<mode>{NEW}|{AGAIN}|{MISSING})-[0-9a-f]{{8}}")
_GONE = ".gone"
# Nobody generates for longer than a day.
_STALE = 86_400
# Tenths of a second that the guard waits for what is still running.
_PATIENCE = 100


@dataclass(frozen=True)
class Staging:
    """The folder that cookiecutter renders into, and where the project will be: see `NEW`, `AGAIN`, `MISSING`.

    A new project is beside its place, another in the existing one, where nothing but what is `MISSING` may be added.
    Under cruft and pytest-cookies, which look for it there, the new project is in its place from the beginning.
    """

    folder: Path
    target: Path
    mode: str

    @classmethod
    def of(cls, folder: Path) -> Staging:
        """Take the folder that cookiecutter renders into."""
        found = _NAME.fullmatch(folder.name)
        if not found:
            return cls(folder, folder, NEW)
        target = folder.with_name(found["slug"]) if found["mode"] == NEW else folder.parent
        return cls(folder, target, found["mode"])

    @classmethod
    def beginning(cls, target: Path, *, only_missing: bool) -> Staging:
        """Choose the folder to render into for a project that is to be there."""
        mode = NEW if not target.exists() else MISSING if only_missing else AGAIN
        parent = target.parent if mode == NEW else target
        return cls(parent / f".{target.name}.{mode}-{secrets.token_hex(4)}", target, mode)

    def former(self, name: str | Path) -> Path:
        """Return where a file was before; it may not have been."""
        return self.target / name

    def put(self, kept: str, removed: Collection[str]) -> tuple[list[str], str]:
        """Put the project into its place, or raise `OSError` and leave all as it was.

        What is there stays if it begins with ``kept``, else it is replaced; of those ``removed`` none is left. Return
        the names of what was replaced or removed, and the folder that has them as they were.
        """
        if self.folder == self.target:
            return [], ""
        if self.mode == NEW:
            try:
                self.folder.rename(self.target)
                return [], ""
            except PermissionError:  # on Windows, the shell that runs a hook sits in its folder
                self.target.mkdir()
            except OSError:
                if self.target.exists():
                    raise FileExistsError(
                        0, "has been made meanwhile; look at what is in it", str(self.target)
                    ) from None
                raise
        gone = [name for name in removed if self.mode == AGAIN and os.path.lexists(self.target / name)]
        replaced = [*self._replaced(kept), *gone]
        former = f"{FORMER}/{_free(self.target / FORMER)}" if replaced else ""
        for name in replaced:
            copy = self.folder / former / name
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(self.target / name, copy, follow_symlinks=False)
        if former:
            (self.folder / FORMER / ".gitignore").write_text("*\n", encoding="utf-8")
        plan = {"folder": os.path.relpath(self.folder, self.target), "removed": gone, "former": former}
        self._commit(json.dumps(plan | {"replaced": replaced}))
        _place(self.target)
        return replaced, former

    def _replaced(self, kept: str) -> list[str]:
        """Take out what stays as it is in the project; return the names of what is replaced."""
        replaced = []
        for name in _names(self.folder):
            staged, there = self.folder / name, self.target / name
            if not os.path.lexists(there):
                continue
            if there.is_dir():
                raise IsADirectoryError(0, "is a folder, where a file is to be; take it away", str(there))
            if self.mode == MISSING or name.startswith(kept) or filecmp.cmp(staged, there, shallow=False):
                staged.unlink()
                continue
            if there.lstat().st_size:
                if not there.is_symlink():
                    shutil.copymode(there, staged)
                replaced.append(name)
        for folder in {(self.target / name).parent for name in _names(self.folder)}:
            existing = next(parent for parent in (folder, *folder.parents) if parent.exists())
            if not os.access(existing, os.W_OK | os.X_OK):
                raise PermissionError(0, "is no folder that you may write into; look at its owner", str(existing))
        return replaced

    def _commit(self, plan: str) -> None:
        """Say what is to be done, from when on it is done even if this process is killed."""
        draft, final = self.folder / _PLAN, self.target / _PLAN
        draft.write_text(plan, encoding="utf-8")
        try:
            os.link(draft, final)
        except FileExistsError:
            raise FileExistsError(
                0, "is being generated by another process; try again when that has ended", str(self.target)
            ) from None
        except OSError:  # a file system without hard links
            draft.rename(final)


def recover(target: Path) -> None:
    """Finish what an earlier generation had begun to put into its place, and remove what one left a day ago."""
    if (target / _PLAN).exists():
        _place(target)
    for parent in (target.parent, target):
        for folder in parent.glob(f".{target.name}.*"):
            if _NAME.fullmatch(folder.name.removesuffix(_GONE)) and time.time() - folder.stat().st_mtime > _STALE:
                shutil.rmtree(folder, ignore_errors=True)


def _place(target: Path) -> None:
    """Do what the plan says, or raise `OSError` and undo it; another process may be doing the same."""
    plan = _plan(target)
    folder, former = target / plan.get("folder", _PLAN), plan.get("former", "")
    made, done = [], []
    try:
        folders, files = sorted(_names(folder, folders=True)), _names(folder)
    except FileNotFoundError:  # the other process is at its end
        folders, files = [], []
    try:
        for name in folders:
            if not (target / name).is_dir():
                (target / name).mkdir(exist_ok=True)
                made.append(name)
                with contextlib.suppress(FileNotFoundError):
                    shutil.copymode(folder / name, target / name)
        # What was replaced comes last, to be at hand until then.
        for name in sorted(files, key=lambda name: name.startswith(f"{FORMER}/")):
            with contextlib.suppress(FileNotFoundError):
                (folder / name).replace(target / name)
            done.append(name)
        for name in plan.get("removed", ()):
            (target / name).unlink(missing_ok=True)
            done.append(name)
    except OSError:
        for name in done:
            copies = [copy for place in (folder, target) if os.path.lexists(copy := place / former / name)]
            if copies and name in plan["replaced"]:
                copies[0].replace(target / name)
            else:
                (target / name).unlink(missing_ok=True)
        for name in reversed(made):
            with contextlib.suppress(OSError):
                (target / name).rmdir()
        (target / _PLAN).unlink(missing_ok=True)
        raise
    shutil.rmtree(folder, ignore_errors=True)
    with contextlib.suppress(OSError):
        (target / _PLAN).unlink()


def _plan(target: Path) -> dict[str, Any]:
    """Return what is being done in a project, if anything is; a guard that takes all away has a plan without words."""
    try:
        plan = dict(json.loads((target / _PLAN).read_text(encoding="utf-8")))
        where, folder = os.path.split(plan["folder"])
        # A project may come from anywhere, and bring a plan that reaches out of it.
        inside = all(name == Path(name).name for name in plan["removed"]) and isinstance(plan["replaced"], list)
        safe = inside and where in ("", os.pardir) and _NAME.fullmatch(folder) and _FORMER.fullmatch(plan["former"])
        return plan if safe else {}
    except (FileNotFoundError, ValueError, TypeError, KeyError):
        return {}


def _free(folder: Path) -> int:
    numbers = [int(path.name) for path in folder.glob("*") if path.name.isdecimal()]
    return max(numbers, default=0) + 1


def _names(folder: Path, *, folders: bool = False) -> list[str]:
    return [
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.name != _PLAN and (path.is_dir() and not path.is_symlink()) == folders
    ]


def _guard(staging: Staging) -> None:
    """Wait until standard input ends, as it does when cookiecutter is gone; leave a whole project or nothing new."""
    sys.stdin.read()
    plan = staging.target / _PLAN
    claimed = False
    for _ in range(_PATIENCE):
        if Path(_plan(staging.target).get("folder", "")).name == staging.folder.name:
            _place(staging.target)
            print(f"ds-docker-env: stopped, but {staging.target} was complete", file=sys.stderr)
            return
        if not staging.folder.exists():
            return
        if staging.mode == NEW:
            break
        try:
            # A hook that is still running cannot have a plan of its own from here on.
            plan.open("x").close()
            claimed = True
            break
        except FileExistsError:  # another generation, whose plan this is
            time.sleep(0.1)
    # On Windows, the empty folder in which the shell of a hook sat.
    unfinished = any(staging.folder.iterdir())
    away = staging.folder.with_name(staging.folder.name + _GONE)
    for _ in range(_PATIENCE):
        try:
            # Nor can it put a new project into its place.
            staging.folder.rename(away)
            break
        except FileNotFoundError:
            return
        except PermissionError:  # on Windows, as long as it is running
            time.sleep(0.1)
    for _ in range(_PATIENCE):
        shutil.rmtree(away, ignore_errors=True)
        if not away.exists():
            break
        time.sleep(0.1)
    if claimed:
        plan.unlink(missing_ok=True)
    if unfinished:
        print("ds-docker-env: stopped; nothing was generated", file=sys.stderr)


if __name__ == "__main__":
    _guard(Staging.of(Path(sys.argv[1])))
