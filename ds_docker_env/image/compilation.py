"""Compiling an environment to the same bytes in every build; runs on the environment's own Python, from 3.8 on.

One process compiles in the order of names, because marshal counts references (CPython issue 129724). The compiled files
hold hashes that are not checked (PEP 552), because a reproducible image rewrites the times of its files.
"""

from __future__ import annotations

import py_compile
import sys
from contextlib import suppress
from pathlib import Path

_MODE = py_compile.PycInvalidationMode.UNCHECKED_HASH
_TESTS = {"test", "tests"}


def compile_all(directory: Path) -> None:
    """Compile the modules in a directory but tests and files that are not Python of this release, such as templates.

    In a directory of Python's own modules, packages beside them are left out. Raise `OSError` where a file cannot be
    written.
    """
    for source in sorted(filter(Path.is_file, directory.rglob("*.py"))):
        inside = source.relative_to(directory).parts
        if not _TESTS & set(inside) and inside[0] != "site-packages":
            with suppress(py_compile.PyCompileError, UnicodeError):
                py_compile.compile(str(source), doraise=True, invalidation_mode=_MODE)


if __name__ == "__main__":
    for argument in sys.argv[1:]:
        compile_all(Path(argument))
