"""Pipfile.lock, https://github.com/pypa/pipfile."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

from packaging.markers import default_environment

from ds_docker_env.common.errors import RequirementsError
from ds_docker_env.common.redaction import excerpt
from ds_docker_env.pinning.production.formats.page import Converted, Page
from ds_docker_env.pinning.production.formats.reading import ENTRIES, TOO_MANY, table, tables, text_of, texts
from ds_docker_env.pinning.production.formats.vcs import vcs_url

_REMEDY = "make the file with: pipenv requirements > requirements.txt"
_REPOSITORIES = ("git", "hg", "svn", "bzr")
# Pipfiles may hold a marker in pieces: `os_name = "== 'posix'"`.
_VARIABLES = sorted(default_environment())


def from_pipfile_lock(text: str, name: str) -> Converted:
    """Take the section ``default``; raise `RequirementsError`, also for other JSON."""
    try:
        lock = json.loads(text)
    except json.JSONDecodeError as error:
        raise RequirementsError(f"{name}:{error.lineno}: invalid JSON ({error.msg}); {_REMEDY}") from None
    except ValueError as error:
        raise RequirementsError(f"{name}: invalid JSON ({error}); {_REMEDY}") from None
    if not (isinstance(lock, dict) and isinstance(lock.get("default"), dict) and isinstance(lock.get("_meta"), dict)):
        raise RequirementsError(
            f"{name}: is JSON, but not a Pipfile.lock; make the file with: pip list --format=freeze > requirements.txt"
        )
    if len(lock["default"]) > ENTRIES:
        raise RequirementsError(f"{name}: {TOO_MANY}")
    page = Page(name, _REMEDY)
    page.for_python(text_of(table(lock["_meta"].get("requires")), "python_version"))
    for source in tables(lock["_meta"].get("sources")):
        page.take_from(text_of(source, "url"))
    # The first releases of pipenv wrote `"six": "==1.16.0"` and `"-e .": "*"`.
    packages = {
        package: {"version": entry} if isinstance(entry, str) else table(entry)
        for package, entry in lock["default"].items()
    }
    for (package, entry), line in zip(packages.items(), _lines(text, packages), strict=True):
        _take(package, entry, line, page)
    return page.converted()


def _take(package: str, entry: dict[str, Any], line: int, page: Page) -> None:
    if package.startswith("-e "):
        page.leave_out(package.removeprefix("-e ").strip(), "editable")
        return
    url, version = "", ""
    place = text_of(entry, "path") or text_of(entry, "file")
    repository = next((kind for kind in _REPOSITORIES if kind in entry), "")
    if repository:
        address = text_of(entry, repository)
        url = vcs_url(address, text_of(entry, "ref"), text_of(entry, "subdirectory"), repository)
        if not url:
            page.leave_out(package, f"repository {address}")
            return
    elif place.startswith(("http://", "https://")):
        url = place
    elif place:
        page.leave_out(package, f"{'directory' if 'path' in entry else 'file'} {place}")
        return
    else:
        version = text_of(entry, "version")
        if version.startswith("=="):
            version = version.lstrip("=").strip()
        elif version in ("", "*"):
            version = ""
        else:
            page.problem(line, f"{package} has the invalid version {excerpt(version)!r}")
            return
    pieces = [text_of(entry, "markers"), *(f"{key} {entry[key]}" for key in _VARIABLES if key in entry)]
    markers = [piece for piece in pieces if piece]
    page.require(
        line,
        package,
        version=version,
        url=url,
        extras=texts(entry.get("extras")),
        marker=markers[0] if len(markers) == 1 else " and ".join(f"({piece})" for piece in markers),
        hashes=texts(entry.get("hashes")),
    )


def _lines(text: str, packages: Iterable[str]) -> list[int]:
    """Return the line of each key of ``default``, or the line of the previous key if one is not found."""
    default = re.search(r'"default"\s*:\s*\{', text)
    end = default.end() if default else 0
    line = text.count("\n", 0, end) + 1
    lines = []
    for package in packages:
        key = re.compile(rf"{re.escape(json.dumps(package))}\s*:\s*[{{\"]").search(text, end)
        if key:
            line += text.count("\n", end, key.start())
            end = key.start()
        lines.append(line)
    return lines
