"""Generation that is killed or cannot write leaves a whole project or a hidden directory, and the next run works."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import TEMPLATE, Generated, answered, run_in_home, write_files
from offers import PYTHON

from ds_docker_env.common import uv
from ds_docker_env.common.progress import silent
from ds_docker_env.common.shipped import LOCKS, lock_name
from ds_docker_env.common.signals import STOPPED
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
    """Stands for a kill, after which changes are not undone."""


def tree(folder: Path) -> dict[str, str]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_text(errors="replace") for path in files}


def everything(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


def staged(target: Path) -> Staging:
    """Render a project for this place."""
    made = Staging.begin(target, only_missing=False)
    write_files(made.folder, RENDERED)
    return made


def stopped(made: Staging) -> None:
    """Release the lock, as the system does at the end of a process."""
    assert made._claim
    made._claim.close()


def failing(patch: pytest.MonkeyPatch, at: int, error: BaseException) -> list[str]:
    """Let one step of `staging` that changes files fail; return the completed steps."""
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
    """Generate over a project, with a failure at each step in turn; return the number of steps."""
    for at in range(1, 100):
        target = tmp_path / str(at) / "p"
        write_files(target, BEFORE)
        made = staged(target)
        with pytest.MonkeyPatch.context() as patch:
            steps = failing(patch, at, error)
            try:
                made.put(["production.txt", "uv.toml"])
            except (Killed, OSError):
                pass
            finally:
                patch.undo()
                stopped(made)
        look(target)
        if len(steps) < at:
            return len(steps)
    raise AssertionError("no end of steps")


def test_after_a_kill_the_old_project_is_whole_or_the_next_generation_completes_the_new(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    outcomes = []

    def look(target: Path) -> None:
        hidden = {name for name in tree(target) if name.startswith(".generating/")}
        assert not hidden or (target / ".generating" / ".gitignore").read_text() == "*\n"
        complete = (target / ".generating" / "plan").exists()
        # As if the next generation were refused.
        Staging.begin(target, only_missing=False).leave()
        assert ("completed an interrupted generation" in capsys.readouterr().err) == complete
        now = tree(target)
        assert not [name for name in now if name.startswith(".generating")]
        outcomes.append(now["README.md"] == "new")
        if outcomes[-1]:
            former = {Path(name).name: text for name, text in now.items() if name.startswith(".former/")}
            assert former == {".gitignore": "*\n", "README.md": "mine", "production.txt": "old"}
        files = {name: text for name, text in now.items() if not name.startswith(".former/")}
        assert files == (NOW if outcomes[-1] else BEFORE)

    assert at_every_step(tmp_path, Killed(), look) > 10
    # First the old ones, then the new ones.
    assert outcomes == sorted(outcomes)
    assert set(outcomes) == {False, True}


def test_an_interrupted_generation_keeps_files_outside_the_project_and_later_edits(tmp_path: Path) -> None:
    target = tmp_path / "p"
    write_files(tmp_path, {"theirs": "theirs"})
    write_files(target, BEFORE)
    made = staged(target)
    (made.room / "plan").write_text("../theirs\nproduction.txt")
    stopped(made)
    (target / "README.md").write_text("mended")
    (target / ".dvc").write_text("in the way")
    with pytest.raises(OSError):
        Staging.begin(target, only_missing=False)
    (target / ".dvc").unlink()
    Staging.begin(target, only_missing=False).leave()
    now = tree(target)
    assert (now["README.md"], now[".former/1/README.md"]) == ("new", "mended")
    assert "production.txt" not in now
    assert (tmp_path / "theirs").exists()


def test_a_failed_move_of_a_file_changes_nothing(tmp_path: Path) -> None:
    outcomes = []

    def look(target: Path) -> None:
        shutil.rmtree(target / ".generating", ignore_errors=True)
        outcomes.append(tree(target)["README.md"])
        if outcomes[-1] == "new":
            assert tree(target) == AFTER
        else:
            left = {name for name in everything(target) if name.startswith(".former")}
            assert everything(target) - left == {*BEFORE, "src"}
            assert {name: text for name, text in tree(target).items() if name not in left} == BEFORE

    at_every_step(tmp_path, OSError(errno.EACCES, "Permission denied"), look)
    assert set(outcomes) == {"mine", "new"}


@pytest.mark.parametrize("existing", [True, False], ids=["over a project", "new"])
def test_a_directory_of_another_generation_is_refused_and_not_changed(tmp_path: Path, existing: bool) -> None:
    target = tmp_path / "p"
    if existing:
        write_files(target, BEFORE)
    made = staged(target)
    before = everything(tmp_path)
    with pytest.raises(FileExistsError, match="another generation is running here; wait until it ends"):
        staged(target)
    assert everything(tmp_path) == before
    made.put([])
    assert tree(target)["README.md"] == "new"
    made.leave()
    assert not list(tmp_path.rglob("*.generating"))
    assert staged(target).put([]) == ([], "")


def test_a_project_that_appears_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    made = staged(tmp_path / "p")
    write_files(tmp_path / "p", BEFORE)
    with pytest.raises(OSError):
        made.put([])
    assert tree(tmp_path / "p") == BEFORE


def test_a_new_project_is_moved_at_once_even_if_its_directory_is_in_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On Windows, the shell of a hook uses the directory."""
    made, rename = staged(tmp_path / "p"), Path.rename
    renamed = []

    def refuse(path: Path, there: Path) -> Path:
        if path == made.folder:
            raise PermissionError(errno.EACCES, "in use")
        renamed.append(there)
        return rename(path, there)

    monkeypatch.setattr(Path, "rename", refuse)
    made.put([])
    assert tree(tmp_path / "p") == RENDERED
    assert [there for there in renamed if there.parent == tmp_path] == [tmp_path / "p"]


