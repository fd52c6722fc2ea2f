"""Production's file as pins, requirements and options."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit

from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from ds_docker_env.common.errors import RefusedError, UnreachableError, UntrustedError
from ds_docker_env.common.target import Target

# Why --find-links or an index is ignored if it is a directory.
DIRECTORY = "a directory on production's machine"


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

    def holds(self, version: str) -> bool:
        """Say whether a version satisfies the pin; a pin without a local version allows any, as in pip."""
        if same_version(self.version, version):
            return True
        try:
            return self.specifier[:3] != "===" and Version(version).public == str(Version(self.version))
        except InvalidVersion:
            return False

    def agrees(self, other: Pin) -> bool:
        """Say whether one version can satisfy both pins."""
        return self.holds(other.version) or other.holds(self.version)

    def applies(self, target: Target) -> bool:
        return not self.marker or Marker(self.marker).evaluate(target.marker_environment())

    def __str__(self) -> str:
        extras = f"[{','.join(self.extras)}]" if self.extras else ""
        marker = f" ; {self.marker}" if self.marker else ""
        return f"{self.name}{extras}{self.specifier}{marker}"


@dataclass
class Production:
    """The content of production's file.

    ``pins`` are installed. ``constraints`` and ``bounds`` (``-c``) apply only to packages that are installed anyway.
    ``unpinned`` leave the version open or name a URL, whose hashes are in ``downloads``. ``left_out`` are not from an
    index (production's own code, VCS), with their names if known. ``indexes`` maps option lines without credentials
    to their file and line. ``ignored`` maps options to the reason. ``pythons`` maps files to specifiers of their
    Pythons. ``conda`` maps conda's notation of a package to the requirement that stands for it, one of ``pins`` or
    ``unpinned``.
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
    ignored: dict[str, str] = field(default_factory=dict)
    pythons: dict[str, str] = field(default_factory=dict)
    conda: dict[str, str] = field(default_factory=dict)

    def restrict(self, markers: Mapping[str, str]) -> bool:
        """Add markers to pins; say whether any pin changed."""
        before = self.fixed
        self.pins, self.constraints = (
            [replace(pin, marker=markers.get(str(pin), pin.marker)) for pin in pins]
            for pins in (self.pins, self.constraints)
        )
        now = {twin: f"{twin} ; {marker}" for twin, marker in markers.items()}
        self.conda = {shown: now.get(twin, twin) for shown, twin in self.conda.items()}
        return self.fixed != before

    def leave_out(self, pins: Collection[Pin], why: str) -> None:
        """Leave out pins with the reason in brackets."""
        self.pins = [pin for pin in self.pins if pin not in pins]
        self.left_out |= {f"{pin.name}{pin.specifier} {why}": pin.name for pin in pins}
        self._keep_known_twins()

    def leave_out_url(self, url: str) -> bool:
        """Leave out packages from the host of an unreachable URL; say whether there were any."""
        host = urlsplit(url).netloc
        lost = [line for line in self.unpinned if host and f"://{host}/" in line]
        for line in lost:
            self.unpinned.remove(line)
            self.left_out[line] = name = canonicalize_name(line.partition("@")[0].strip())
            self.downloads = [pin for pin in self.downloads if pin.name != name]
        return bool(lost)

    @property
    def directories(self) -> list[str]:
        """Return the options whose index is a directory on production's machine."""
        return [option for option, why in self.ignored.items() if why == DIRECTORY]

    @property
    def twins(self) -> set[str]:
        """Return the requirements that stand for conda packages."""
        return set(self.conda.values())

    @property
    def near(self) -> set[str]:
        """Return the requirements with another version than the conda packages that they stand for."""
        return {twin for shown, twin in self.conda.items() if f"{shown} (conda)" in self.left_out}

    def replace_twin(self, requirement: str, near: str = "") -> None:
        """Leave out the conda packages of a requirement, and require another version, ``near``, if there is one."""
        lost = self._forget_twin(requirement)
        self.left_out |= {f"{shown} (conda)": name_of(requirement) for shown in lost}
        if near:
            self.unpinned.append(near)
            self.conda |= dict.fromkeys(lost, near)

    def prefer_pip(self, target: Target) -> None:
        """Remove the conda packages that pip replaced in production, or that only bound others."""
        self._keep_known_twins()
        for twin in self.twins:
            name, version = name_of(twin), pinned_version(twin)
            same = [*(str(pin) for pin in self.pins if pin.name == name and pin.applies(target))]
            same += [line for line in self.unpinned if name_of(line) == name]
            same.remove(twin)
            if any(
                pinned_version(other)
                or Requirement(other).url
                or (version and not Requirement(other).specifier.contains(version, prereleases=True))
                for other in same
            ):
                self._forget_twin(twin)

    def _keep_known_twins(self) -> None:
        known = {*map(str, self.pins), *self.unpinned}
        self.conda = {shown: twin for shown, twin in self.conda.items() if twin in known}

    def _forget_twin(self, requirement: str) -> list[str]:
        """Remove a requirement; return the conda packages that it stood for."""
        pin = next((pin for pin in self.pins if str(pin) == requirement), None)
        if pin:
            self.pins.remove(pin)
        else:
            self.unpinned.remove(requirement)
        lost = [shown for shown, twin in self.conda.items() if twin == requirement]
        self.conda = {shown: twin for shown, twin in self.conda.items() if twin != requirement}
        return lost

    @property
    def fixed(self) -> tuple[Pin, ...]:
        """Return all pins, those of installed packages first."""
        return (*self.pins, *self.constraints)

    def names(self) -> set[str]:
        """Return the names of the packages in production's file, pinned or not."""
        return {pin.name for pin in self.fixed} | set(map(name_of, self.unpinned))

    def built(self) -> set[str]:
        """Return the names of packages that may be built from source: all except unpinned conda packages."""
        return self.names() - {name_of(twin) for twin in self.twins if not pinned_version(twin)}

    def urls(self) -> list[str]:
        """Return the addresses of packages that do not come from an index."""
        return [url for line in self.unpinned if (url := line.partition(" @ ")[2].partition(" ")[0])]

    def blame_index(self, error: UnreachableError) -> UnreachableError:
        """Return the error with the line of production's file that names the index, if there is one."""
        for option, where in self.indexes.items():
            address = option.partition(" ")[2]
            if not error.url.startswith(address.rstrip("/")):
                continue
            if isinstance(error, RefusedError | UntrustedError):
                return type(error)(f"{where}: {error.problems[0]}", url=error.url)
            return UnreachableError(
                f"{where}: the index {address} cannot be reached; connect to its network, "
                "or remove this line and set your index in UV_DEFAULT_INDEX or uv.toml",
                url=error.url,
            )
        return error

    def requirements(self) -> str:
        """Return the requirements that production installs, one per line."""
        return as_lines([*self.option_lines(), *(str(pin) for pin in self.pins), *self.unpinned])

    def only(self, requirements: Iterable[str]) -> str:
        """Return these requirements with production's indexes and constraints."""
        return as_lines([*self.option_lines(), *requirements])

    def option_lines(self) -> list[str]:
        """Return the option lines of production.txt: indexes, and constraints if there are any."""
        return [*self.indexes, *(["-c constraints.txt"] if self.constraints_text() else [])]

    def constraints_text(self) -> str:
        """Return the text of constraints.txt, perhaps empty."""
        return as_lines([*(str(pin) for pin in self.constraints), *self.bounds])


def name_of(requirement: str) -> str:
    """Return the normalised name of a requirement."""
    return canonicalize_name(Requirement(requirement).name)


def pinned_version(requirement: str) -> str:
    """Return the version of a requirement that is a pin, or nothing."""
    specifiers = list(Requirement(requirement).specifier)
    if len(specifiers) != 1 or specifiers[0].operator not in ("==", "===") or specifiers[0].version.endswith(".*"):
        return ""
    return specifiers[0].version


def same_version(one: str, other: str) -> bool:
    """Compare two versions by PEP 440, or as strings if they are invalid."""
    try:
        return Version(one) == Version(other)
    except InvalidVersion:
        return one == other


def as_lines(lines: Iterable[str]) -> str:
    """Return a text with these lines."""
    return "".join(f"{line}\n" for line in lines)
