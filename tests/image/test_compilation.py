from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ds_docker_env.image import compilation
from ds_docker_env.image.compilation import compile_all

MODULES = {"a.py": "x = {'a', 'b'}\n", "deep/b.py": "x = 1\n", "template.py": "{{ x }} = ?\n", "tests/c.py": "x = 1\n"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in MODULES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def compiled(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.pyc")}


def test_modules_are_compiled_without_a_time_and_neither_tests_nor_templates_are(folder: Path) -> None:
    compile_all(folder)
    for name, content in compiled(folder).items():
        source = Path(importlib.util.source_from_cache(str(folder / name)))
        expected = importlib.util.MAGIC_NUMBER + bytes([1, 0, 0, 0]) + importlib.util.source_hash(source.read_bytes())
        assert content.startswith(expected)
    assert {name.rpartition("/")[2].partition(".")[0] for name in compiled(folder)} == {"a", "b"}


def test_every_build_gives_the_same_bytes(folder: Path) -> None:
    command = [sys.executable, compilation.__file__, str(folder)]
    found = []
    for _ in range(2):
        subprocess.run(command, env={**os.environ, "PYTHONHASHSEED": "0"}, check=True)
        found.append(compiled(folder))
        for path in folder.rglob("*.py"):
            os.utime(path, (1, 1))
    assert found[0] == found[1] != {}


def test_a_file_that_cannot_be_written_fails_the_build(folder: Path) -> None:
    (folder / "__pycache__").write_text("not a directory")
    with pytest.raises(OSError):
        compile_all(folder)
