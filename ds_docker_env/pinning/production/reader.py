"""The reader of production's requirements file."""

from __future__ import annotations

import hashlib
import re
import tempfile
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from packaging.markers import UndefinedComparison, UndefinedEnvironmentName
from packaging.requirements import Requirement
from packaging.specifiers import Specifier, SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion
from pip_requirements_parser import RequirementsFile

from ds_docker_env.common.decoding import decode
from ds_docker_env.common.errors import GenerationError, RequirementsError
from ds_docker_env.common.redaction import printable, some, without_credentials
from ds_docker_env.common.sources import Source, included, source_of
from ds_docker_env.common.target import MACHINES, PYTHON_VERSIONS, Target
from ds_docker_env.pinning.production import distribution
from ds_docker_env.pinning.production.formats import as_requirements
from ds_docker_env.pinning.production.formats.conda_names import twin
from ds_docker_env.pinning.production.formats.reading import ENTRIES, TOO_MANY
from ds_docker_env.pinning.production.model import DIRECTORY, Pin, Production, as_lines
from ds_docker_env.pinning.production.options import why_ignored, without_options
from ds_docker_env.pinning.production.unreadable import dropped, shown, unreadable

# Directories in which conda builds. Such an entry names a file that was deleted, and hides the version.
_CONDA_BUILD = re.compile(r"/(croots?|feedstock_root|conda-bld|bld|tmp/build|abs_\w+|concourse|ci(_\w+)?)/")
_INDEX_OPTIONS = {"index_url": "--index-url", "extra_index_urls": "--extra-index-url", "find_links": "--find-links"}
_URL_HASH = re.compile(r"[#&](sha\d+)=([0-9a-f]+)")
# Parts of a URL fragment that do not locate a package; a subdirectory does.
_FRAGMENT = re.compile(r"(?<=[#&])(?:sha\d+|md5|egg)=[^&]*&?")
_VCS = re.compile(r"(-e\s*|--editable[= ]\s*)?(git|hg|svn|bzr)\+")
_LINE = re.compile(r"^[^\S\n]*(?!#|--hash)\S", re.MULTILINE)
# A pin, at the beginning of a line or after a space.
_PINNED = re.compile(r"(?:^|(?<=\s))[A-Za-z0-9][\w.-]*(?:\[[^\]]{0,100}\])?\s*={2,3}\s*\d")
_FILES = 50
# The number of problems with the same reason that are shown.
_ALIKE = 3
_ADDRESS = re.compile(r"https?://[^\s\\\"']+", re.IGNORECASE)
# The parser takes quadratic time for spaces; for pip, one is equivalent.
_SPACES = re.compile(r"[^\S\r\n]{2,}")
# Python converts only numbers up to 4,300 digits, and versions are compared in many places.
_DIGITS = re.compile(r"\d{1000}")
_LENGTH = 20_000
# After ===, packaging accepts all characters except spaces.
_VERSION = re.compile(r"[\w.!+*-]+")
# To find out whether a marker can be evaluated, any Python is sufficient.
_ANY_ENVIRONMENT = Target(PYTHON_VERSIONS[-1]).marker_environment()


def read_production(location: str, target: Target) -> Production:
    """Read the file at a location that `source_of` knows, and the files that it includes.

    Raise `SourceError` if a file cannot be read, `RequirementsError` with every invalid line.
    """
    source = source_of(location)
    content = source.read()
    production = Production(source.name, hashlib.sha256(content).hexdigest(), source.provenance)
    reading = _Reading(production, {source.name: False})
    reading.read(source, content, constraint=False)
    production.prefer_pip(target)
    problems = [
        *reading.all_problems,
        *_python_mismatches(production, target),
        *_contradictions(production, reading.ranges, target),
    ]
    if not (production.pins or production.unpinned or problems):
        why = "contains no packages"
        if production.left_out:
            why += f" from a package index, only {printable(some(list(production.left_out), _ALIKE))}"
        raise RequirementsError(f"{source.name}: {why}; check that it is the right file")
    if problems:
        raise RequirementsError(*problems)
    return production


