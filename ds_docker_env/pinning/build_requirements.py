"""The build requirements of the sources in a lock, locked with hashes.

They are read from the files of a source, which is never run, so requirements that its build computes are unknown.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from configparser import ConfigParser
from configparser import Error as ConfigError
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from ds_docker_env.common.debian import needs_in
from ds_docker_env.common.errors import GenerationError, RequirementsError
from ds_docker_env.common.target import ARM64, machines
from ds_docker_env.pinning.archive import Archive, SourceFile, read_archive
from ds_docker_env.pinning.parity import entries, requirement_of_entry
from ds_docker_env.pinning.processors import merge
from ds_docker_env.pinning.production.formats.reading import read_toml, table, text_of, texts
from ds_docker_env.pinning.production.model import name_of
from ds_docker_env.pinning.resolver import Resolver

_HEADING = "# Build requirements of packages without a wheel.\n"
# Defaults, as in uv: https://packaging.python.org/en/latest/specifications/pyproject-toml/#pyproject-build-system-table
_LEGACY, _SETUPTOOLS = ["setuptools>=40.8.0"], "setuptools.build_meta"
# These request only declared requirements; setuptools before 70.1 also requests wheel.
_DECLARING = {"flit_core.buildapi", "flit.buildapi", "poetry.core.masonry.api", "pdm.backend", "hatchling.build"}
# Sources that are downloaded at the same time; each is held in memory.
_AT_ONCE = 4
_DYNAMIC = "its build may request more"


@dataclass
class BuildRequirements:
    """The text of build-requirements.txt, and findings about sources, by requirement.

    ``unfixed`` says why the build requirements of a source are not all locked. ``debian`` are the Debian packages that
    a source needs and the official image lacks. ``pythons`` are the Requires-Python of sources for other Pythons.
    """

    text: str = ""
    unfixed: dict[str, str] = field(default_factory=dict)
    debian: dict[str, list[str]] = field(default_factory=dict)
    pythons: dict[str, str] = field(default_factory=dict)

    @property
    def lines(self) -> list[str]:
        """Return a line for each finding about a source."""
        needs = [
            f"To build:   {source} needs {' '.join(packages)} in DEBIAN_PACKAGES of the Dockerfile"
            for source, packages in self.debian.items()
        ]
        needs += [
            f"To build:   {source} requires Python {pythons}, so its build may fail; check python_version"
            for source, pythons in self.pythons.items()
        ]
        return needs + [f"Not fixed:  build requirements of {source}: {why}" for source, why in self.unfixed.items()]


@dataclass
class _Asked:
    """The build requirements of a source, why they may be incomplete, and the findings of `BuildRequirements`."""

    requirements: list[str]
    why: str = ""
    debian: list[str] = field(default_factory=list)
    pythons: str = ""


def lock_build_requirements(
    resolver: Resolver,
    lock: str,
    sources: Mapping[str, SourceFile],
    before: str = "",
    known: Mapping[str, str] = MappingProxyType({}),
    everywhere: Collection[str] = (),
) -> BuildRequirements:
    """Lock the build requirements of these sources; versions ``before`` stay if possible.

    ``known`` has the locked requirements of sources that are not read again. Only sources that are built
    ``everywhere``, not just for arm64, get Debian packages in the image.
    """
    groups: dict[tuple[str, ...], list[str]] = {}
    made = BuildRequirements()
    parts: dict[str, list[str]] = {}
    needs = {source: packages for source, packages in needs_in(before).items() if source in known}
    for source in sorted(sources.keys() & known.keys()):
        parts.setdefault(known[source], []).append(source)
    unread = sorted(sources.keys() - known.keys())
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        # Parsed in this thread, because parsing in several threads fails on Python 3.11.
        archives = {source: pool.submit(read_archive, sources[source]) for source in unread}
        for source in unread:
            resolver.say(f"reading {source}")
            asked = _asked(source, archives[source], resolver)
            groups.setdefault(tuple(asked.requirements), []).append(source)
            if asked.why:
                made.unfixed[source] = asked.why
            if asked.debian and source in everywhere:
                made.debian[source] = asked.debian
            if asked.pythons:
                made.pythons[source] = asked.pythons
    for requirements, names in groups.items():
        try:
            text = _lock(resolver, requirements, "".join(entries(before)), lock)
        except (GenerationError, InvalidRequirement) as error:
            text = ""
            made.unfixed |= dict.fromkeys(names, " ".join(str(error).split())[:160])
        parts.setdefault(text, []).extend(names)
    written = []
    for text, names in sorted(parts.items(), key=lambda part: min(part[1])):
        written.append("".join(f"# {name}{_notes(name, made, needs | made.debian)}\n" for name in sorted(names)) + text)
    made.text = "\n".join([_HEADING, *written]) if written else ""
    return made


def _notes(source: str, made: BuildRequirements, needs: Mapping[str, Collection[str]]) -> str:
    """Return the notes after a source in build-requirements.txt."""
    debian = f": needs {' '.join(needs[source])}" if source in needs else ""
    return debian + (f": not fixed, {made.unfixed[source]}" if source in made.unfixed else "")


def from_urls(lock: str) -> dict[str, SourceFile]:
    """Return the sources in a lock that come from a URL, by requirement."""
    found = {}
    for entry in entries(lock):
        requirement = requirement_of_entry(entry).partition(" ; ")[0]
        name, _, url = requirement.partition(" @ ")
        if url and not url.partition("#")[0].endswith(".whl"):
            found[f"{canonicalize_name(name)} @ {url}"] = SourceFile(url, re.findall(r"--hash=sha256:(\w+)", entry))
    return found


def _lock(resolver: Resolver, requirements: Collection[str], before: str, lock: str) -> str:
    """Lock build requirements for the processors of ``lock``; raise `GenerationError`."""
    amd64 = resolver.build_requirements(requirements, before)
    if not amd64.text:
        raise RequirementsError(f"uv did not find wheels for {', '.join(requirements)}")
    text = "".join(entries(amd64.text))
    if ARM64 in machines(lock):
        other = replace(resolver, target=resolver.target.on(ARM64)).build_requirements(requirements, text)
        if not other.text:
            raise RequirementsError(f"uv did not find wheels for {', '.join(requirements)} on linux/arm64")
        text = merge(text, "".join(entries(other.text)))
    return text


def _asked(source: str, read: Future[Archive], resolver: Resolver) -> _Asked:
    """Return the build requirements of a source, with those that uv.toml adds."""
    name = canonicalize_name(re.split(r"==| @ ", source)[0])
    try:
        archive = read.result()
        debian = archive.debian_packages(name, resolver.target.debian)
        pythons = archive.excludes(resolver.target.full_python)
        asked = replace(_declared(archive.files), debian=debian, pythons=pythons)
    except GenerationError as error:
        asked = _Asked(_LEGACY, f"cannot be read ({' '.join(str(error).split())[:120]})")
    building = resolver.building
    settings = read_toml(building.settings, "uv.toml", "correct it")
    own = texts(table(settings.get("extra-build-dependencies")).get(name))
    bounds = [building.setuptools, *texts(settings.get("build-constraint-dependencies"))]
    names = set(map(name_of, asked.requirements))
    further = [building.requires.get(name, ""), *own, *(each for each in bounds if each and name_of(each) in names)]
    return replace(asked, requirements=sorted({*asked.requirements, *filter(None, further)}))


def _declared(files: Mapping[str, str]) -> _Asked:
    """Return the declared build requirements of a source; raise `RequirementsError` for unreadable files."""
    project = read_toml(files.get("pyproject.toml", ""), "pyproject.toml", "report it to its authors")
    system = table(project.get("build-system"))
    requirements = texts(system.get("requires")) if "requires" in system else _LEGACY
    backend = text_of(system, "build-backend") or _SETUPTOOLS
    if backend.startswith(_SETUPTOOLS) and "backend-path" not in system:
        more = _setup_requires(files)
        if more is None:
            return _Asked([*requirements, "wheel"], _DYNAMIC)
        return _Asked([*requirements, "wheel", *more])
    return _Asked(requirements, "" if backend in _DECLARING else _DYNAMIC)


def _setup_requires(files: Mapping[str, str]) -> list[str] | None:
    """Return the ``setup_requires`` of setup.py and setup.cfg, or ``None`` if the build computes them.

    https://setuptools.pypa.io/en/latest/deprecated/changed_keywords.html
    """
    parser = ConfigParser(interpolation=None, strict=False)
    try:
        parser.read_string(files.get("setup.cfg", ""))
        said = parser.get("options", "setup_requires", fallback="")
        found = [line for line in said.split("\n" if "\n" in said else ";") if line.strip()]
        if "setup_requires" in files.get("setup.py", ""):
            for node in ast.walk(ast.parse(files["setup.py"])):
                if isinstance(node, ast.keyword) and node.arg == "setup_requires":
                    value = ast.literal_eval(node.value)
                    found += [value] if isinstance(value, str) else [str(each) for each in value]
                    break
            else:
                return None
        # Some are invalid in pip, such as a file.
        return [str(Requirement(each.strip())) for each in found]
    except (ConfigError, InvalidRequirement, SyntaxError, ValueError, TypeError):
        return None