def test_generation_does_not_follow_links_out_of_the_project(tmp_path: Path) -> None:
    target = tmp_path / "p"
    write_files(tmp_path, {"elsewhere/config": "theirs"})
    write_files(target, BEFORE)
    for link in (".dvc", ".former"):
        (target / link).symlink_to(tmp_path / "elsewhere")
        made = staged(target)
        with pytest.raises(NotADirectoryError, match="is a link, but a directory is expected here"):
            made.put([])
        made.leave()
        (target / link).unlink()
    assert tree(tmp_path / "elsewhere") == {"config": "theirs"}
    assert (target / "README.md").read_text() == "mine"
    (target / ".generating").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(NotADirectoryError):
        staged(target)
    (target / ".generating").unlink()
    (target / "README.md").unlink()
    (target / "README.md").symlink_to("nowhere")
    made = staged(target)
    (made.folder / "src" / "data").mkdir()
    (target / "src" / "data").symlink_to("/unmounted")
    assert made.put([]) == (["README.md"], ".former/1")
    assert (target / "README.md").read_text() == "new"
    assert (target / ".former" / "1" / "README.md").readlink() == Path("nowhere")


def begun(output: Path, *options: str, limit: str = ":", **answers: str) -> subprocess.Popen[str]:
    """Start cookiecutter in a new process group, in a shell with a limit."""
    home = output.parent / "home"
    home.mkdir(exist_ok=True)
    output.mkdir(exist_ok=True)
    answers = {"project_slug": "p", **answers}
    command = [sys.executable, "-m", "cookiecutter", str(TEMPLATE), "--no-input", *options, *answered(**answers)]
    return subprocess.Popen(
        ["sh", "-c", f'{limit}; exec "$@"', "sh", *command],
        cwd=output,
        env={**os.environ, "HOME": str(home)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
        text=True,
    )


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no kill -9")
@pytest.mark.parametrize(
    ("moment", "with_its_hooks"),
    [(".p.generating", True), (".p.generating/new/README.md", False), ("p/.generating/again/README.md", True)],
)
def test_kill_9_leaves_a_whole_project_or_one_hidden_directory_that_the_next_run_removes(
    tmp_path: Path, moment: str, with_its_hooks: bool
) -> None:
    output = tmp_path / "output"
    options = ["--overwrite-if-exists"] if moment.startswith("p/") else []
    if options:
        write_files(output / "p", BEFORE)
    before = everything(output)
    process = begun(output, *options)
    # On busy processors the moment may pass between two checks.
    wait_for(lambda: (output / moment).exists() or process.poll() is not None)
    kill = os.killpg if with_its_hooks else os.kill  # type: ignore[attr-defined, unused-ignore]
    if process.returncode is None:
        kill(process.pid, signal.SIGKILL)  # type: ignore[attr-defined, unused-ignore]
    # Its end is that of a hook, too.
    process.communicate()
    if not (output / "p" / "Dockerfile").exists():
        assert {name for name in everything(output) if ".generating" not in name} == before
        assert begun(output, *options).wait() == 0
    assert {"p/README.md", "p/requirements.txt", "p/.secrets/jupyter_password"} <= everything(output)
    assert not list(output.rglob("*.generating"))
    assert not options or tree(output)["p/src/analysis.ipynb"] == "mine"


@pytest.fixture
def silent_index(monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """Let uv ask an index that does not answer, and return its socket."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setenv("UV_DEFAULT_INDEX", f"http://127.0.0.1:{server.getsockname()[1]}/simple/")
        yield server


@pytest.mark.skipif(sys.platform == "win32", reason="Windows ends a process without a signal")
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_signal_stops_the_hook_as_well_and_leaves_nothing(
    tmp_path: Path, silent_index: socket.socket, name: str
) -> None:
    output, pins = tmp_path / "output", tmp_path / "pins.txt"
    pins.write_text("prod==1.0\n")
    process = begun(output, production_requirements=str(pins))
    silent_index.settimeout(60)
    # The connection stays open; otherwise uv would ask again.
    connection, _ = silent_index.accept()
    with connection:
        process.send_signal(getattr(signal, name))
        _, said = process.communicate(timeout=60)
    assert process.returncode
    assert "ds-docker-env: stopped; nothing was generated\n" in said
    assert "Traceback" not in said
    assert not everything(output)


def test_pinning_is_not_repeated_after_a_signal(monkeypatch: pytest.MonkeyPatch) -> None:
    begun_with = []

    def converse(command: list[str], *_: object) -> subprocess.CompletedProcess[str]:
        begun_with.append(command)
        return subprocess.CompletedProcess(command, STOPPED, "", "")

    monkeypatch.setattr(uv, "_converse", converse)
    with pytest.raises(KeyboardInterrupt):
        uv.run_module("ds_docker_env.pinning", {"a_missing_library": "a"}, TEMPLATE, "", silent)
    assert len(begun_with) == 1


@pytest.mark.skipif(os.name != "posix", reason="Windows has no ulimit")
@pytest.mark.skipif(
    (LOCKS / lock_name("requirements", PYTHON)).stat().st_size < 50_000, reason="no lock on offer is that large"
)
def test_a_file_that_cannot_be_written_is_named_and_leaves_nothing(tmp_path: Path) -> None:
    output = tmp_path / "output"
    write_files(output / "p", BEFORE)
    before = everything(output)
    process = begun(output, "--overwrite-if-exists", limit="ulimit -f 40")
    _, said = process.communicate()
    assert process.returncode == 1
    assert f"fix this first:\n  {output / 'p'}: File too large; check the directory, " in said
    assert "Traceback" not in said
    assert everything(output) == before


def test_a_read_only_directory_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_files(tmp_path, {"p/README.md": "mine"})
    made = staged(tmp_path / "p")
    # root can write everywhere.
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(PermissionError, match="is read-only"):
        made.put([])
    assert (tmp_path / "p" / "README.md").read_text() == "mine"
    assert not (tmp_path / "p" / ".former").exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_a_summary_that_cannot_be_written_does_not_stop_generation(tmp_path: Path) -> None:
    process = begun(tmp_path / "output", limit="exec >/dev/full")
    _, said = process.communicate()
    assert "nothing was generated" not in said
    assert {"p/Dockerfile", "p/.secrets", "p/src"} <= everything(tmp_path / "output")
    assert not list(tmp_path.rglob("*.generating"))


@pytest.mark.skipif(os.name != "posix", reason="Windows has no HOME")
def test_an_unwritable_home_is_named_without_a_traceback(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("a file")
    command = ("cookiecutter", str(TEMPLATE), "--no-input", *answered())
    done = run_in_home(tmp_path / "home", *command, folder=tmp_path)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr, done.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"home"}


def test_an_index_that_is_down_leaves_nothing(tmp_path: Path, cookiecutter: Run) -> None:
    (tmp_path / "pins.txt").write_text("prod==1.0\n")
    down = {"UV_HTTP_RETRIES": "0", "UV_DEFAULT_INDEX": "http://127.0.0.1:9/"}
    refused = cookiecutter(production_requirements="pins.txt", environment=down)
    assert refused.exit_code == 1
    assert "ds-docker-env: nothing was generated; fix this first:" in refused.stderr
    assert "the package index cannot be reached" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert not everything(tmp_path / "output")


def test_a_silent_index_is_handled_like_an_unreachable_one(
    pin: Run, silent_index: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    monkeypatch.setenv("UV_HTTP_TIMEOUT", "1")
    assert "the package index cannot be reached" in pin("prod==1.0\n").stderr
