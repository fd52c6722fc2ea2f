"""Production's requirements file, read into pins and what else it holds."""

from __future__ import annotations

import hashlib
import re
import tempfile
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from packaging.markers import UndefinedComparison, UndefinedEnvironmentName
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from pip_requirements_parser import RequirementsFile

from ds_docker_env.common.decoding import decode
from ds_docker_env.common.errors import GenerationError, RequirementsError
from ds_docker_env.common.redaction import without_credentials
from ds_docker_env.common.sources import Source, included, source_of
from ds_docker_env.common.target import MACHINES, PYTHON_VERSIONS, Target
from ds_docker_env.pinning.production.formats import as_requirements
from ds_docker_env.pinning.production.formats.conda_names import twin
from ds_docker_env.pinning.production.formats.reading import ENTRIES
from ds_docker_env.pinning.production.model import Pin, Production, same_version

# Directories in which conda builds: such an entry names a file that no longer exists and hides the version.
_CONDA_BUILD = re.compile(r"/(croots?|feedstock_root|conda-bld|bld|tmp/build|abs_\w+|concourse|ci(_\w+)?)/")
_INDEX_OPTIONS = {"index_url": "--index-url", "extra_index_urls": "--extra-index-url", "find_links": "--find-links"}
# pip knows it, the parser does not: https://pip.pypa.io/en/stable/reference/requirements-file-format/#per-requirement-options
_CONFIG_SETTINGS = re.compile(r"""\s(?:-C|--config-settings?)[ =](?:"[^"]*"|'[^']*'|\S+)""")
_URL_HASH = re.compile(r"[#&](sha\d+)=([0-9a-f]+)")
# These parts behind a # do not say where a package is, as a subdirectory does.
_FRAGMENT = re.compile(r"(?<=[#&])(?:sha\d+|md5|egg)=[^&]*&?")
# Its name may be one that pip took, once.
_VCS = re.compile(r"(-e\s*|--editable[= ]\s*)?(git|hg|svn|bzr)\+")
# A name and what parts it from something else, then a version. A word by itself may be a token, and so may a long one;
# digits without a dot may be a password.
_BEGINNING = re.compile(
    r"-{0,5}[a-z][\w.-]{0,38}(?:\s*(?:=[=<>~]{0,2}|[<>~!]=?|[:@;,(\[])\s*|\s+)(?=[^\s=])"
    r"(?:v?\d{1,8}(?:\.\d{1,8}){1,4}(?:(?:a|b|rc|\.post|\.dev)\d{1,4}|\.\*)?(?=[\s=<>~!,;+]|$))?",
    re.ASCII | re.IGNORECASE,
)
_LINE = re.compile(r"^[^\S\n]*(?!#|--hash)\S", re.MULTILINE)
_FILES = 50
_ADDRESS = re.compile(r"https?://[^\s\\\"']+", re.IGNORECASE)
# The parser's time grows with their square. pip sees the same without them.
_SPACES = re.compile(r"[^\S\r\n]{2,}")
# Python converts numbers up to 4,300 digits, and versions are compared in many places.
_DIGITS = re.compile(r"\d{1000}")
_LENGTH = 20_000
# What may follow === is anything but a space.
_VERSION = re.compile(r"[\w.!+*-]+")
# Any Python will do to find out whether a marker can be decided.
_ANY_ENVIRONMENT = Target(PYTHON_VERSIONS[-1]).marker_environment()


def read_production(location: str, target: Target) -> Production:
    """Read the file at a location that `source_of` knows, and the files that it includes.

    Raise `SourceError` where a file cannot be had, `RequirementsError` with every line that is wrong.
    """
    source = source_of(location)
    content = source.read()
    production = Production(source.name, hashlib.sha256(content).hexdigest(), source.provenance)
    reading = _Reading(production, {source.name: False})
    reading.read(source, content, constraint=False)
    production.prefer_pip(target)
    problems = [*reading.problems, *_python_mismatches(production, target), *_contradictions(production, target)]
    if not (production.pins or production.unpinned or problems):
        raise RequirementsError(f"{source.name}: names no package; is it the right file?")
    if problems:
        raise RequirementsError(*problems)
    return production


