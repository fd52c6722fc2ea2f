"""What the sources in a lock are built with: the requirements that they declare, locked with hashes.

Nothing of a source is run. So what it asks for only while it is built is known if it stands there as plain text.
"""

from __future__ import annotations

import ast
import hashlib
import io
import re
import tarfile
import zipfile
from collections.abc import Collection, Iterator, Mapping
from configparser import ConfigParser
from configparser import Error as ConfigError
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from urllib.parse import urlsplit
from urllib.request import url2pathname

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from ds_docker_env.common.errors import GenerationError, RequirementsError
from ds_docker_env.common.target import ARM64, machines
from ds_docker_env.pinning.parity import entries, requirement_of_entry
from ds_docker_env.pinning.processors import merge
from ds_docker_env.pinning.production.formats.reading import read_toml, table, text_of, texts
from ds_docker_env.pinning.resolver import Resolver

_HEADING = "# What packages without a wheel are built with.\n"
# https://packaging.python.org/en/latest/specifications/pyproject-toml/#pyproject-build-system-table; as uv takes it.
_LEGACY, _SETUPTOOLS = ["setuptools>=40.8.0"], "setuptools.build_meta"
# These ask for no more than they declare; setuptools before 70.1 asks for wheel.
_DECLARING = {"flit_core.buildapi", "flit.buildapi", "poetry.core.masonry.api", "pdm.backend", "hatchling.build"}
# Seconds for a source to arrive, and bytes that are read; h2o has 270 MB.
_SECONDS, _MOST = 300, 400_000_000
_DYNAMIC = "it asks for more while it is built"


@dataclass(frozen=True)
class SourceFile:
    """The address of a source, and its hashes."""

    url: str
    sha256: Collection[str]


@dataclass
class BuildRequirements:
    """The text of build-requirements.txt, and why those of a source are not all fixed, by requirement."""

    text: str = ""
    unfixed: dict[str, str] = field(default_factory=dict)

    @property
    def lines(self) -> list[str]:
        """Return a line for each source whose build requirements are not all fixed."""
        return [f"Not fixed:  build requirements of {source}: {why}" for source, why in self.unfixed.items()]


@dataclass
class _Asked:
    """What a source asks for, and why that may not be all."""

    requirements: list[str]
    why: str = ""


def lock_build_requirements(
    resolver: Resolver,
    lock: str,
    sources: Mapping[str, SourceFile],
    before: str = "",
    known: Mapping[str, str] = MappingProxyType({}),
) -> BuildRequirements:
    """Lock what these sources of a lock are built with, by requirement; versions ``before`` stay if they can.

    ``known`` is what some of them were locked with, which are not read again.
    """
    groups: dict[tuple[str, ...], list[str]] = {}
    made = BuildRequirements()
    parts: dict[str, list[str]] = {}
    for source in sorted(sources):
        if source in known:
            parts.setdefault(known[source], []).append(source)
            continue
        resolver.say(f"reading {source}")
        asked = _asked(source, sources[source], resolver)
        groups.setdefault(tuple(asked.requirements), []).append(source)
        if asked.why:
            made.unfixed[source] = asked.why
    for requirements, names in groups.items():
        try:
            text = _lock(resolver, requirements, "".join(entries(before)), lock)
        except (GenerationError, InvalidRequirement) as error:
            text = ""
            made.unfixed |= dict.fromkeys(names, " ".join(str(error).split())[:160])
        parts.setdefault(text, []).extend(names)
    written = []
    for text, names in sorted(parts.items(), key=lambda part: min(part[1])):
        whys = [f": not fixed, {made.unfixed[name]}" if name in made.unfixed else "" for name in sorted(names)]
        written.append("".join(f"# {name}{why}\n" for name, why in zip(sorted(names), whys, strict=True)) + text)
    made.text = "\n".join([_HEADING, *written]) if written else ""
    return made


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
    """Return the versions of build requirements as a lock for the processors of another; raise `GenerationError`."""
    amd64 = resolver.build_requirements(requirements, before)
    if not amd64.text:
        raise RequirementsError(f"uv finds no wheels for {', '.join(requirements)}")
    text = "".join(entries(amd64.text))
    if ARM64 in machines(lock):
        other = replace(resolver, target=resolver.target.on(ARM64)).build_requirements(requirements, text)
        if not other.text:
            raise RequirementsError(f"uv finds no wheels for {', '.join(requirements)} on linux/arm64")
        text = merge(text, "".join(entries(other.text)))
    return text


