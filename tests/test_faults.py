"""Generation that is killed, or cannot write: a whole project or nothing new, and the next run works.

`benchmarks/kill.py` tries many more moments.
"""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import TEMPLATE, Generated
from ds_docker_env import staging
from ds_docker_env.staging import Staging, recover

Run = Callable[..., Generated]

BEFORE = {"README.md": "mine", "src/analysis.ipynb": "mine", "production.txt": "old"}
RENDERED = {"README.md": "new", "src/analysis.ipynb": "new", "requirements.txt": "new", ".dvc/config": "new"}
AFTER = {
    **{"README.md": "new", "src/analysis.ipynb": "mine", "requirements.txt": "new", ".dvc/config": "new"},
    **{".former/.gitignore": "*\n", ".former/1/README.md": "mine", ".former/1/production.txt": "old"},
}


class Killed(BaseException):
    """Stands for a kill, after which nothing is undone."""


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def tree(folder: Path) -> dict[str, str]:
    return {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*") if path.is_file()}


def everything(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


def staged(target: Path) -> Staging:
    """Return a project in the making, which is to be there."""
    made = Staging.beginning(target, only_missing=False)
    write(made.folder, RENDERED)
    return made


def failing(patch: pytest.MonkeyPatch, at: int, error: BaseException) -> list[str]:
    """Let a step of `staging` that changes files fail; return the steps that are done."""
    steps: list[str] = []
    for owner, name in ((Path, "replace"), (Path, "rename"), (Path, "unlink"), (Path, "mkdir"), (os, "link")):
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
        write(target, BEFORE)
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


def guarded(folder: Path) -> str:
    """Run the guard of a project in the making, whose cookiecutter is gone; return what it says."""
    command = [sys.executable, "-I", "-S", staging.__file__, str(folder)]
    return subprocess.run(command, input="", capture_output=True, text=True, check=True).stderr


def test_a_kill_while_files_are_put_into_place_leaves_the_old_project_or_the_next_run_finishes_the_new(
    tmp_path: Path,
) -> None:
    outcomes = []

    def look(target: Path) -> None:
        recover(target)
        now = {name: text for name, text in tree(target).items() if not name.startswith(".p.again-")}
        assert now in (BEFORE, AFTER)
        outcomes.append(now == AFTER)

    assert at_every_step(tmp_path, Killed(), look) > 10
    # First the old ones, then the new ones.
    assert outcomes == sorted(outcomes)
    assert set(outcomes) == {False, True}


def test_a_file_that_cannot_be_put_into_place_leaves_all_as_it_was(tmp_path: Path) -> None:
    outcomes = []

    def look(target: Path) -> None:
        now = {name for name in everything(target) if not name.startswith(".p.again-")}
        outcomes.append({name: text for name, text in tree(target).items() if name in now - {".placing.json"}})
        assert outcomes[-1] in (BEFORE, AFTER)
        assert outcomes[-1] == AFTER or now == {*BEFORE, "src"}

    at_every_step(tmp_path, OSError(errno.EACCES, "Permission denied"), look)
    assert outcomes[0] == BEFORE
    assert outcomes[-1] == AFTER


@pytest.mark.parametrize("existing", [True, False], ids=["over a project", "new"])
def test_of_two_generations_at_once_each_is_whole_or_says_so(tmp_path: Path, existing: bool) -> None:
    target = tmp_path / "p"
    if existing:
        write(target, BEFORE)
    one, other = staged(target), staged(target)
    if existing:
        (target / ".placing.json").write_text(
            json.dumps({"folder": one.folder.name, "removed": [], "former": "", "replaced": []})
        )
    else:
        one.put(kept="src/", removed=[])
    before = (target / "README.md").read_text()
    with pytest.raises(OSError):
        other.put(kept="src/", removed=[])
    assert (target / "README.md").read_text() == before
    assert (target / "requirements.txt").exists() != existing


def test_the_guard_throws_away_what_is_not_finished_and_finishes_what_is(tmp_path: Path) -> None:
    target = tmp_path / "p"
    assert guarded(staged(target).folder) == "ds-docker-env: stopped; nothing was generated\n"
    assert everything(tmp_path) == set()
    write(target, BEFORE)
    before = everything(tmp_path)
    made = staged(target)
    assert "nothing was generated" in guarded(made.folder)
    assert everything(tmp_path) == before
    made = staged(target)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(staging, "_place", lambda target: None)
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


def test_what_a_power_cut_left_is_removed_after_a_day_and_nothing_else_is(tmp_path: Path) -> None:
    target = tmp_path / "p"
    old, young = staged(target), staged(target)
    os.utime(old.folder, (0, 0))
    for name in (".p", ".p.new", ".p.new-mine", ".other.new-01234567"):
        (tmp_path / name).mkdir()
        os.utime(tmp_path / name, (0, 0))
    recover(target)
    assert {path.name for path in tmp_path.iterdir()} == {
        *(".p", ".p.new", ".p.new-mine", ".other.new-01234567", young.folder.name)
    }


@pytest.mark.parametrize(
    "plan",
    [
        "",
        "{",
        "[1]",
        "{}",
        '{"folder": "../../elsewhere", "removed": [], "former": ""}',
        '{"folder": ".p.again-01234567", "removed": ["../mine"], "former": ""}',
        '{"folder": ".p.again-01234567", "removed": [], "former": "../.."}',
    ],
)
def test_a_plan_that_is_none_or_reaches_out_of_the_project_is_thrown_away(tmp_path: Path, plan: str) -> None:
    write(tmp_path, {"mine": "mine", "p/.placing.json": plan, "p/.p.again-01234567/x": "x"})
    recover(tmp_path / "p")
    assert tree(tmp_path) == {"mine": "mine", "p/.p.again-01234567/x": "x"}


def begun(output: Path, *options: str, limit: str = "") -> subprocess.Popen[str]:
    """Start cookiecutter in a process group of its own."""
    home = output.parent / "home"
    home.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "cookiecutter", str(TEMPLATE), "--no-input", *options, "project_slug=p"]
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
        ("p/.p.again-*/requirements.txt", True, True),
    ],
)
def test_kill_9_leaves_a_whole_project_or_nothing_new_and_the_next_run_works(
    tmp_path: Path, moment: str, existing: bool, group: bool
) -> None:
    output = tmp_path / "output"
    output.mkdir()
    options = ["--overwrite-if-exists"] if existing else []
    if existing:
        write(output / "p", BEFORE)
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


@pytest.mark.skipif(os.name != "posix", reason="Windows has no ulimit")
def test_a_file_that_cannot_be_written_whole_is_said_and_leaves_nothing(tmp_path: Path) -> None:
    output = tmp_path / "output"
    write(output / "p", BEFORE)
    before = everything(output)
    process = begun(output, "--overwrite-if-exists", limit="ulimit -f 40")
    _, said = process.communicate()
    assert process.returncode == 1
    assert f"one thing needs another look:\n  {output / 'p'}: File too large; check the folder, " in said
    assert "Traceback" not in said
    assert everything(output) == before


@pytest.mark.skipif(sys.platform == "win32" or not os.getuid(), reason="nothing is read-only for root")
def test_a_read_only_folder_is_said_and_left_alone(tmp_path: Path, cookiecutter: Run) -> None:
    (tmp_path / "output").mkdir(mode=0o500)
    refused = cookiecutter()
    assert "is no folder that you may write into" in refused.stderr
    assert "Traceback" not in refused.stderr
