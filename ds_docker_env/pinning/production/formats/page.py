"""A lock as pip requirements on the lines of their entries, and the packages that are left out."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from packaging.markers import InvalidMarker, Marker
from packaging.requirements import Requirement
from packaging.version import Version

from ds_docker_env.common.errors import RequirementsError
from ds_docker_env.common.redaction import excerpt
from ds_docker_env.pinning.production.formats.conditions import installed_if

_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")
_VERSION = re.compile(r"[A-Za-z0-9.!+_-]+")
_URL = re.compile(r"[A-Za-z][\w+.-]*://[^\s\\]+")
_HASH = re.compile(r"sha(256|384|512):[0-9a-f]+")
# In a requirement, these would begin a comment, an option or another line.
_BREAKS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\\]|\s[#-]")
# The length limit of a marker; longer ones take seconds.
_LENGTH = 20_000
# https://python-poetry.org/docs/dependency-specification/
_ABOUT = re.compile(r"(?P<sign>[\^~]|=?=?)(?P<major>\d{1,4})\.(?P<minor>\d{1,4})(\.\d+)*")
PUBLIC_INDEX_PATTERN = r"https?://pypi\.(python\.)?org(/simple|/pypi)?/?"
PUBLIC_INDEX = re.compile(PUBLIC_INDEX_PATTERN)


@dataclass(frozen=True)
class Converted:
    """A production file as pip requirements, each on the line of its entry, and packages that pip cannot install.

    Each package in ``left_out`` begins with its name and ends with the reason in parentheses: ``numpy=1.26 (conda)``.
    ``python`` is the specifier of the file's Pythons, if it has one. ``twins`` maps requirements that stand for conda
    packages to their entries in the file.
    """

    text: str
    left_out: tuple[str, ...]
    python: str = ""
    twins: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


class Page:
    """Gathers the requirements of one file; ``remedy`` ends each message.

    Values that would break a requirement are refused and not escaped, because tools do not write such values.
    """

    def __init__(self, name: str, remedy: str) -> None:
        self._name = name
        self._remedy = remedy
        self._lines: dict[int, str] = {}
        self._next: dict[int, int] = {}
        self._left_out: dict[str, None] = {}
        self._indexes: dict[str, None] = {}
        self._problems: list[str] = []
        self._python = ""
        self._twins: dict[str, tuple[str, ...]] = {}

    def for_python(self, wanted: str) -> None:
        """Note which Pythons the file is for: a specifier, perhaps poetry's, or a version such as 3.11."""
        self._python = as_specifier(wanted)

    def installed_if(self, line: int, marker: str, groups: frozenset[str] = frozenset()) -> str | None:
        """Return a marker without groups and extras, or ``None`` if the package is not installed."""
        return installed_if(self._normal(line, marker), groups)

    def require(
        self,
        line: int,
        name: str,
        *,
        version: str = "",
        url: str = "",
        extras: Iterable[str] = (),
        marker: str = "",
        hashes: Iterable[str] = (),
    ) -> None:
        """Write a requirement; an empty ``version`` and ``url`` leave its version open."""
        extras = sorted(extras)
        self._check(line, "package name", name, bool(_NAME.fullmatch(name)))
        for extra in extras:
            self._check(line, "extra", extra, bool(_NAME.fullmatch(extra)))
        requirement = name + (f"[{','.join(extras)}]" if extras else "")
        if url:
            self._check(line, "URL", url, bool(_URL.fullmatch(url)) and not _BREAKS.search(url))
            requirement += f" @ {url}"
        elif version:
            self._check(line, "version", version, bool(_VERSION.fullmatch(version)))
            requirement += _equals(version) + version
        if marker := self._normal(line, marker):
            requirement += f" ; {marker}"
        options = [f"--hash={digest}" for digest in dict.fromkeys(hashes) if _HASH.fullmatch(digest)]
        self._put(line, " ".join([requirement, *options]))

    def write(self, line: int, requirement: str) -> None:
        """Write a line in pip's format."""
        self._check(line, "requirement", requirement, not re.search(r"[\x00-\x08\n-\x1f\\]", requirement))
        self._put(line, requirement)

    def twin(self, line: int, requirement: str, shown: Iterable[str]) -> None:
        """Write a requirement for a conda package, or for several that are one on the index."""
        requirement = str(Requirement(requirement))
        self._put(line, requirement)
        self._twins[requirement] = tuple(shown)

    def leave_out(self, name: str, why: str) -> None:
        """Note a package that pip does not install."""
        self._left_out[f"{re.sub(r'[^ -~]+', ' ', name)} ({re.sub(r'[^ -~]+', ' ', why)})"] = None

    def take_from(self, index: str) -> None:
        """Note the index of a package: a URL, or nothing for the usual one."""
        self._indexes["" if PUBLIC_INDEX.fullmatch(index) else index] = None

    def problem(self, line: int, what: str) -> None:
        """Note a problem of an entry."""
        self._problems.append(f"{self._name}:{line}: {what}; {self._remedy}")

    def converted(self) -> Converted:
        """Return the result, or raise `RequirementsError` with all problems."""
        if self._problems:
            raise RequirementsError(*self._problems)
        main = "--extra-index-url" if "" in self._indexes else "--index-url"
        for index in self._indexes:
            if re.match(r"https?://", index) and not _BREAKS.search(index):
                self._put(1, f"{main} {index}")
                main = "--extra-index-url"
        last = max(self._lines, default=0)
        text = "".join(f"{self._lines.get(line, '')}\n" for line in range(1, last + 1))
        return Converted(text, tuple(self._left_out), self._python, self._twins)

    def _put(self, line: int, requirement: str) -> None:
        """Write on the line, or on the next free one if several entries share a line."""
        free = self._next.get(line, line)
        while free in self._lines:
            free += 1
        self._lines[free] = requirement
        self._next[line] = free + 1

    def _check(self, line: int, what: str, value: str, fine: bool) -> None:
        if not fine:
            self.problem(line, f"invalid {what} {excerpt(value)!r}" if value else f"the entry lacks a {what}")

    def _normal(self, line: int, marker: str) -> str:
        """Return a marker in the form of `packaging`; note a problem if it is invalid or too long."""
        try:
            normal = str(Marker(marker)) if marker and len(marker) <= _LENGTH else ""
        except InvalidMarker as error:
            self.problem(line, f"invalid marker {excerpt(marker)!r} ({str(error).splitlines()[0]})")
            return ""
        self._check(line, "marker", marker, len(marker) <= _LENGTH and not _BREAKS.search(normal))
        return normal


def as_specifier(wanted: str) -> str:
    """Return a specifier of Pythons in pip's notation, perhaps from poetry's."""
    if not (found := _ABOUT.fullmatch(wanted.strip())):
        return wanted
    major, minor = int(found["major"]), int(found["minor"])
    above = f"{major + 1}" if found["sign"] == "^" else f"{major}.{minor + 1}"
    return f">={major}.{minor},<{above}"


def _equals(version: str) -> str:
    try:
        Version(version)
    except ValueError:
        return "==="
    return "=="
