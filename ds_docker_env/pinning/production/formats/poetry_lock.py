"""poetry.lock of Poetry 1 and 2."""

from __future__ import annotations

import re
from typing import Any

from packaging.specifiers import InvalidSpecifier, SpecifierSet

from ds_docker_env.common.errors import RequirementsError
from ds_docker_env.pinning.production.formats.page import Converted, Page, as_specifier
from ds_docker_env.pinning.production.formats.reading import entry_lines, read_toml, table, tables, text_of, texts
from ds_docker_env.pinning.production.formats.vcs import vcs_url

_REMEDY = "make the file with: poetry export --output requirements.txt (of the plugin poetry-plugin-export)"


def from_poetry_lock(text: str, name: str) -> Converted:
    """Take the main group, or all packages if Poetry 1 does not name groups; raise `RequirementsError`."""
    lock = read_toml(text, name, _REMEDY)
    metadata = table(lock.get("metadata"))
    version = text_of(metadata, "lock-version") or "1.0"
    if version.partition(".")[0] not in ("1", "2"):
        raise RequirementsError(f"{name}: unsupported version {version} of poetry.lock; {_REMEDY}")
    entries = tables(lock.get("package"))
    lines = entry_lines(text, "package", len(entries))
    taken = [(entry, line) for entry, line in zip(entries, lines, strict=True) if _is_main(entry)]
    named: dict[str, list[dict[str, Any]]] = {}
    for entry, _ in taken:
        named.setdefault(text_of(entry, "name"), []).append(entry)
    page = Page(name, _REMEDY)
    page.for_python(text_of(metadata, "python-versions"))
    for entry, line in taken:
        package = text_of(entry, "name")
        marker = page.installed_if(line, _marker(entry))
        if entry.get("optional") is True or marker is None:
            page.leave_out(f"{package}=={text_of(entry, 'version')}", "optional")
        elif len(named[package]) > 1 and not marker and "groups" not in entry:
            markers = [_python_marker(other) for other in named[package]]
            if all(markers) and len(set(markers)) == len(markers):
                _take(entry, _hashes(entry, metadata), _python_marker(entry), line, page)
            elif entry is named[package][0]:
                which = " and ".join(text_of(other, "version") for other in named[package])
                page.problem(
                    line, f"{package} is locked as {which}, and Poetry 1 does not record which Python each is for"
                )
        else:
            _take(entry, _hashes(entry, metadata), marker, line, page)
    return page.converted()


def _is_main(entry: dict[str, Any]) -> bool:
    groups = texts(entry.get("groups")) or [text_of(entry, "category") or "main"]
    return "main" in groups


def _marker(entry: dict[str, Any]) -> str:
    """Return the marker of the main group: one of all groups, or of each."""
    marker = entry.get("markers") or entry.get("marker") or ""
    return str(marker.get("main") or "" if isinstance(marker, dict) else marker)


def _python_marker(entry: dict[str, Any]) -> str:
    """Return the Pythons of a package as a marker, or nothing if they are not known."""
    either = []
    for wanted in text_of(entry, "python-versions").split("||"):
        try:
            specifiers = sorted(map(str, SpecifierSet(as_specifier(wanted))))
        except InvalidSpecifier:
            return ""
        parts = [re.sub(r"([^\w.*]+)(.+)", r'python_full_version \1 "\2"', each) for each in specifiers]
        if not parts:
            return ""
        either.append(" and ".join(parts))
    return " or ".join(either)


def _hashes(entry: dict[str, Any], metadata: dict[str, Any]) -> list[str]:
    """Return the hashes of a package; before Poetry 1.5 they are at the end of the file."""
    name = text_of(entry, "name")
    files = entry.get("files") or table(metadata.get("files")).get(name)
    old = texts(table(metadata.get("hashes")).get(name))
    return [text_of(file, "hash") for file in tables(files)] or [f"sha256:{digest}" for digest in old]


def _take(entry: dict[str, Any], hashes: list[str], marker: str, line: int, page: Page) -> None:
    source = table(entry.get("source"))
    kind, address = text_of(source, "type"), text_of(source, "url")
    subdirectory = text_of(source, "subdirectory")
    name = text_of(entry, "name")
    url = ""
    if kind == "git":
        commit = text_of(source, "resolved_reference") or text_of(source, "reference")
        url = vcs_url(address, commit, subdirectory)
    elif kind == "url":
        url = address + (f"#subdirectory={subdirectory}" if subdirectory else "")
    else:
        page.take_from(address if kind == "legacy" else "")
    if kind in ("directory", "file") or (kind == "git" and not url):
        page.leave_out(name, f"{'repository' if kind == 'git' else kind} {address}")
        return
    page.require(line, name, version=text_of(entry, "version"), url=url, marker=marker, hashes=hashes)
