from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ds_docker_env.image.build import compilation
from ds_docker_env.image.build.compilation import compile_all

MODULES = {
    "a.py": "x = {'a', 'b'}\n",
    "deep/b.py": "x = 1\n",
    "deep/er/c.py": "x = {'a', 'b', 'x'}\n",
    "template.py": "{{ x }} = ?\n",
    "tests/d.py": "x = 1\n",
    "other/tests/e.py": "x = 1\n",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path / "packages", MODULES)
    return tmp_path / "packages"


def write(folder: Path, modules: dict[str, str]) -> None:
    for name, text in modules.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def compiled(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.pyc")}


def again(folder: Path) -> None:
    for path in list(folder.rglob("__pycache__")):
        shutil.rmtree(path)
    for path in folder.rglob("*.py"):
        os.utime(path, (1, 1))


def test_modules_are_compiled_without_a_timestamp_but_tests_and_templates_are_not(folder: Path, tmp_path: Path) -> None:
    compile_all(folder, tmp_path / "cache")
    for name, content in compiled(folder).items():
        source = Path(importlib.util.source_from_cache(str(folder / name)))
        expected = importlib.util.MAGIC_NUMBER + bytes([1, 0, 0, 0]) + importlib.util.source_hash(source.read_bytes())
        assert content.startswith(expected)
    assert {name.rpartition("/")[2].partition(".")[0] for name in compiled(folder)} == {"a", "b", "c"}


@pytest.mark.parametrize("cache", ["cache", "another cache"])
def test_every_build_gives_the_same_bytes_with_a_cache_and_without(folder: Path, tmp_path: Path, cache: str) -> None:
    command = [sys.executable, compilation.__file__, str(tmp_path / "cache"), str(folder)]
    subprocess.run(command, check=True)
    first = compiled(folder)
    again(folder)
    subprocess.run([*command[:2], str(tmp_path / cache), str(folder)], check=True)
    assert compiled(folder) == first != {}


def test_a_package_has_the_same_bytes_beside_others(folder: Path, tmp_path: Path) -> None:
    compile_all(folder, tmp_path / "cache")
    alone = compiled(folder)
    again(folder)
    write(folder, {"another/b.py": "x = {'a', 'b'}\n", "z/b.py": "y = 'x'\n"})
    compile_all(folder, tmp_path / "another cache")
    assert alone.items() <= compiled(folder).items()


def test_only_new_and_changed_modules_are_compiled_again(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compile_all(folder, tmp_path / "cache")
    again(folder)
    write(folder, {"new/f.py": "x = 1\n", "deep/er/c.py": "x = 2\n"})
    asked: list[str] = []
    run = subprocess.run

    def _run(*command: object, **options: object) -> object:
        asked.append(str(options["input"]))
        return run(*command, **options)  # type: ignore[call-overload]

    monkeypatch.setattr(subprocess, "run", _run)
    compile_all(folder, tmp_path / "cache")
    names = {Path(line).relative_to(folder).as_posix() for text in asked for line in text.splitlines()}
    assert names == {"new/f.py", "deep/b.py", "deep/er/c.py"}


def test_a_damaged_cache_is_not_used(folder: Path, tmp_path: Path) -> None:
    compile_all(folder, tmp_path / "cache")
    first = compiled(folder)
    again(folder)
    for path in (tmp_path / "cache").iterdir():
        path.write_bytes(path.read_bytes()[:-1])
    compile_all(folder, tmp_path / "cache")
    assert compiled(folder) == first


def test_a_file_that_cannot_be_written_fails_the_build(folder: Path, tmp_path: Path) -> None:
    (folder / "__pycache__").write_text("not a directory")
    with pytest.raises(subprocess.CalledProcessError):
        compile_all(folder, tmp_path / "cache")
