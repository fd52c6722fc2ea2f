"""Generation that is killed, or cannot write: a whole project or nothing new, and the next run works.

`benchmarks/kill.py` tries many more moments.
"""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from conftest import TEMPLATE, Generated, answered, write_files
from offers import PYTHON

from ds_docker_env.common.shipped import LOCKS, lock_name
from ds_docker_env.generation import staging
from ds_docker_env.generation.staging import Staging

Run = Callable[..., Generated]

BEFORE = {"README.md": "mine", "src/analysis.ipynb": "mine", "production.txt": "old"}
RENDERED = {"README.md": "new", "src/analysis.ipynb": "new", "requirements.txt": "new", ".dvc/config": "new"}
AFTER = {
    **{"README.md": "new", "src/analysis.ipynb": "mine", "requirements.txt": "new", ".dvc/config": "new"},
    **{".former/.gitignore": "*\n", ".former/1/README.md": "mine", ".former/1/production.txt": "old"},
}

NOW = {name: text for name, text in AFTER.items() if not name.startswith(".former/")}


class Killed(BaseException):
    """Stands for a kill, after which nothing is undone."""


def tree(folder: Path) -> dict[str, str]:
    return {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*") if path.is_file()}


def everything(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


def staged(target: Path) -> Staging:
    """Return a project in the making, which is to be there."""
    made = Staging.beginning(target, only_missing=False)
    write_files(made.folder, RENDERED)
    return made


def failing(patch: pytest.MonkeyPatch, at: int, error: BaseException) -> list[str]:
    """Let a step of `staging` that changes files fail; return the steps that are done."""
    steps: list[str] = []
    for owner, name in ((Path, "replace"), (Path, "rename"), (Path, "unlink"), (Path, "mkdir")):
        real = getattr(owner, name)

        def step(*arguments: Any, _real: Callable[..., Any] = real, _name: str = name, **options: Any) -> Any:
            steps.append(_name)
            if len(steps) == at:
                raise error
            return _real(*arguments, **options)

        patch.setattr(owner, name, step)
    return steps


def at_every_step(tmp_path: Path, error: BaseException, look: Callable[[Path], None]) -> int:
    """Put a project over another with a failure at each step; return the number of steps."""
    for at in range(1, 100):
        target = tmp_path / str(at) / "p"
        write_files(target, BEFORE)
        made = staged(target)
        with pytest.MonkeyPatch.context() as patch:
            steps = failing(patch, at, error)
            try:
                made.put(kept="src/", removed=["production.txt", "uv.toml"])
            except (Killed, OSError):
                pass
            finally:
                patch.undo()
        look(target)
        if len(steps) < at:
            return len(steps)
    raise AssertionError("no end of steps")


def failing_with(error: BaseException) -> Callable[..., None]:
    def fail(*_: object) -> None:
        raise error

    return fail


def guarded(folder: Path) -> str:
    """Run the guard of a project in the making, whose cookiecutter is gone; return what it says."""
    command = [sys.executable, "-I", "-S", staging.__file__, str(folder)]
    return subprocess.run(command, input="", capture_output=True, text=True, check=True).stderr


def test_a_kill_while_files_are_put_into_place_leaves_the_old_project_or_the_guard_finishes_the_new(
    tmp_path: Path,
) -> None:
    outcomes = []

    def look(target: Path) -> None:
        if (target / ".generating").exists():
            guarded(target / (target / ".generating").read_text())
        now = {name: text for name, text in tree(target).items() if not name.startswith(".p.again-")}
        assert {name: text for name, text in now.items() if not name.startswith(".former/")} in (BEFORE, NOW)
        outcomes.append(now["README.md"] == "new")
        assert not outcomes[-1] or now == AFTER

    assert at_every_step(tmp_path, Killed(), look) > 10
    # First the old ones, then the new ones.
    assert outcomes == sorted(outcomes)
    assert set(outcomes) == {False, True}


def test_a_file_that_cannot_be_put_into_place_leaves_all_as_it_was(tmp_path: Path) -> None:
    outcomes = []

    def look(target: Path) -> None:
        now = everything(target)
        outcomes.append(tree(target)["README.md"])
        if outcomes[-1] == "new":
            # It names a folder that is gone, which nobody heeds.
            assert {name: text for name, text in tree(target).items() if name != ".generating"} == AFTER
        else:
            left = {name for name in now if name.startswith((".p.again-", ".former", ".generating"))}
            assert now - left == {*BEFORE, "src"}
            assert {name: text for name, text in tree(target).items() if name not in left} == BEFORE

    at_every_step(tmp_path, OSError(errno.EACCES, "Permission denied"), look)
    assert set(outcomes) == {"mine", "new"}


@pytest.mark.parametrize("existing", [True, False], ids=["over a project", "new"])
def test_of_two_generations_at_once_each_is_whole_or_says_so(tmp_path: Path, existing: bool) -> None:
    target = tmp_path / "p"
    if existing:
        write_files(target, BEFORE)
    one, other = staged(target), staged(target)
    if existing:
        (target / ".generating").write_text(one.folder.name)
    else:
        one.put(kept="src/", removed=[])
    before = (target / "README.md").read_text()
    with pytest.raises(OSError):
        other.put(kept="src/", removed=[])
    assert (target / "README.md").read_text() == before
    assert (target / "requirements.txt").exists() != existing
    if existing:
        shutil.rmtree(one.folder)
        assert other.put(kept="src/", removed=[]) == (["README.md"], ".former/1")


def test_the_guard_throws_away_what_is_not_finished_and_finishes_what_is(tmp_path: Path) -> None:
    target = tmp_path / "p"
    assert guarded(staged(target).folder) == "ds-docker-env: stopped; nothing was generated\n"
    assert everything(tmp_path) == set()
    write_files(target, BEFORE)
    before = everything(tmp_path)
    made = staged(target)
    assert "nothing was generated" in guarded(made.folder)
    assert everything(tmp_path) == before
    made = staged(target)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Staging, "_place", failing_with(Killed()))
        with pytest.raises(Killed):
            made.put(kept="src/", removed=["production.txt"])
    assert tree(target)["README.md"] == "mine"
    assert guarded(made.folder) == f"ds-docker-env: stopped, but {target} was complete\n"
    assert tree(target) == AFTER
    assert guarded(made.folder) == ""


def test_where_a_folder_in_use_cannot_be_renamed_a_new_project_is_put_into_its_place_file_by_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On Windows, the shell that runs a hook keeps its folder."""

    def refuse(*_: object) -> None:
        raise PermissionError(errno.EACCES, "in use")

    target = tmp_path / "p"
    made, other = staged(target), staged(target)
    monkeypatch.setattr(Path, "rename", refuse)
    made.put(kept="src/", removed=[])
    assert tree(tmp_path / "p") == RENDERED
    with pytest.raises(FileExistsError):
        other.put(kept="src/", removed=[])
    assert tree(tmp_path / "p") == RENDERED


def test_no_link_leads_what_is_generated_out_of_the_project(tmp_path: Path) -> None:
    target = tmp_path / "p"
    write_files(tmp_path, {"elsewhere/config": "theirs"})
    write_files(target, BEFORE)
    (target / ".dvc").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(NotADirectoryError, match="is a link, where a folder is to be"):
        staged(target).put(kept="src/", removed=[])
    (target / ".dvc").unlink()
    (target / ".former").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(NotADirectoryError):
        staged(target).put(kept="src/", removed=[])
    assert tree(tmp_path / "elsewhere") == {"config": "theirs"}
    assert (target / "README.md").read_text() == "mine"
    (target / ".former").unlink()
    (target / "README.md").unlink()
    (target / "README.md").symlink_to("nowhere")
    made = staged(target)
    (made.folder / "src" / "data").mkdir()
    (target / "src" / "data").symlink_to("/unmounted")
    assert made.put(kept="src/", removed=[]) == (["README.md"], ".former/1")
    assert (target / "README.md").read_text() == "new"
    assert (target / ".former" / "1" / "README.md").readlink() == Path("nowhere")


def begun(output: Path, *options: str, limit: str = "") -> subprocess.Popen[str]:
    """Start cookiecutter in a process group of its own."""
    home = output.parent / "home"
    home.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "cookiecutter", str(TEMPLATE), "--no-input", *options, *answered(project_slug="p")]
    return subprocess.Popen(
        ["sh", "-c", f'{limit or ":"}; exec "$@"', "sh", *command],
        cwd=output,
        env={**os.environ, "HOME": str(home)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
        text=True,
    )


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


@pytest.mark.skipif(os.name != "posix", reason="Windows has no kill -9")
@pytest.mark.parametrize(
    ("moment", "existing", "group"),
    [
        (".p.new-*", False, True),
        (".p.new-*/README.md", False, False),
        ("p/.p.again-*/README.md", True, True),
    ],
)
def test_kill_9_leaves_a_whole_project_or_nothing_new_and_the_next_run_works(
    tmp_path: Path, moment: str, existing: bool, group: bool
) -> None:
    output = tmp_path / "output"
    output.mkdir()
    options = ["--overwrite-if-exists"] if existing else []
    if existing:
        write_files(output / "p", BEFORE)
    before = everything(output)
    process = begun(output, *options)
    wait_for(lambda: list(output.glob(moment)))
    if sys.platform != "win32":
        (os.killpg if group else os.kill)(process.pid, signal.SIGKILL)
    process.wait()
    wait_for(lambda: not [*output.glob(".p.*"), *output.glob("p/.p*")])
    if (output / "p" / "Dockerfile").exists():
        assert {"p/README.md", "p/requirements.txt", "p/.secrets/jupyter_password"} <= everything(output)
    else:
        assert everything(output) == before
        assert begun(output, *options).wait() == 0
    if existing:
        assert tree(output)["p/src/analysis.ipynb"] == "mine"


def test_two_generations_at_once_into_one_folder_leave_one_whole_project(tmp_path: Path) -> None:
    output = tmp_path / "output"
    output.mkdir()
    both = [begun(output), begun(output)]
    for process in both:
        process.communicate()
    assert sorted(process.returncode for process in both) == [0, 1]
    assert {"p/README.md", "p/Dockerfile", "p/.secrets/jupyter_password"} <= everything(output)
    assert [path.name for path in output.iterdir()] == ["p"]


@pytest.mark.skipif(os.name != "posix", reason="Windows has no ulimit")
@pytest.mark.skipif(
    (LOCKS / lock_name("requirements", PYTHON)).stat().st_size < 50_000, reason="no lock on offer is that large"
)
def test_a_file_that_cannot_be_written_whole_is_said_and_leaves_nothing(tmp_path: Path) -> None:
    output = tmp_path / "output"
    write_files(output / "p", BEFORE)
    before = everything(output)
    process = begun(output, "--overwrite-if-exists", limit="ulimit -f 40")
    _, said = process.communicate()
    assert process.returncode == 1
    assert f"one thing needs another look:\n  {output / 'p'}: File too large; check the folder, " in said
    assert "Traceback" not in said
    assert everything(output) == before


def test_a_read_only_folder_is_said_and_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_files(tmp_path, {"p/README.md": "mine"})
    made = staged(tmp_path / "p")
    # Nothing is read-only for root.
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(PermissionError, match="is read-only"):
        made.put(kept="src/", removed=[])
    assert (tmp_path / "p" / "README.md").read_text() == "mine"
    assert not (tmp_path / "p" / ".generating").exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_a_summary_that_cannot_be_written_fails_no_project(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "cookiecutter", str(TEMPLATE), "--no-input", *answered(project_slug="p")]
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(command, cwd=tmp_path, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert "nothing was generated" not in done.stderr
    assert {"Dockerfile", ".secrets", "src"} <= {path.name for path in (tmp_path / "p").iterdir()}
    assert not list(tmp_path.glob(".p*"))


@pytest.mark.skipif(os.name != "posix", reason="Windows has no HOME")
def test_a_home_that_cannot_be_written_is_said_without_a_traceback(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "cookiecutter", str(TEMPLATE), "--no-input", *answered()]
    (tmp_path / "home").write_text("a file")
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env={**os.environ, "HOME": str(tmp_path / "home")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr, done.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"home"}


@pytest.mark.parametrize("answer", ["500", "garbage", "silence"])
def test_an_index_that_fails_leaves_nothing(
    tmp_path: Path, cookiecutter: Run, monkeypatch: pytest.MonkeyPatch, answer: str
) -> None:
    (tmp_path / "pins.txt").write_text("prod==1.0\n")
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    monkeypatch.setenv("UV_HTTP_TIMEOUT", "1")
    with broken_index(answer) as url:
        monkeypatch.setenv("UV_DEFAULT_INDEX", url)
        refused = cookiecutter(production_requirements="pins.txt")
    assert refused.exit_code == 1
    assert "ds-docker-env: nothing was generated, one thing needs another look:" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert not everything(refused.project.parent)


@contextmanager
def broken_index(answer: str) -> Iterator[str]:
    """Serve an index on 127.0.0.1 whose every answer is this."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if answer == "silence":
                released.wait(30)
                return
            self.send_response(500 if answer == "500" else 200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(os.urandom(1000))

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    released = threading.Event()
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}/simple/"
        yield url
        released.set()
        server.shutdown()
