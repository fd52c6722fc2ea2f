"""Compiling packages to the same bytes in every build; runs on their own Python, from 3.8 on.

Each directory of the packages, such as ``numpy``, is compiled in the order of names by a process of its own, because
marshal's output depends on reference counts (CPython issue 129724). The compiled files of a directory depend only on
its sources, so directories are compiled in parallel and cached. The files hold unchecked hashes (PEP 552), because a
reproducible image rewrites timestamps.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import py_compile
import subprocess
import sys
import zipfile
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

_MODE = py_compile.PycInvalidationMode.UNCHECKED_HASH
_HEADER = importlib.util.MAGIC_NUMBER + bytes([1, 0, 0, 0])
_LEFT_OUT = {"test", "tests", "site-packages"}


def compile_all(packages: Path, cache: Path) -> None:
    """Compile the modules in a directory of packages, except tests and files that this Python cannot compile.

    Modules that are compiled already stay as they are. Raise `OSError` or `subprocess.CalledProcessError` where a file
    cannot be written.
    """
    cache.mkdir(parents=True, exist_ok=True)
    groups = sorted(_groups(packages), key=lambda group: sum(source.stat().st_size for source in group), reverse=True)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for _ in pool.map(lambda group: _compile(group, cache), groups):
            pass


def compile_here(sources: Iterable[str]) -> None:
    """Compile these modules in this process."""
    for source in sources:
        with suppress(py_compile.PyCompileError, UnicodeError):
            py_compile.compile(source, doraise=True, invalidation_mode=_MODE)


def _groups(packages: Path) -> Iterable[Sequence[Path]]:
    """Return the modules to compile, those of a directory together and those beside the directories together."""
    groups: dict[str, list[Path]] = {}
    for folder, inside, names in os.walk(packages):
        inside[:] = [name for name in inside if name not in _LEFT_OUT]
        top = os.path.relpath(folder, packages).partition(os.sep)[0]
        sources = [Path(folder, name) for name in names if name.endswith(".py")]
        groups.setdefault(top, []).extend(path for path in sources if path.is_file() and not _is_compiled(path))
    return [sorted(group) for group in groups.values() if group]


def _is_compiled(source: Path) -> bool:
    compiled = _compiled(source)
    if not compiled.is_file():
        return False
    with compiled.open("rb") as file:
        return file.read(len(_HEADER)) == _HEADER


def _compiled(source: Path) -> Path:
    return Path(importlib.util.cache_from_source(str(source)))


def _compile(sources: Sequence[Path], cache: Path) -> None:
    digest = hashlib.sha256(sys.version.encode() + Path(__file__).read_bytes())
    for source in sources:
        content = source.read_bytes()
        digest.update(f"\n{source}\n{len(content)}\n".encode() + content)
    cached = cache / digest.hexdigest()
    if zipfile.is_zipfile(cached):
        with zipfile.ZipFile(cached) as archive:
            for name in archive.namelist():
                compiled = _compiled(sources[int(name)])
                compiled.parent.mkdir(exist_ok=True)
                compiled.write_bytes(archive.read(name))
    else:
        command = [sys.executable, "-S", "-W", "ignore", __file__]
        environment = {**os.environ, "PYTHONHASHSEED": "0"}
        subprocess.run(command, input="\n".join(map(str, sources)), env=environment, check=True, encoding="utf-8")
        unfinished = cached.with_name(f"{cached.name}-{os.urandom(4).hex()}")
        with zipfile.ZipFile(unfinished, "w") as archive:
            for number, compiled in enumerate(map(_compiled, sources)):
                if compiled.exists():
                    archive.writestr(str(number), compiled.read_bytes())
        # Builds of other analyses use the same cache.
        unfinished.replace(cached)
    for compiled in filter(Path.exists, map(_compiled, sources)):
        compiled.chmod(0o644)


if __name__ == "__main__":
    if arguments := list(map(Path, sys.argv[1:])):
        for directory in arguments[1:]:
            compile_all(directory, arguments[0])
    else:
        compile_here(sys.stdin.read().splitlines())
