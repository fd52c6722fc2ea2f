"""Rendering into a hidden directory, and moving the complete project into place."""

from __future__ import annotations

import contextlib
import filecmp
import os
import shutil
import sys
from collections.abc import Collection
from pathlib import Path
from typing import IO

from ds_docker_env.common.errors import ProjectError
from ds_docker_env.generation.claim import claim, is_claimed, take_from_hook

NEW, AGAIN, MISSING = "new", "again", "missing"
# The directory of a project that keeps the replaced files.
FORMER = ".former"
# The user's files, which the template never replaces.
_KEPT = "src/"
_FROM_BEFORE = "# From before this was generated again."
# Lines of .gitignore and .dockerignore that the template rendered before 2026.12.
_RENDERED_BEFORE = {"!parity.pyz", ".env", ".env.*", ".netrc", "_netrc", "**/_netrc"}
# The hidden directory. Its plan names the files to remove, and exists only when all others are complete.
_ROOM, _PLAN = ".generating", "plan"


class Staging:
    """The directory that cookiecutter renders into, and the project's place.

    A `NEW` project is rendered beside its place. `AGAIN` and `MISSING` render inside the existing project; `MISSING`
    only adds files. Under cruft and pytest-cookies both directories are the same, as these expect the project there.
    """

    def __init__(self, folder: Path, target: Path, mode: str = NEW) -> None:
        self.folder, self.target, self.mode = folder, target, mode
        self.room = folder.parent
        self._claim: IO[str] | None = None

    @classmethod
    def of(cls, folder: Path) -> Staging:
        """Take the directory that cookiecutter renders into, and share its claim; raise `OSError` if it was removed."""
        room = folder.parent
        if not room.name.endswith(_ROOM) or not is_claimed(room):
            return cls(folder, folder)
        slug = room.name.removeprefix(".").removesuffix(_ROOM) if folder.name == NEW else ""
        staging = cls(folder, room.parent / slug, folder.name)
        staging._claim = claim(room, by_hook=True)
        return staging

    @classmethod
    def begin(cls, target: Path, *, only_missing: bool) -> Staging:
        """Make and claim the hidden directory for a project; raise `OSError` if that fails.

        A directory of a killed generation is removed. If its project was complete, it is moved into its place first.
        """
        if target.is_symlink() and not target.exists():
            raise FileNotFoundError(0, "is a broken link; remove it", str(target))
        beside, inside = target.with_name(f".{target.name}{_ROOM}"), target / _ROOM
        mode = NEW if not target.exists() else MISSING if only_missing else AGAIN
        staging = cls((beside if mode == NEW else inside) / mode, target, mode)
        existing = next(folder for folder in staging.room.parents if folder.exists())
        if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
            advice = "is not a directory that you can write to; choose another with --output-dir"
            raise PermissionError(0, advice, str(existing))
        for room in (beside, inside):
            _require_no_link(room)
            if room.exists():
                with contextlib.closing(claim(room, alone=True)):
                    _finish(room, target)
        staging.room.mkdir(parents=True)
        # The project's .gitignore may not ignore it.
        (staging.room / ".gitignore").write_text("*\n", encoding="utf-8")
        staging._claim = claim(staging.room)
        return staging

    def leave(self) -> None:
        """Stop a running hook and remove the hidden directory, at the end of cookiecutter's process."""
        if self._claim and take_from_hook(self._claim):
            # On Windows, a hook that has moved the project leaves an empty directory.
            unfinished = not (self.room / _PLAN).exists() and self.folder.exists() and any(self.folder.iterdir())
            with contextlib.suppress(OSError):
                _finish(self.room, self.target)
            if unfinished:
                print("ds-docker-env: stopped; nothing was generated", file=sys.stderr)

    def former(self, name: str) -> str:
        """Return the text of a file in an existing project, blank if it does not exist."""
        path = self.target / name
        try:
            return path.read_text(encoding="utf-8-sig") if path.exists() else ""
        except (OSError, UnicodeError) as error:
            raise ProjectError(f"{name}: cannot be read ({error}); correct or remove it") from None

    def keep_ignored(self) -> None:
        """Append the user's patterns to the new .gitignore and .dockerignore."""
        for name in (".gitignore", ".dockerignore"):
            text = (self.folder / name).read_text(encoding="utf-8")
            known = {"", _FROM_BEFORE, *_RENDERED_BEFORE, *text.splitlines()}
            own = [line for line in self.former(name).splitlines() if line.strip() not in known]
            if own:
                (self.folder / name).write_bytes("\n".join([text, _FROM_BEFORE, *own, ""]).encode())

    def put(self, removed: Collection[str]) -> tuple[list[str], str]:
        """Move the project into place, or raise `OSError` and change nothing.

        Existing files in `src` stay; others are replaced, and those in ``removed`` removed. Return the names of the
        replaced and removed files, and the directory with their former content. With `MISSING`, return the names of the
        files that would have been replaced, and a blank.
        """
        if self.folder == self.target:
            return [], ""
        if self.mode == NEW:
            try:
                self.folder.rename(self.target)
            except PermissionError:  # on Windows, the shell that runs a hook has its working directory here
                (self.room / "whole").mkdir()
                for path in self.folder.iterdir():
                    path.rename(self.room / "whole" / path.name)
                (self.room / "whole").rename(self.target)
            shutil.rmtree(self.room, ignore_errors=True)
            return [], ""
        replaced = self._replaced()
        gone = [name for name in removed if self.mode == AGAIN and os.path.lexists(self.target / name)]
        draft = self.room / f"{_PLAN}.draft"
        draft.write_text("\n".join(gone), encoding="utf-8")
        draft.replace(self.room / _PLAN)
        try:
            former = self._place([*replaced, *gone] if self.mode == AGAIN else [])
        except OSError:
            (self.room / _PLAN).unlink(missing_ok=True)
            raise
        shutil.rmtree(self.room, ignore_errors=True)
        return [*replaced, *gone], former

    def _replaced(self) -> list[str]:
        """Delete the rendered files that do not replace others; return the names of the files to replace."""
        replaced = []
        for name in _names(self.folder):
            staged, there = self.folder / name, self.target / name
            same = os.path.lexists(there) and (name.startswith(_KEPT) or _alike(staged, there))
            if same or (self.mode == MISSING and os.path.lexists(there)):
                staged.unlink()
                replaced += [] if same else [name]
                continue
            if there.is_dir():
                raise IsADirectoryError(0, "is a directory, but a file is expected here; remove it", str(there))
            self._require_folder(there.parent)
            if os.path.lexists(there):
                if not there.is_symlink():
                    shutil.copymode(there, staged)
                replaced.append(name)
        return replaced

    def _require_folder(self, folder: Path) -> None:
        """Raise `OSError` if a directory of the project is not writable, or leads outside."""
        while folder != self.target:
            _require_no_link(folder)
            if folder.exists():
                break
            folder = folder.parent
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(0, "is read-only; make it writable", str(folder))

    def _place(self, replaced: Collection[str]) -> str:
        """Move the replaced files to a new directory, and the new files into the project; return the directory's name.

        If that fails, move all back and raise `OSError`.
        """
        former = self._new_former() if replaced else None
        moves = [(self.target / name, former / name) for name in replaced] if former else []
        moves += [(self.folder / name, self.target / name) for name in _names(self.folder)]
        made, done = list[Path](), list[tuple[Path, Path]]()
        try:
            for name in sorted(_names(self.folder, folders=True)):
                if not os.path.lexists(self.target / name):
                    (self.target / name).mkdir()
                    made.append(self.target / name)
                    shutil.copymode(self.folder / name, self.target / name)
            for source, there in moves:
                there.parent.mkdir(parents=True, exist_ok=True)
                source.rename(there)
                done.append((source, there))
        except OSError:
            for source, there in reversed(done):
                with contextlib.suppress(OSError):
                    there.rename(source)
            if former:
                made += [former, *sorted(former.rglob("*"))]
            for folder in reversed(made):
                with contextlib.suppress(OSError):
                    folder.rmdir()
            if former and [path.name for path in former.parent.iterdir()] == [".gitignore"]:
                shutil.rmtree(former.parent, ignore_errors=True)
            raise
        return former.relative_to(self.target).as_posix() if former else ""

    def _new_former(self) -> Path:
        """Make a directory for the replaced files of this generation."""
        former = self.target / FORMER
        self._require_folder(former / "1")
        former.mkdir(exist_ok=True)
        (former / ".gitignore").write_text("*\n", encoding="utf-8")
        numbers = [int(path.name) for path in former.iterdir() if path.name.isdecimal()]
        former /= str(max(numbers, default=0) + 1)
        former.mkdir()
        return former


def _finish(room: Path, target: Path) -> None:
    """Move a complete project into its place if that was interrupted, and remove the hidden directory."""
    if (room / _PLAN).exists():
        mode = AGAIN if os.path.lexists(room / AGAIN) else MISSING
        # A forged plan must not change files outside the project.
        _require_no_link(room / mode)
        plan = (room / _PLAN).read_text(encoding="utf-8")
        try:
            Staging(room / mode, target, mode).put([name for name in plan.splitlines() if name == Path(name).name])
        except OSError:
            (room / _PLAN).write_text(plan, encoding="utf-8")
            raise
        print(f"ds-docker-env: {target}: completed an interrupted generation", file=sys.stderr)
    if room.exists():
        shutil.rmtree(room)


def _require_no_link(folder: Path) -> None:
    if folder.is_symlink():
        raise NotADirectoryError(0, "is a link, but a directory is expected here; remove it", str(folder))


def _alike(one: Path, other: Path) -> bool:
    return other.is_file() and filecmp.cmp(one, other, shallow=False)


def _names(folder: Path, *, folders: bool = False) -> list[str]:
    return [
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if (path.is_dir() and not path.is_symlink()) == folders
    ]
