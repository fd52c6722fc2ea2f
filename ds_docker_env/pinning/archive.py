"""The metadata and code in the archive of a source, read without running it."""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import tarfile
import zipfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit
from urllib.request import url2pathname

from packaging.specifiers import InvalidSpecifier, SpecifierSet

from ds_docker_env.common import debian, uv
from ds_docker_env.common.errors import RequirementsError
from ds_docker_env.pinning.production.formats.reading import read_toml, table, texts

# The time limit of a download, and its size limit; h2o has 270 MB.
_SECONDS, _MOST = 300, 400_000_000
# The directory in uv's cache for archives that were read, by hash; increment the number when `Archive` changes.
_KEPT = "ds-docker-env-sources-1"
# Files at the top of a source, and suffixes of compiled code.
_TOP = {"pyproject.toml", "setup.py", "setup.cfg", "PKG-INFO", "Cargo.toml"}
_C = {".c", ".cc", ".cpp", ".cxx", ".h", ".hpp", ".hh", ".pyx", ".pxd"}
_FORTRAN = {".f", ".f77", ".f90", ".f95", ".F", ".F90"}
_COMPILED = {*_C, *_FORTRAN, ".rs", ".i"}
# The size limit of one file.
_LONG = 2_000_000
_INCLUDED = re.compile(r"^\s*(?:#\s*include\s*[<\"]|cdef extern from [\"']<?)([\w./+-]+)[>\"']", re.MULTILINE)
# A source with more libraries uses those that it finds.
_LIBRARIES = 3
_TESTS = re.compile(r"(^|/)(tests?|examples?|benchmarks?|docs?)/")
# https://pypi.org/classifiers/ and https://docs.rs/about/metadata
_SYSTEM = re.compile(r"^Classifier: Operating System :: (\w+)", re.MULTILINE)
_SYSTEMS = {"Microsoft": "win32", "MacOS": "darwin"}
_PLATFORM = re.compile(r"^Platform: (?:Windows|Mac)", re.MULTILINE | re.IGNORECASE)


@dataclass(frozen=True)
class SourceFile:
    """The address of a source, and its hashes."""

    url: str
    sha256: Collection[str]


@dataclass(frozen=True)
class Archive:
    """The texts at the top of a source by name, and the suffixes of its code.

    ``headers`` are included by its code, but not part of it.
    """

    files: Mapping[str, str]
    endings: Collection[str] = ()
    headers: Collection[str] = ()

    @property
    def is_compiled(self) -> bool:
        return bool(_COMPILED.intersection(self.endings))

    def excludes(self, full_python: str) -> str:
        """Return the Requires-Python of the source, if it excludes this Python."""
        found = re.search(r"^Requires-Python: (.+)$", self.files.get("PKG-INFO", ""), re.MULTILINE)
        with suppress(InvalidSpecifier):
            return found[1] if found and full_python not in SpecifierSet(found[1]) else ""
        return ""

    @property
    def system(self) -> str:
        """Return the ``sys_platform`` if the source declares a single system, or nothing.

        Pure Python has to declare it twice, because many such packages also run elsewhere.
        """
        info = self.files.get("PKG-INFO", "")
        systems = set(_SYSTEM.findall(info))
        if len(systems) == 1 and (self.is_compiled or _PLATFORM.search(info)):
            return _SYSTEMS.get(systems.pop(), "")
        cargo = read_toml(self.files.get("Cargo.toml", ""), "Cargo.toml", "report it to its authors")
        metadata = table(table(cargo.get("package")).get("metadata"))
        targets = texts(table(table(metadata.get("docs")).get("rs")).get("targets"))
        return "win32" if targets and all("-windows-" in target for target in targets) else ""

    def debian_packages(self, name: str, release: str) -> list[str]:
        """Return the Debian packages that building this package needs and the official image lacks."""
        if not self.is_compiled:
            return []
        known = debian.read(release)
        asked = "".join(self.files.get(each, "") for each in ("pyproject.toml", "setup.py", "setup.cfg"))
        rust = ".rs" in self.endings and re.search(r"maturin|setuptools[-_]rust", asked)
        if (found := known.needs.get(name)) is None:
            libraries = {known.package_of(header) for header in self.headers} - {"", *known.image}
            found = [] if len(libraries) > _LIBRARIES else [*libraries]
            found += ["gfortran"] if _FORTRAN.intersection(self.endings) else []
        needed = {each for each in found if each != "cargo"} | ({"cargo"} if rust else set())
        return sorted(needed - {*known.image})


def read_archive(file: SourceFile) -> Archive:
    """Download a source and read it; raise `RequirementsError` if it is unreadable or has another hash."""
    return _read(file.url, tuple(file.sha256))


@lru_cache(maxsize=64)
def _read(url: str, sha256: Collection[str]) -> Archive:
    folder = uv.cache() / _KEPT
    for digest in sha256:
        with suppress(OSError, ValueError, TypeError):
            return Archive(**json.loads((folder / digest).read_bytes()))
    try:
        content = _download(url)
        digest = hashlib.sha256(content).hexdigest()
        if digest not in sha256:
            raise RequirementsError(f"{url}: its hash differs from the lock")
        files: dict[str, str] = {}
        names, included = set(), set()
        for name, text in _members(content):
            path = PurePosixPath(name)
            names.add(path)
            if len(path.parts) == 2 and path.name in _TOP:
                files[path.name] = text
            elif text:
                included.update(_INCLUDED.findall(text))
    except (OSError, EOFError, tarfile.TarError, zipfile.BadZipFile, ValueError) as error:
        raise RequirementsError(f"{url}: {error}") from None
    own = {path.name for path in names} | {f"{part}/" for path in names for part in path.parts[:-1]}
    others = {header for header in included if PurePosixPath(header).name not in own}
    code = {path.suffix for path in names if not _TESTS.search(str(path))}
    found = Archive(files, sorted(code), sorted(others))
    with suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        written = folder / f"{digest}.{os.getpid()}"
        written.write_text(json.dumps(asdict(found)), encoding="utf-8")
        written.replace(folder / digest)
    return found


def _members(content: bytes) -> Iterator[tuple[str, str]]:
    """Yield the files of an archive, with the texts of those that are read."""

    def matters(name: str, size: int) -> bool:
        path = PurePosixPath(name)
        top = len(path.parts) == 2 and path.name in _TOP
        return size < _LONG and (top or (path.suffix in _C and not _TESTS.search(name)))

    if zipfile.is_zipfile(io.BytesIO(content)):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for info in archive.infolist():
                read = matters(info.filename, info.file_size)
                yield info.filename, archive.read(info).decode(errors="replace") if read else ""
        return
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        for member in tar:
            name = member.name.removeprefix("./")
            read = member.isfile() and matters(name, member.size)
            stream = tar.extractfile(member) if read else None
            yield name, stream.read().decode(errors="replace") if stream else ""


def _download(url: str) -> bytes:
    if re.match(r"https?:", url):
        # The import takes a while.
        from ds_docker_env.common.sources.web import WebFile

        return WebFile(url, size=_MOST, seconds=_SECONDS).read()
    return Path(url2pathname(urlsplit(url).path) if url.startswith("file:") else url).read_bytes()