def parse(text: str) -> RequirementsFile:
    """Parse the text of a requirements file as pip does, without included files."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "requirements.txt")
        path.write_text(text, encoding="utf-8-sig", newline="\n")
        return RequirementsFile.from_file(str(path), include_nested=False)


@dataclass
class _Reading:
    """Reads files into ``production``; ``seen`` maps them to whether they are constraints.

    ``ranges`` are all requirements without an exact version by normalised name, with their files and lines. ``alike``
    maps reasons to the indexes of their problems.
    """

    production: Production
    seen: dict[str, bool]
    problems: list[str] = field(default_factory=list)
    ranges: dict[str, list[tuple[Requirement, str]]] = field(default_factory=dict)
    alike: dict[str, list[int]] = field(default_factory=dict)

    @property
    def all_problems(self) -> list[str]:
        """Return the problems; of many alike, the last one shown has the number of the others."""
        more = {found[_ALIKE - 1]: len(found) - _ALIKE for found in self.alike.values() if len(found) > _ALIKE}
        return [
            f"{problem} (and {more[index]} more such lines)" if index in more else problem
            for index, problem in enumerate(self.problems)
        ]

    def read(self, source: Source, content: bytes, *, constraint: bool) -> None:
        production = self.production
        converted = as_requirements(decode(content, source.name), source.name)
        for line in converted.left_out:
            production.left_out[line] = _index_name(line)
        production.conda |= {shown: requirement for requirement, every in converted.twins.items() for shown in every}
        if converted.python:
            production.pythons[source.name] = converted.python
        if len(_LINE.findall(converted.text)) > ENTRIES:
            raise RequirementsError(f"{source.name}: {TOO_MANY}")
        self._take_text(_SPACES.sub(" ", converted.text), source, constraint=constraint)

    def _take_text(self, text: str, source: Source, *, constraint: bool) -> None:
        production = self.production
        parsed = parse(text)
        bare: dict[int, str] = {}
        refused = set()
        for invalid in parsed.invalid_lines:
            line, number = invalid.line.strip(), invalid.requirement_line.line_number
            where = f"{source.name}:{number}"
            if _VCS.match(line):
                egg = line.partition("#egg=")[2]
                production.left_out[without_credentials(line)] = canonicalize_name(re.split(r"[=<>&]", egg)[0])
            elif found := without_options(line):
                bare[number], options = found
                self._ignore(options, bare[number])
            elif theirs := distribution.left_out(line):
                production.left_out |= theirs
            else:
                after_option = invalid.error_message.startswith("Incorrect and ignored")
                self._refuse(where, line, dropped(line) if after_option else unreadable(line))
                refused.add(number)
        for entry in parsed.requirements:
            where = f"{source.name}:{entry.requirement_line.line_number}"
            self._ignore(["--global-option"] * bool(entry.global_options), entry.name or "")
            self._ignore(["--install-option"] * bool(entry.install_options), entry.name or "")
            if entry.is_editable or entry.is_local_path or entry.is_url or entry.is_archive:
                self._take_location(entry, where)
            else:
                self._take_entry(entry, where, constraint=constraint)
        for option in parsed.options:
            line, number = option.requirement_line.line.strip(), option.requirement_line.line_number
            where = f"{source.name}:{number}"
            if not option.options and line.strip("- ") and number - 1 not in refused:
                self._refuse(where, line, dropped(line))
            for name, value in option.options.items():
                self._take_option(name, value, where, source, constraint=constraint)
        if bare:
            lines = as_lines(bare.get(number, "") for number in range(1, max(bare) + 1))
            self._take_text(lines, source, constraint=constraint)

    def _refuse(self, where: str, line: str, why: str) -> None:
        self._add_problem(where, shown(line), why)

    def _add_problem(self, where: str, value: str, why: str) -> None:
        """Note a problem; of many alike, only the first few."""
        alike = self.alike.setdefault(why, [])
        alike.append(len(self.problems))
        if len(alike) <= _ALIKE:
            self.problems.append(f"{where}: {value!r} {why}")

    def _ignore(self, options: Iterable[str], requirement: str) -> None:
        name = re.split(r"[^\w.-]", requirement)[0]
        self.production.ignored |= {f"{option} of {name}": why_ignored(option) for option in options}

    def _take_entry(self, entry: Any, where: str, *, constraint: bool) -> None:
        production = self.production
        line = entry.requirement_line.line.strip()
        try:
            requirement = _requirement(str(entry.req) + (f" ; {entry.marker}" if entry.marker else ""))
        except (ValueError, UndefinedEnvironmentName, RecursionError) as error:
            undecided = isinstance(error, (UndefinedComparison, UndefinedEnvironmentName))
            # After the colon, an error may quote a secret.
            reason = "its marker cannot be evaluated" if undecided else re.split(r"[:'\"\n]", str(error))[0]
            self._refuse(where, line, unreadable(line, reason))
            return
        name = canonicalize_name(requirement.name)
        exact = next(filter(_is_exact, requirement.specifier), None)
        if exact and not constraint and (theirs := distribution.left_out(str(requirement))):
            production.left_out |= theirs
        elif exact and not _allows(requirement.specifier, exact.version):
            self.problems.append(f"{where}: {requirement} contradicts itself; write production's version")
        elif exact:
            pin = Pin(
                name=name,
                specifier=str(exact),
                extras=() if constraint else tuple(sorted(entry.extras)),
                marker=str(requirement.marker or ""),
                hashes=frozenset(entry.hash_options),
                where=where,
            )
            (production.constraints if constraint else production.pins).append(pin)
        else:
            (production.bounds if constraint else production.unpinned).append(str(requirement))
            self.ranges.setdefault(name, []).append((requirement, where))

    def _take_location(self, entry: Any, where: str) -> None:
        line = entry.requirement_line.line.strip()
        plain = without_credentials(line)
        if not entry.is_url and (pinned := _PINNED.search(line)):
            self._refuse(where, line, dropped(line) if pinned.start() else unreadable(line))
            return
        url = entry.link.url if entry.link else ""
        if url.startswith("file:") and entry.name and _CONDA_BUILD.search(url):
            fix = "use environment.yml instead, made with: conda env export > environment.yml"
            self._add_problem(where, plain, f"was built by conda, which hides the version; {fix}")
        elif not (url.startswith(("http:", "https:")) and entry.name) or entry.is_editable:
            self.production.left_out[plain] = canonicalize_name(entry.name or "")
        elif plain != line:
            self.problems.append(f"{where}: {plain!r} contains a password, which the lock shows; put it in ~/.netrc")
        elif problem := _problem(url):
            self.problems.append(f"{where}: {plain!r} {problem}")
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
                    self.production.ignored[f"{_INDEX_OPTIONS[name]} {plain}"] = DIRECTORY
                elif problem := _problem(plain):
                    self.problems.append(f"{where}: {plain!r} {problem}")
                else:
                    option = f"{_INDEX_OPTIONS[name]} {plain}"
                    if name == "index_url":
                        self._replace_index(option)
                    self.production.indexes.setdefault(option, where)
        else:
            option = f"--{name.replace('_', '-')}"
            self.production.ignored[option] = why_ignored(option)

    def _replace_index(self, option: str) -> None:
        """Ignore the other ``--index-url``, because pip takes the last."""
        for other in [each for each in self.production.indexes if each.startswith("--index-url ") and each != option]:
            del self.production.indexes[other]
            self.production.ignored[other] = "replaced by a later --index-url"

    def _include(self, source: Source, reference: str, where: str, *, constraint: bool) -> None:
        try:
            file = included(source, reference)
            if file.name in self.seen and (constraint or not self.seen[file.name]):
                return
            if len(self.seen) >= _FILES:
                raise RequirementsError(f"{reference}: is one of more than {_FILES} files; use the one with the pins")
            self.seen[file.name] = constraint
            if (content := file.read()).strip():
                self.read(file, content, constraint=constraint)
        except GenerationError as error:
            self.problems += [f"{problem} (included at {where})" for problem in error.problems]


def _index_name(left_out: str) -> str:
    """Return the name of a left-out package on the index, or nothing: conda's names differ."""
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
    if requirement.url and "://" not in requirement.url:
        raise ValueError("it does not have a valid address")
    if requirement.marker:
        requirement.marker.evaluate(_ANY_ENVIRONMENT)
    return requirement


