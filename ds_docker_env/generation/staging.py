"""A project in the making: rendered in a hidden folder, and put into its place in one go or not at all.

Run as a program it is the guard, which tidies up after a cookiecutter that has gone, however that went.
"""

from __future__ import annotations

import contextlib
import filecmp
import json
import os
import re
import shutil
import sys
import time
from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

NEW, AGAIN, MISSING = "new", "again", "missing"
# Where a project keeps what was replaced in it.
FORMER = ".former"
# In a project: the name of the folder that is being put into it. In that folder: that all is ready, and what is to go.
_LOCK, _PLAN = ".generating", ".plan.json"
_NAME = re.compile(rf"\.(?P<slug>.+)\.(?P<mode>{NEW}|{AGAIN}|{MISSING})-[0-9a-f]{{8}}")
_GONE = ".gone"
# Tenths of a second that the guard waits for what is still running.
_PATIENCE = 100
# That are waited for the guard, which needs some thousandths.
_SECONDS = 20


class Staging(NamedTuple):
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
        """Choose the folder to render into for a project that is to be there; raise `OSError` if there can be none."""
        import secrets

        if target.is_symlink() and not target.exists():
            raise FileNotFoundError(0, "is a link to nothing; take it away", str(target))
        mode = NEW if not target.exists() else MISSING if only_missing else AGAIN
        parent = target.parent if mode == NEW else target
        existing = next(folder for folder in (parent, *parent.parents) if folder.exists())
        if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
            advice = "is no folder that you may write into; name another one with --output-dir"
            raise PermissionError(0, advice, str(existing))
        return cls(parent / f".{target.name}.{mode}-{secrets.token_hex(4)}", target, mode)

    def former(self, name: str | Path) -> Path:
        """Return where a file was before; it may not have been."""
        return self.target / name

    def put(self, kept: str, removed: Collection[str]) -> tuple[list[str], str]:
        """Put the project into its place, or raise `OSError` and leave all as it was.

        What is there stays if it begins with ``kept``, else it is replaced; of those ``removed`` none is left.
        Return the names of what was replaced or removed, and the folder that has them as they were; if nothing but what
        is `MISSING` may be added, the names of what would have been replaced, and no folder.
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
        self._lock()
        former, done = None, list[str]()
        try:
            replaced = self._replaced(kept)
            gone = [name for name in removed if self.mode == AGAIN and os.path.lexists(self.target / name)]
            if self.mode == AGAIN and (replaced or gone):
                former = self._keep([*replaced, *gone])
            draft = self.folder / f"{_PLAN}.draft"
            draft.write_text(json.dumps(gone), encoding="utf-8")
            draft.replace(self.folder / _PLAN)
            self._place(gone, done)
        except OSError:
            # Else the guard has taken a folder that was ready, and goes on.
            if self.folder.exists() or not done:
                (self.folder / _PLAN).unlink(missing_ok=True)
                if self._undo(done, former) and former:
                    _forget(former)
                self._unlock()
                raise
        # On Windows this leaves an empty folder to the guard.
        shutil.rmtree(self.folder, ignore_errors=True)
        self._unlock()
        return [*replaced, *gone], former.relative_to(self.target).as_posix() if former else ""

    def _replaced(self, kept: str) -> list[str]:
        """Take out what stays as it is in the project; return the names of what is, or would be, replaced."""
        replaced = []
        for name in _names(self.folder):
            staged, there = self.folder / name, self.target / name
            same = os.path.lexists(there) and (name.startswith(kept) or _alike(staged, there))
            if same or (self.mode == MISSING and os.path.lexists(there)):
                staged.unlink()
                replaced += [] if same else [name]
                continue
            if there.is_dir():
                raise IsADirectoryError(0, "is a folder, where a file is to be; take it away", str(there))
            self._require_folder(there.parent)
            if os.path.lexists(there):
                if not there.is_symlink():
                    shutil.copymode(there, staged)
                replaced.append(name)
        return replaced

    def _require_folder(self, folder: Path) -> None:
        """Raise `OSError` if a file could not be put into a folder of the project, or would be elsewhere."""
        while folder != self.target:
            if folder.is_symlink():
                raise NotADirectoryError(0, "is a link, where a folder is to be; take it away", str(folder))
            if folder.exists():
                break
            folder = folder.parent
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(0, "is read-only", str(folder))

    def _keep(self, names: Collection[str]) -> Path:
        """Copy files of the project to a folder of their own; no other generation has the same."""
        self._require_folder(self.target / FORMER / "1")
        (self.target / FORMER).mkdir(exist_ok=True)
        (self.target / FORMER / ".gitignore").write_text("*\n", encoding="utf-8")
        numbers = [int(path.name) for path in (self.target / FORMER).iterdir() if path.name.isdecimal()]
        former = self.target / FORMER / str(max(numbers, default=0) + 1)
        former.mkdir()
        try:
            for name in names:
                (former / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(self.target / name, former / name, follow_symlinks=False)
        except OSError:
            _forget(former)
            raise
        return former

    def _place(self, gone: Collection[str], done: list[str]) -> None:
        """Move all into the project, and note first what."""
        for name in sorted(_names(self.folder, folders=True)):
            if not os.path.lexists(self.target / name):
                done.append(name)
                (self.target / name).mkdir()
                shutil.copymode(self.folder / name, self.target / name)
        for name in _names(self.folder):
            done.append(name)
            (self.folder / name).replace(self.target / name)
        for name in gone:
            done.append(name)
            (self.target / name).unlink(missing_ok=True)

    def _undo(self, done: list[str], former: Path | None) -> bool:
        """Make the project as it was; say whether it is."""
        whole = True
        for name in reversed(done):
            there = self.target / name
            try:
                if former and os.path.lexists(former / name):
                    (former / name).replace(there)
                elif there.is_dir():
                    there.rmdir()
                else:
                    there.unlink(missing_ok=True)
            except OSError:
                whole = False
        return whole

    def _lock(self) -> None:
        """Raise `FileExistsError` if something else is being put into the project; after a crash, it no longer is."""
        lock = self.target / _LOCK
        with contextlib.suppress(OSError, ValueError):
            name = lock.read_text(encoding="utf-8")
            if _NAME.fullmatch(name) and not any(
                (parent / f"{name}{end}").exists()
                for parent in (self.target, self.target.parent)
                for end in ("", _GONE)
            ):
                lock.unlink()
        try:
            with lock.open("x", encoding="utf-8") as file:
                file.write(self.folder.name)
        except FileExistsError:
            raise FileExistsError(
                0, "says that another process is generating here; wait, or take it away if none is", str(lock)
            ) from None

    def _unlock(self) -> None:
        lock = self.target / _LOCK
        with contextlib.suppress(OSError, ValueError):
            if lock.read_text(encoding="utf-8") == self.folder.name:
                lock.unlink()
                if self.mode == NEW:  # begun on Windows
                    self.target.rmdir()

    def watch(self) -> None:
        """Start the guard, and wait for it when this process ends."""
        import atexit
        import subprocess

        # In a session of its own, it is not killed along with cookiecutter.
        guard = subprocess.Popen(
            [sys.executable, "-I", "-S", __file__, str(self.folder)],
            stdin=subprocess.PIPE,
            start_new_session=True,
            creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
        )

        def released() -> None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                guard.communicate(timeout=_SECONDS)

        atexit.register(released)

    def guard(self) -> None:
        """Wait until standard input ends, as it does when cookiecutter is gone; leave a whole project or nothing new.

        Trusts nothing but its own folder. Without its name a hook that is still running can begin nothing.
        """
        sys.stdin.read()
        taken = self._replace(folder=self.folder.with_name(f"{self.folder.name}{_GONE}"))
        for _ in range(_PATIENCE):
            try:
                self.folder.rename(taken.folder)
                break
            except FileNotFoundError:
                return self._unlock()
            except PermissionError:  # on Windows, as long as it is running
                time.sleep(0.1)
        else:
            return self._unlock()
        said = "ds-docker-env: stopped; nothing was generated"
        if (taken.folder / _PLAN).exists():
            gone = json.loads((taken.folder / _PLAN).read_text(encoding="utf-8"))
            said = f"ds-docker-env: stopped, but {self.target} was complete"
            try:
                taken._place(gone, [])
            except OSError as error:
                said = f"ds-docker-env: stopped; {self.target} is half renewed ({error}); {FORMER} has it as it was"
        unfinished = any(taken.folder.iterdir())
        # What a hook still writes comes too late, but may need a second look.
        for _ in range(_PATIENCE):
            shutil.rmtree(taken.folder, ignore_errors=True)
            if not taken.folder.exists():
                break
            time.sleep(0.1)
        self._unlock()
        if unfinished:
            print(said, file=sys.stderr)


def _forget(former: Path) -> None:
    shutil.rmtree(former, ignore_errors=True)
    if [path.name for path in former.parent.iterdir()] == [".gitignore"]:
        shutil.rmtree(former.parent, ignore_errors=True)


def _alike(one: Path, other: Path) -> bool:
    return other.is_file() and filecmp.cmp(one, other, shallow=False)


def _names(folder: Path, *, folders: bool = False) -> list[str]:
    return [
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if not path.name.startswith(_PLAN) and (path.is_dir() and not path.is_symlink()) == folders
    ]


if __name__ == "__main__":
    Staging.of(Path(sys.argv[1])).guard()
