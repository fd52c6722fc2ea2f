"""uv.lock, from which uv exports the packages of production."""

from __future__ import annotations

import json
import posixpath
import re
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from ds_docker_env.common import uv
from ds_docker_env.common.errors import RequirementsError
from ds_docker_env.common.redaction import excerpt
from ds_docker_env.pinning.production.formats.page import Converted, Page
from ds_docker_env.pinning.production.formats.reading import entry_lines, read_toml, table, tables, text_of, texts

_REMEDY = "make it again with: uv lock, or use the output of: uv export --no-dev --no-emit-project"
_EXPORT = ("export", "--frozen", "--offline", "--no-config", "--no-dev", "--no-annotate", "--no-header")
# Kinds of local sources, and their names in messages.
_LOCAL = {"editable": "directory", "virtual": "directory", "directory": "directory", "path": "file"}
# uv's reason is its last cause or, below an excerpt of the lock, the line after the carets.
_REASON = re.compile(r"(?:\^\n|cause: |Caused by: |error: )\s*(\S.*?)(?:\. .*|\.?)$", re.MULTILINE)
# The largest real locks take 0.1 s.
_SECONDS = 60


def from_uv_lock(text: str, name: str) -> Converted:
    """Take the packages of the project, without extras and groups; raise `RequirementsError`, `UvError`.

    In a workspace without a root project, take those of each member; in the lock of a script, those of the script.
    """
    lock = read_toml(text, name, _REMEDY)
    entries = tables(lock.get("package"))
    lines = entry_lines(text, "package", len(entries))
    packages: dict[str, list[_Package]] = {}
    for package in map(_Package.of, entries, lines):
        packages.setdefault(package.key, []).append(package)
    project = packages["."][0].name if "." in packages else ""
    page = Page(name, _REMEDY)
    page.for_python(text_of(lock, "requires-python"))
    export = partial(_export, text, project, name)
    needed = export()
    for requirement in needed:
        # A version may come from several indexes, each for some platforms.
        package, *others = packages.get(_key(requirement), [_Package()])
        if package.source in _LOCAL:
            page.leave_out(package.name, f"{_LOCAL[package.source]} {package.address}")
            continue
        for each in (package, *others):
            if each.source == "registry":
                page.take_from(each.address)
        page.write(package.line, requirement)
    members = [project] if project else texts(table(lock.get("manifest")).get("members"))
    extras = [extra for (package, *_) in packages.values() if package.name in members for extra in package.extras]
    optional = _with_extras(export, extras, conflicts="conflicts" in lock) - {*map(_key, needed)}
    for package in (packages[key][0] for key in sorted(optional & packages.keys())):
        page.leave_out(f"{package.name}=={package.version}", "optional")
    return page.converted()


@dataclass(frozen=True)
class _Package:
    """A package of the lock, with the kind of its source and its address or path there."""

    name: str = ""
    version: str = ""
    source: str = ""
    address: str = ""
    extras: tuple[str, ...] = ()
    line: int = 1

    @classmethod
    def of(cls, entry: dict[str, Any], line: int) -> _Package:
        source = table(entry.get("source"))
        kind = next((kind for kind in (*_LOCAL, "git", "url", "registry") if kind in source), "")
        extras = tuple(table(entry.get("optional-dependencies")))
        return cls(text_of(entry, "name"), text_of(entry, "version"), kind, text_of(source, kind), extras, line)

    @property
    def key(self) -> str:
        """The key in an exported requirement: a path, a name, or a name and version."""
        if self.source in _LOCAL:
            return posixpath.normpath(self.address)
        return self.name if self.source in ("git", "url") else f"{self.name}=={self.version}"


def _with_extras(export: Callable[..., list[str]], extras: list[str], *, conflicts: bool) -> set[str]:
    """Return the keys of the packages that extras need; export the extras one by one if some conflict.

    An extra that uv refuses is not an error, because these packages are only noted.
    """
    choices = [("--extra", extra) for extra in extras] if conflicts else [("--all-extras",)] * bool(extras)
    keys: set[str] = set()
    for choice in choices:
        with suppress(RequirementsError):
            keys.update(map(_key, export(*choice)))
    return keys


def _key(requirement: str) -> str:
    """Return the key of the package that an exported requirement names."""
    what = re.split(r" ; | @ | --hash=", requirement.removeprefix("-e "))[0]
    return posixpath.normpath(what.removeprefix("file://"))


def _export(text: str, project: str, name: str, *options: str) -> list[str]:
    """Return the requirements that uv exports, one a line with its marker and hashes; raise `RequirementsError`."""
    with tempfile.TemporaryDirectory() as folder:
        # Only the name matters: with --frozen, uv reads everything else in the lock.
        described = f'[project]\nname = {json.dumps(project)}\nversion = "0"\n' if project else ""
        for file, content in (("uv.lock", text), ("pyproject.toml", f"{described}[tool.uv.workspace]\n")):
            Path(folder, file).write_text(content, encoding="utf-8", newline="\n")
        done = uv.run(*_EXPORT, "--project", folder, *options, folder=Path(folder), seconds=_SECONDS)
    if done.returncode:
        line = re.search(r"`uv\.lock`\n.* at line (\d+)", done.stderr)
        reason = (_REASON.findall(done.stderr) or [f"exit code {done.returncode}"])[-1]
        where = f"{name}:{line[1]}" if line else name
        raise RequirementsError(f"{where}: uv cannot export this lock ({excerpt(reason)}); {_REMEDY}")
    return re.sub(r" \\\n +", " ", done.stdout).splitlines()