def _contradictions(
    production: Production, ranges: Mapping[str, list[tuple[Requirement, str]]], target: Target
) -> list[str]:
    problems: dict[str, None] = {}
    said = {*production.unpinned, *production.bounds}
    for here in map(target.on, MACHINES):
        environment = here.marker_environment()
        first: dict[str, Pin] = {}
        bounds: dict[str, list[Pin]] = {}
        for pin in production.constraints:
            if pin.applies(here):
                bounds.setdefault(pin.name, []).append(pin)
        for pin in production.pins:
            if not pin.applies(here):
                continue
            others = [first.setdefault(pin.name, pin), *bounds.get(pin.name, [])]
            found = [(f"{other.name}{other.specifier}", other.where) for other in others if not pin.agrees(other)]
            found += [
                (str(other), where)
                for other, where in ranges.get(pin.name, [])
                if str(other) in said
                and (not other.marker or other.marker.evaluate(environment))
                and not _allows(other.specifier, pin.version)
            ]
            for other, where in found:
                text = f"{pin.where}: {pin.name}{pin.specifier} contradicts {other} at {where}"
                problems[f"{text}; keep only the version that pip freeze shows in production"] = None
    return list(problems)


def _is_exact(specifier: Specifier) -> bool:
    return specifier.operator in ("==", "===") and not specifier.version.endswith(".*")


def _allows(specifiers: SpecifierSet, version: str) -> bool:
    """Say whether a version is in a range; versions that are invalid by PEP 440 are in every range."""
    others = SpecifierSet(",".join(str(each) for each in specifiers if each.operator != "==="))
    try:
        return others.contains(version, prereleases=True)
    except InvalidVersion:
        return True


def _python_mismatches(production: Production, target: Target) -> list[str]:
    problems = []
    for name, wanted in production.pythons.items():
        with suppress(ValueError):
            if not SpecifierSet(wanted).contains(target.full_python):
                why = f"is for Python {wanted}, not {target.python}"
                offered = any(SpecifierSet(wanted).contains(Target(each).full_python) for each in PYTHON_VERSIONS)
                way = "set python_version to production's Python" if offered else "update production's Python first"
                problems.append(f"{name}: {why}; {way}")
    return problems


def _problem(address: str) -> str:
    """Return why an address is invalid; uv would expand variables to secrets of the environment."""
    if "${" in address:
        return "contains a variable; write the full URL"
    try:
        urlsplit(address)
    except ValueError as error:
        return f"is not a valid URL ({error}); correct it"
    return "" if _ADDRESS.fullmatch(address) else "is not a valid URL (it contains a space, a quote or \\); correct it"