def parse(text: str) -> RequirementsFile:
    """Parse the text of a requirements file as pip does, without what it includes."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "requirements.txt")
        path.write_text(text, encoding="utf-8-sig", newline="\n")
        return RequirementsFile.from_file(str(path), include_nested=False)


@dataclass
class _Reading:
    """Reads files into ``production``; ``seen`` are those that were read, each with whether it only bounds."""

    production: Production
    seen: dict[str, bool]
    problems: list[str] = field(default_factory=list)

    def read(self, source: Source, content: bytes, *, constraint: bool) -> None:
        production = self.production
        converted = as_requirements(decode(content, source.name), source.name)
        for line in converted.left_out:
            production.left_out[line] = _index_name(line)
        production.conda |= {shown: requirement for requirement, every in converted.twins.items() for shown in every}
        if converted.python:
            production.pythons[source.name] = converted.python
        text, settings = _CONFIG_SETTINGS.subn("", converted.text)
        production.ignored += ["--config-settings"] * bool(settings)
        if len(_LINE.findall(text)) > ENTRIES:
            raise RequirementsError(f"{source.name}: has more than {ENTRIES:,} entries; is it the right file?")
        parsed = parse(_SPACES.sub(" ", text))
        for invalid in parsed.invalid_lines:
            line = invalid.line.strip()
            if _VCS.match(line):
                egg = line.partition("#egg=")[2]
                production.left_out[without_credentials(line)] = canonicalize_name(re.split(r"[=<>&]", egg)[0])
            else:
                where = f"{source.name}:{invalid.requirement_line.line_number}"
                self.problems.append(f"{where}: {_shown(line)!r} is not a requirement; {_advice(line)}")
        for entry in parsed.requirements:
            where = f"{source.name}:{entry.requirement_line.line_number}"
            production.ignored += [
                f"{name} of {entry.name}" for name in (*entry.global_options, *entry.install_options)
            ]
            if entry.is_editable or entry.is_local_path or entry.is_url:
                self._take_location(entry, where)
            else:
                self._take_entry(entry, where, constraint=constraint)
        for option in parsed.options:
            where = f"{source.name}:{option.requirement_line.line_number}"
            for name, value in option.options.items():
                self._take_option(name, value, where, source, constraint=constraint)

    def _take_entry(self, entry: Any, where: str, *, constraint: bool) -> None:
        production = self.production
        try:
            requirement = _requirement(str(entry.req) + (f" ; {entry.marker}" if entry.marker else ""))
        except (ValueError, UndefinedEnvironmentName, RecursionError) as error:
            undecided = isinstance(error, (UndefinedComparison, UndefinedEnvironmentName))
            # What an error quotes, behind a colon, may be a secret.
            reason = "its marker cannot be decided" if undecided else re.split(r"[:'\"\n]", str(error))[0]
            line = _shown(entry.requirement_line.line.strip())
            self.problems.append(f"{where}: {line!r} is not a requirement ({reason}); correct it")
            return
        specifiers = list(requirement.specifier)
        if (
            len(specifiers) == 1
            and specifiers[0].operator in ("==", "===")
            and not specifiers[0].version.endswith(".*")
        ):
            pin = Pin(
                name=canonicalize_name(requirement.name),
                specifier=str(specifiers[0]),
                extras=() if constraint else tuple(sorted(entry.extras)),
                marker=str(requirement.marker or ""),
                hashes=frozenset(entry.hash_options),
                where=where,
            )
            (production.constraints if constraint else production.pins).append(pin)
        else:
            (production.bounds if constraint else production.unpinned).append(str(requirement))

    def _take_location(self, entry: Any, where: str) -> None:
        line = entry.requirement_line.line.strip()
        shown = without_credentials(line)
        url = entry.link.url if entry.link else ""
        if url.startswith("file:") and entry.name and _CONDA_BUILD.search(url):
            self.problems.append(
                f"{where}: {shown!r} was built by conda, which hides the version; "
                "make the file with: pip list --format=freeze"
            )
        elif not (url.startswith(("http:", "https:")) and entry.name) or entry.is_editable:
            self.production.left_out[shown] = canonicalize_name(entry.name or "")
        elif shown != line:
            self.problems.append(
                f"{where}: {shown!r} holds a password, which the lock would show; put it into ~/.netrc instead"
            )
        elif problem := _problem(url):
            self.problems.append(f"{where}: {shown!r} {problem}")
        else:
            hashes = {*entry.hash_options, *(":".join(found) for found in _URL_HASH.findall(url))}
            extras = f"[{','.join(sorted(entry.extras))}]" if entry.extras else ""
            marker = f" ; {entry.marker}" if entry.marker else ""
            name = canonicalize_name(entry.name)
            self.production.unpinned.append(f"{name}{extras} @ {_FRAGMENT.sub('', url).rstrip('#&')}{marker}")
            self.production.downloads.append(Pin(name, "", (), str(entry.marker or ""), frozenset(hashes), where))

    def _take_option(self, name: str, value: Any, where: str, source: Source, *, constraint: bool) -> None:
        if name in ("requirements", "constraints"):
            for reference in value:
                self._include(source, reference, where, constraint=constraint or name == "constraints")
        elif name in _INDEX_OPTIONS:
            for address in [value] if isinstance(value, str) else value:
                plain = without_credentials(address)
                if not re.match("https?://", address, re.IGNORECASE):
                    self.production.ignored.append(f"{_INDEX_OPTIONS[name]} {plain}")
                elif problem := _problem(plain):
                    self.problems.append(f"{where}: {plain!r} {problem}")
                else:
                    self.production.indexes.setdefault(f"{_INDEX_OPTIONS[name]} {plain}", where)
        else:
            self.production.ignored.append(f"--{name.replace('_', '-')}")

    def _include(self, source: Source, reference: str, where: str, *, constraint: bool) -> None:
        try:
            file = included(source, reference)
            if file.name in self.seen and (constraint or not self.seen[file.name]):
                return
            if len(self.seen) >= _FILES:
                raise RequirementsError(f"{reference}: is one of more than {_FILES} files; name the one with the pins")
            self.seen[file.name] = constraint
            self.read(file, file.read(), constraint=constraint)
        except GenerationError as error:
            self.problems += [f"{problem} (included at {where})" for problem in error.problems]


def _index_name(left_out: str) -> str:
    """Return what a package that is left out is called on the index, or nothing: conda has other names."""
    name = re.split(r"[^\w.:/-]", left_out)[0]
    return twin(name) if left_out.endswith("(conda)") else canonicalize_name(name)


def _requirement(text: str) -> Requirement:
    """Return a requirement that can be parsed and evaluated; raise `ValueError`, `RecursionError`."""
    if len(text) > _LENGTH or _DIGITS.search(text):
        raise ValueError("it is too long")
    requirement = Requirement(text)
    canonicalize_name(requirement.name, validate=True)
    if not all(_VERSION.fullmatch(specifier.version) for specifier in requirement.specifier):
        raise ValueError("it does not have a valid version")
    if requirement.marker:
        requirement.marker.evaluate(_ANY_ENVIRONMENT)
    return requirement


def _contradictions(production: Production, target: Target) -> list[str]:
    problems = []
    for machine in MACHINES:
        first: dict[str, Pin] = {}
        for pin in production.pins:
            if not pin.applies(target.on(machine)):
                continue
            other = first.setdefault(pin.name, pin)
            if not same_version(other.version, pin.version):
                problems.append(
                    f"{pin.where}: {pin.name}{pin.specifier} contradicts {other.name}{other.specifier} at "
                    f"{other.where}; only one of them can be production's version"
                )
    return list(dict.fromkeys(problems))


def _python_mismatches(production: Production, target: Target) -> list[str]:
    problems = []
    for name, wanted in production.pythons.items():
        with suppress(ValueError):
            if not SpecifierSet(wanted).contains(target.full_python):
                why = f"is for Python {wanted}, not {target.python}"
                offered = any(SpecifierSet(wanted).contains(Target(each).full_python) for each in PYTHON_VERSIONS)
                way = (
                    "choose production's python_version" if offered else "production must move to a newer Python first"
                )
                problems.append(f"{name}: {why}; {way}")
    return problems


def _problem(address: str) -> str:
    """Return why uv must not get an address: it would put the environment's secrets in place of variables."""
    if "${" in address:
        return "holds a variable, which only one machine knows; write the address itself"
    try:
        urlsplit(address)
    except ValueError as error:
        return f"is not a valid address ({error}); correct it"
    return "" if _ADDRESS.fullmatch(address) else "is not a valid address (it holds a space, a quote or \\); correct it"


def _shown(line: str) -> str:
    """Return how a line begins, for a message: the file may be one of passwords or a key, named by mistake."""
    found = _BEGINNING.match(line)
    shown = found[0] if found else ""
    return shown if shown == line else f"{shown}..."


def _advice(line: str) -> str:
    if re.match(r"\s*[\w.-]+=[\w.!]+=[\w.]+\s*$", line):
        return "it comes from conda; make the file with: pip list --format=freeze"
    if "${" in line:
        return "write the version itself instead of a variable"
    return "correct it, or make the file with: pip freeze"
