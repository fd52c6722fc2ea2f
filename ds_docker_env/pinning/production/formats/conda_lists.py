"""Lists of conda packages, one per line: ``conda list`` with its options, and conda-lock's explicit file."""

from __future__ import annotations

import json
import re
from contextlib import suppress

from packaging.utils import parse_sdist_filename, parse_wheel_filename

from ds_docker_env.common.redaction import excerpt
from ds_docker_env.pinning.production.formats.conda import REMEDY
from ds_docker_env.pinning.production.formats.conda_packages import Packages
from ds_docker_env.pinning.production.formats.conda_specs import exactly
from ds_docker_env.pinning.production.formats.page import Converted, Page

_OF_PIP = re.compile(r"# pip (?P<name>\S+) @ (?P<url>\S+)(?: --hash=sha256[:=](?P<hash>[0-9a-f]{64}))?")
_ROW = re.compile(r"(?P<name>[A-Za-z0-9_][\w.-]*)\s+(?P<version>(?=\S*\d)\S+)\s+(?P<build>\S+)(?:\s+(?P<channel>\S+))?")
# Comments of conda, and the headings of micromamba.
_HEADING = re.compile(r"#|List of packages|Name\s+Version|\W+$")
# An object without nested ones.
_ENTRY = re.compile(r"\{[^{}]*\}")
_PIPS_BUILDS = ("pypi_0", "<pip>")


def from_explicit(text: str, name: str) -> Converted:
    """Take the archives of ``conda list --explicit``, and conda-lock's notes about pip; raise `RequirementsError`."""
    page = Page(name, REMEDY)
    packages = Packages(page)
    for number, line in enumerate(text.split("\n"), 1):
        if re.match(r"\S+://|/", line):
            packages.add_archive(number, line.strip())
        elif found := _OF_PIP.match(line):
            digest = [f"sha256:{found['hash']}"] if found["hash"] else ()
            page.require(number, found["name"], version=_version(found["url"]), hashes=digest)
    return packages.converted()


def from_export(text: str, name: str) -> Converted:
    """Take the lines ``name=version=build`` of ``conda list --export``; raise `RequirementsError`."""
    page = Page(name, REMEDY)
    packages = Packages(page)
    for number, line in enumerate(text.split("\n"), 1):
        entry = line.partition("#")[0].strip()
        if not entry:
            continue
        package, _, rest = entry.partition("=")
        version, _, build = rest.partition("=")
        if build in _PIPS_BUILDS:
            page.require(number, package, version=version)
        else:
            packages.add_text(number, entry, installed=bool(build))
    return packages.converted()


def from_table(text: str, name: str) -> Converted:
    """Take the rows of ``conda list``; raise `RequirementsError`."""
    page = Page(name, REMEDY)
    packages = Packages(page)
    for number, line in enumerate(text.split("\n"), 1):
        entry = line.strip()
        row = _ROW.fullmatch(entry)
        if row is None:
            if entry and not _HEADING.match(entry):
                page.problem(number, f"invalid conda package {excerpt(entry, 80)!r}")
        elif row["channel"] == "pypi" or row["build"] in _PIPS_BUILDS:
            page.require(number, row["name"], version=row["version"])
        elif row["channel"] == "<develop>" or row["build"] == "<develop>":
            page.leave_out(row["name"], "its own code")
        else:
            packages.add(number, exactly(row["name"], row["version"], row["channel"] or ""))
    return packages.converted()


def from_json(text: str, name: str) -> Converted:
    """Take the entries of ``conda list --json``; raise `RequirementsError`."""
    page = Page(name, REMEDY)
    packages = Packages(page)
    for found in _ENTRY.finditer(text):
        number = text.count("\n", 0, found.start()) + 1
        try:
            entry = {key: str(value) for key, value in json.loads(found[0]).items()}
            package, version, channel = entry["name"], entry["version"], entry["channel"]
        except (ValueError, KeyError):
            page.problem(number, "an entry lacks its name, version or channel")
            continue
        if channel == "pypi":
            page.require(number, package, version=version)
        else:
            packages.add(number, exactly(package, version, channel))
    return packages.converted()


def _version(url: str) -> str:
    file = re.split(r"[?#]", url)[0].rpartition("/")[2]
    for parse in (parse_wheel_filename, parse_sdist_filename):
        with suppress(ValueError):
            return str(parse(file)[1])
    return ""
