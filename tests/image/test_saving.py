"""A notebook is whole whenever saving ends: killed on any line, on a full disk, in another's directory."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType, SimpleNamespace
from typing import Any

import pytest
from conftest import run_alone

if sys.platform == "win32":
    pytest.skip("it runs in the image, on Linux", allow_module_level=True)

from ds_docker_env.image import saving
from ds_docker_env.image.saving import LEFTOVER, replacing

OLD, NEW = "old\n" * 30_000, "new\n" * 50_000


def write(path: Path, text: str = NEW) -> None:
    """Save a text in pieces that are larger than any buffer."""
    with replacing(path, encoding="utf-8") as file:
        for start in range(0, len(text), 50_000):
            file.write(text[start : start + 50_000])


def killed_at(line: int, act: Callable[[], None]) -> bool:
    """Return whether a process that does this was killed before it had run as many lines of this file and of saving."""
    child = os.fork()
    if not child:
        seen = 0

        def trace(frame: FrameType, event: str, _: Any) -> Any:
            nonlocal seen
            if frame.f_code.co_filename not in (saving.__file__, __file__):
                return None
            seen += event == "line"
            if seen > line:
                os.kill(os.getpid(), signal.SIGKILL)
            return trace

        sys.settrace(trace)
        try:
            act()
        finally:
            os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def left(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def test_a_process_that_is_killed_on_any_line_leaves_the_old_file_or_the_new_one(tmp_path: Path) -> None:
    path = tmp_path / "analysis.ipynb"
    found = []
    for line in range(200):
        path.write_text(OLD)
        killed = killed_at(line, lambda: write(path))
        found.append({OLD: "old", NEW: "new"}.get(path.read_text(), "broken"))
        for temporary in tmp_path.glob(f"{LEFTOVER}*"):
            temporary.unlink()
        if not killed:
            break
    assert len(found) > 20
    assert set(found) == {"old", "new"} and found == sorted(found, reverse=True)


def test_leftovers_of_a_kill_are_hidden_and_a_later_save_removes_them(tmp_path: Path) -> None:
    for name, age in (("old", 4000), ("young", 0)):
        (tmp_path / f"{LEFTOVER}{name}").touch()
        then = (tmp_path / f"{LEFTOVER}{name}").stat().st_mtime - age
        os.utime(tmp_path / f"{LEFTOVER}{name}", (then, then))
    write(tmp_path / "analysis.ipynb")
    assert LEFTOVER.startswith(".")
    assert left(tmp_path) == [f"{LEFTOVER}young", "analysis.ipynb"]


def test_an_error_leaves_the_old_file_and_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "analysis.ipynb"
    path.write_text(OLD)
    with pytest.raises(ZeroDivisionError), replacing(path) as file:
        file.write(NEW)
        file.write(str(1 // 0))
    assert (path.read_text(), left(tmp_path)) == (OLD, ["analysis.ipynb"])


def test_a_link_stays_a_link_and_the_file_keeps_its_mode_and_group(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    target, link = tmp_path / "elsewhere" / "target.ipynb", tmp_path / "analysis.ipynb"
    target.write_text(OLD)
    target.chmod(0o664)
    if os.geteuid() == 0:
        os.chown(target, -1, 4242)
    link.symlink_to("elsewhere/target.ipynb")
    before = target.stat()
    write(link)
    assert link.is_symlink() and target.read_text() == NEW
    after = target.stat()
    assert (after.st_mode, after.st_gid) == (before.st_mode, before.st_gid)
    assert after.st_ino != before.st_ino and after.st_mtime_ns > before.st_mtime_ns


def test_a_new_file_has_the_mode_and_group_of_its_directory_and_umask(tmp_path: Path) -> None:
    tmp_path.chmod(0o2770)
    before = os.umask(0o027)
    try:
        write(tmp_path / "analysis.ipynb")
    finally:
        os.umask(before)
    made = (tmp_path / "analysis.ipynb").stat()
    assert (stat.S_IMODE(made.st_mode), made.st_gid) == (0o640, tmp_path.stat().st_gid)


def test_the_new_file_of_a_private_one_is_private_too(tmp_path: Path) -> None:
    path = tmp_path / "analysis.ipynb"
    path.write_text(OLD)
    path.chmod(0o600)
    with replacing(path):
        [temporary] = tmp_path.glob(f"{LEFTOVER}*")
        assert stat.S_IMODE(temporary.stat().st_mode) == 0o600


@pytest.mark.parametrize("refused", ["chown", "replace"])
def test_a_file_that_cannot_be_replaced_as_it_is_gets_its_new_content_in_place(
    refused: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    path = tmp_path / "analysis.ipynb"
    path.write_text(OLD)
    before = path.stat().st_ino
    monkeypatch.setattr(os if refused == "chown" else Path, refused, refuse)
    write(path)
    assert (path.read_text(), path.stat().st_ino, left(tmp_path)) == (NEW, before, ["analysis.ipynb"])


@pytest.fixture
def manager(tmp_path: Path) -> Any:
    contents = pytest.importorskip("ds_docker_env.image.contents")
    return contents.Contents(root_dir=str(tmp_path), checkpoints_class=contents.Checkpoints)


def notebook(text: str) -> dict[str, Any]:
    cell = {"cell_type": "markdown", "id": "a", "metadata": {}, "source": text}
    content = {"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    return {"type": "notebook", "format": "json", "content": content}


def said(path: Path) -> str:
    [cell] = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return "".join(cell["source"])


def test_jupyter_replaces_notebooks_texts_uploads_and_checkpoints(
    manager: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replaced = []
    real = Path.replace

    def noted(path: Path, target: Path) -> Path:
        replaced.append(target.name)
        return real(path, target)

    monkeypatch.setattr(Path, "replace", noted)

    async def work() -> None:
        await manager.save(notebook("first"), "a.ipynb")
        await manager.save(notebook("second ä"), "a.ipynb")
        assert said(tmp_path / "a.ipynb") == "second ä"
        await manager.restore_checkpoint("checkpoint", "a.ipynb")
        assert said(tmp_path / "a.ipynb") == "first"
        await manager.save({"type": "file", "format": "text", "content": "ä\r\n"}, "b.py")
        for chunk, content in ((1, "AAEC"), (-1, "/w==")):
            await manager.save({"type": "file", "format": "base64", "content": content, "chunk": chunk}, "c.bin")

    run_alone(work())
    assert (tmp_path / "b.py").read_bytes() == "ä\r\n".encode()
    assert (tmp_path / "c.bin").read_bytes() == b"\x00\x01\x02\xff"
    assert replaced == ["a.ipynb", "a-checkpoint.ipynb", "a.ipynb", "a.ipynb", "b.py", "c.bin"]


def test_a_full_disk_leaves_the_old_notebook_and_the_browser_gets_the_reason(
    manager: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_alone(manager.save(notebook("old"), "a.ipynb"))

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(saving, "os", SimpleNamespace(**{**vars(os), "fsync": full}))
    with pytest.raises(Exception, match="No space left on device"):
        run_alone(manager.save(notebook("new"), "a.ipynb"))
    assert said(tmp_path / "a.ipynb") == "old"
    assert left(tmp_path) == [".ipynb_checkpoints", "a.ipynb"]


def test_without_the_right_to_write_in_its_directory_a_file_is_written_in_place_and_a_read_only_file_is_refused(
    manager: Any, tmp_path: Path
) -> None:
    if os.geteuid() == 0 and not shutil.which("setpriv"):
        pytest.skip("only root can become somebody else, with setpriv")
    run_alone(manager.save(notebook("old"), "a.ipynb"))
    (tmp_path / "a.ipynb").chmod(0o666)
    (tmp_path / "read-only.ipynb").write_text("{}")
    (tmp_path / "read-only.ipynb").chmod(0o444)
    for directory in (tmp_path, *tmp_path.parents):
        if directory.stat().st_mode & 0o1777 == 0o700:
            directory.chmod(0o755)
    if not os.geteuid():
        child = os.fork()
        if not child:
            os.setgroups([])
            os.setgid(4242)
            os.setuid(4242)
            os._exit(_as_a_guest(manager))
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    else:
        tmp_path.chmod(0o555)
        assert _as_a_guest(manager) == 0
        tmp_path.chmod(0o755)
    assert said(tmp_path / "a.ipynb") == "new"


def _as_a_guest(manager: Any) -> int:
    async def save() -> None:
        with manager.atomic_writing(manager._get_os_path("a.ipynb")) as file:
            json.dump(notebook("new")["content"], file)
        try:
            with manager.atomic_writing(manager._get_os_path("read-only.ipynb")):
                raise AssertionError("it may not be written")
        except Exception as error:
            assert "Permission denied" in str(error), error

    try:
        run_alone(save())
    except BaseException as error:
        print(error, file=sys.stderr)
        return 1
    return 0