def _asked(source: str, file: SourceFile, resolver: Resolver) -> _Asked:
    """Return what a source asks for, with what uv.toml adds to it."""
    name = canonicalize_name(re.split(r"==| @ ", source)[0])
    try:
        asked = _declared(_top_files(file))
    except (GenerationError, OSError, EOFError, tarfile.TarError, zipfile.BadZipFile, ValueError) as error:
        asked = _Asked(_LEGACY, f"cannot be read ({' '.join(str(error).split())[:120]})")
    building = resolver.building
    settings = read_toml(building.settings, "uv.toml", "correct it")
    own = texts(table(settings.get("extra-build-dependencies")).get(name))
    bounds = [building.setuptools, *texts(settings.get("build-constraint-dependencies"))]
    further = [building.requires.get(name, ""), *own, *_bounding(bounds, asked.requirements)]
    return replace(asked, requirements=sorted({*asked.requirements, *filter(None, further)}))


def _bounding(bounds: Collection[str], requirements: Collection[str]) -> Iterator[str]:
    """Return the bounds on packages that are asked for."""
    names = {canonicalize_name(Requirement(each).name) for each in requirements}
    yield from (bound for bound in bounds if bound and canonicalize_name(Requirement(bound).name) in names)


def _declared(files: Mapping[str, str]) -> _Asked:
    """Return what the files at the top of a source declare; raise `RequirementsError` if they cannot be read."""
    system = table(read_toml(files.get("pyproject.toml", ""), "pyproject.toml", "ask its authors").get("build-system"))
    requirements = texts(system.get("requires")) if "requires" in system else _LEGACY
    backend = text_of(system, "build-backend") or _SETUPTOOLS
    if backend.startswith(_SETUPTOOLS) and "backend-path" not in system:
        more = _setup_requires(files)
        if more is None:
            return _Asked([*requirements, "wheel"], _DYNAMIC)
        return _Asked([*requirements, "wheel", *more])
    return _Asked(requirements, "" if backend in _DECLARING else _DYNAMIC)


def _setup_requires(files: Mapping[str, str]) -> list[str] | None:
    """Return what setup.py and setup.cfg ask for besides, or None if that is known only when they run.

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
        # They can be anything that pip does not take, such as a file.
        return [str(Requirement(each.strip())) for each in found]
    except (ConfigError, InvalidRequirement, SyntaxError, ValueError, TypeError):
        return None


def _top_files(file: SourceFile) -> dict[str, str]:
    """Download a source and return the files at its top that say what it is built with; raise `RequirementsError`."""
    content = _download(file.url)
    if hashlib.sha256(content).hexdigest() not in file.sha256:
        raise RequirementsError(f"{file.url}: its hash is not in the lock")
    wanted = {"pyproject.toml", "setup.py", "setup.cfg"}
    found = {}
    if zipfile.is_zipfile(io.BytesIO(content)):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for name in archive.namelist():
                if name.count("/") == 1 and (base := name.partition("/")[2]) in wanted:
                    found[base] = archive.read(name).decode(errors="replace")
    else:
        with tarfile.open(fileobj=io.BytesIO(content)) as tar:
            for member in tar:
                base = member.name.removeprefix("./").partition("/")[2]
                if base in wanted and member.isfile() and (stream := tar.extractfile(member)):
                    found[base] = stream.read().decode(errors="replace")
    return found


def _download(url: str) -> bytes:
    if re.match(r"https?:", url):
        # Only here: importing requests takes a while.
        from ds_docker_env.common.sources.web import WebFile

        return WebFile(url, size=_MOST, seconds=_SECONDS).read()
    return Path(url2pathname(urlsplit(url).path) if url.startswith("file:") else url).read_bytes()
