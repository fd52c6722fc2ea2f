"""What production's file says, and the files of a project that say it again."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import date
from urllib.parse import urlsplit

from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from ds_docker_env.common.errors import RefusedError, UnreachableError
from ds_docker_env.common.target import Target


@dataclass(frozen=True)
class Pin:
    """One version that production pins: ``name`` is normalised, ``specifier`` is ``==`` or ``===`` and a version."""

    name: str
    specifier: str
    extras: tuple[str, ...]
    marker: str
    hashes: frozenset[str]
    where: str

    @property
    def version(self) -> str:
        return self.specifier.lstrip("=")

    def applies(self, target: Target) -> bool:
        return not self.marker or Marker(self.marker).evaluate(target.marker_environment())

    def __str__(self) -> str:
        extras = f"[{','.join(self.extras)}]" if self.extras else ""
        marker = f" ; {self.marker}" if self.marker else ""
        return f"{self.name}{extras}{self.specifier}{marker}"


@dataclass
class Production:
    """What production's file says.

    ``pins`` are installed; ``constraints`` and ``bounds`` bind only what is installed anyway (``-c``); ``unpinned``
    leave the version open or name a URL, of which ``downloads`` keep the hashes; ``left_out`` are not taken from an
    index (production's own code, VCS), with their names where known; ``indexes`` are option lines without credentials
    and where they stand; ``ignored`` are options that mean nothing to a lock; ``pythons`` are specifiers of the Pythons
    that files are for, by name.
    """

    source: str
    digest: str
    provenance: str = ""
    pins: list[Pin] = field(default_factory=list)
    constraints: list[Pin] = field(default_factory=list)
    unpinned: list[str] = field(default_factory=list)
    downloads: list[Pin] = field(default_factory=list)
    bounds: list[str] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)
    indexes: dict[str, str] = field(default_factory=dict)
    ignored: list[str] = field(default_factory=list)
    pythons: dict[str, str] = field(default_factory=dict)

    def restrict(self, pins: Iterable[str], marker: str) -> None:
        """Note that these pins apply only where this marker holds."""
        self.pins = [replace(pin, marker=marker) if str(pin) in pins else pin for pin in self.pins]

    def leave_out_url(self, url: str) -> bool:
        """Leave out what comes from the host of a URL that cannot be reached; say whether there was anything."""
        host = urlsplit(url).netloc
        lost = [line for line in self.unpinned if host and f"://{host}/" in line]
        for line in lost:
            self.unpinned.remove(line)
            self.left_out[line] = canonicalize_name(line.partition("@")[0].strip())
        return bool(lost)

    @property
    def fixed(self) -> tuple[Pin, ...]:
        """Return what is pinned, installed or only bound; an installed one comes first."""
        return (*self.pins, *self.constraints)

    def names(self) -> set[str]:
        """Return what production names itself, pinned or not."""
        return {pin.name for pin in self.fixed} | {canonicalize_name(Requirement(line).name) for line in self.unpinned}

    def urls(self) -> list[str]:
        """Return where packages are downloaded from that no index has."""
        return [url for line in self.unpinned if (url := line.partition(" @ ")[2].partition(" ")[0])]

    def blame_index(self, error: UnreachableError) -> UnreachableError:
        """Return the error with the line of production's that names the index, if one does."""
        for option, where in self.indexes.items():
            address = option.partition(" ")[2]
            if not error.url.startswith(address.rstrip("/")):
                continue
            if isinstance(error, RefusedError):
                return RefusedError(f"{where}: {error.problems[0]}", url=error.url)
            return UnreachableError(
                f"{where}: the index {address}, which production names, cannot be reached; "
                "connect to its network, or set UV_DEFAULT_INDEX or uv.toml for yours and take the line out",
                url=error.url,
            )
        return error

    def requirements(self) -> str:
        """Return what production installs as plain requirements, one a line."""
        return _lines([*self.includes(), *(str(pin) for pin in self.pins), *self.unpinned])

    def only(self, requirements: Iterable[str]) -> str:
        """Return a few requirements by themselves, on production's indexes."""
        return _lines([*self.includes(), *requirements])

    def includes(self) -> list[str]:
        """Return the option lines of production.txt: its indexes, and its constraints if there are any."""
        return [*self.indexes, *(["-c constraints.txt"] if self.bounding() else [])]

    def bounding(self) -> str:
        """Return what only bounds versions, as a constraints file."""
        return _lines([*(str(pin) for pin in self.constraints), *self.bounds])


def render_production(production: Production, today: date) -> str:
    """Return production.txt: where the pins came from, and the pins."""
    provenance = f"# {production.provenance}\n" if production.provenance else ""
    parts = [
        "# Production's versions, as taken over; the lock holds each of them exactly.\n"
        f"# source: {production.source}\n{provenance}# sha256: {production.digest}\n"
        f"# taken over on: {today.isoformat()}\n"
    ]
    for title, lines in (
        ("", production.includes()),
        ("", [str(pin) for pin in production.pins]),
        ("# Not pinned by production, or from a URL; the lock says what was chosen.\n", production.unpinned),
    ):
        parts.append(title + _lines(lines) if lines else "")
    parts.append(_comment("Not taken over, as it is not from an index or was not reachable:", production.left_out))
    return "\n".join(part for part in parts if part)


def render_constraints(production: Production) -> str:
    """Return constraints.txt, which production.txt includes."""
    return "# Production's constraints; production.txt includes them.\n" + production.bounding()


def render_overrides(overrides: Iterable[str]) -> str:
    """Return overrides.txt, which makes uv lock pins that exclude each other."""
    title = "# Production runs pins that exclude each other, so these versions hold whatever others ask of them."
    return _lines([title, *overrides])


def same_version(one: str, other: str) -> bool:
    """Compare two versions by PEP 440, or to the letter where they do not follow it."""
    try:
        return Version(one) == Version(other)
    except InvalidVersion:
        return one == other


def _lines(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def _comment(title: str, lines: Iterable[str]) -> str:
    return f"# {title}\n" + _lines([f"#   {line}" for line in lines]) if lines else ""
