"""Packages without a wheel: their sources are downloaded with the logins of the build, and built without them.

A user who cannot read secrets builds them, with build requirements that the project locks by hash.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import netrc
import os
import platform
import posixpath
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple
from urllib.error import URLError
from urllib.parse import unquote, urlsplit
from urllib.request import Request, urlopen

from ds_docker_env.common import debian
from ds_docker_env.image.build.layers import read_entries
from ds_docker_env.image.build.running import ENVIRONMENT, STEP, run

BUILD_REQUIREMENTS = "build-requirements.txt"
UV = Path("/opt/tools/bin/uv")
# Wheels of earlier builds, which a builder keeps for one release of Debian.
BUILT = Path("/root/.cache/built")
NOBODY = 65534
# A source may have hundreds of megabytes, and /tmp is memory here.
_ON_DISK = Path("/var/tmp")  # noqa: S108
_SOURCE = re.compile(r'^(?:sdist|archive) = \{ (?:url|path) = "([^"]+)"', re.MULTILINE)
_HASH = re.compile(r"--hash=sha256:(\w+)")
_SETTINGS = (Path("/etc/uv/uv.toml"), STEP / "uv.toml")
# The limit for new releases concerns locks only; production may pin a new release.
_ANY_AGE = "--exclude-newer=false"
_SECONDS = 60
# How compilers, pkg-config, Meson and setup.py report missing headers, libraries and programs.
_HEADER = re.compile(r"fatal error: (\S+?): No such file")
_LIBRARY = re.compile(r"(?:No package|Package|Dependency) [\"']?([\w.+-]+?)[\"']?,? (?:.*?not |found)")
_NOT_FOUND = re.compile(
    r"not found|no such file|unable to execute|not installed|(could not|can(no|')t) find", re.IGNORECASE
)
_PROGRAM = re.compile(r"[\w-]+[-_]config\b|\b(?:bison|cargo|cmake|flex|gfortran|javac|rustc|swig)\b")
_RUST = re.compile(r"can't find Rust compiler")
_REASON = re.compile(r"fatal error: |\b(?:error|ERROR|\w+Error): (?!Failed to build|[cC]ommand )")
# https://docs.python.org/3/library/site.html
_STARTING, _HIDDEN = ("*.pth", "*.start", "sitecustomize*", "usercustomize*"), ".hidden"


class Section(NamedTuple):
    """The locked build requirements of a source, and whether they are complete."""

    requirements: str = ""
    fixed: bool = False


class Source(NamedTuple):
    """A source to build: its normalised name, its requirement without a marker, its address and its hashes."""

    name: str
    requirement: str
    url: str
    hashes: Collection[str]


class BuildError(Exception):
    """A source does not build; the message is the output of the build."""


def sections(text: str) -> dict[str, Section]:
    """Return the build requirements of each source, by requirement, from the text of build-requirements.txt."""
    found = {}
    for part in re.split(r"\n\s*\n", text.replace("\r\n", "\n")):
        requirements = re.sub(r"^#.*\n?", "", part, flags=re.MULTILINE).strip("\n")
        for requirement, _, _, problem in debian.LABEL.findall(part):
            found[requirement] = Section(f"{requirements}\n" if requirements else "", not problem)
    return found


def only(text: str, names: Collection[str]) -> str:
    """Return build-requirements.txt for the sources of these normalised names, or nothing."""
    parts = []
    for part in re.split(r"\n\s*\n", text.replace("\r\n", "\n")):
        lines = [
            line
            for line in part.splitlines()
            if not line.startswith("#") or ((label := debian.LABEL.match(line)) and label[2] in names)
        ]
        if any(line.startswith("#") for line in lines):
            parts.append("".join(f"{line}\n" for line in lines))
    return "\n".join(parts)


def install(uv: Path, environment: Path, base: Path, lock: str) -> None:
    """Install a lock into an environment of a base Python; raise `subprocess.CalledProcessError` if a program fails.

    Exit with one line if a source cannot be downloaded, and with a line for each that does not build.
    """
    path = STEP / BUILD_REQUIREMENTS
    locked = sections(path.read_text(encoding="utf-8")) if path.exists() else {}
    entries = read_entries(lock)
    options = entries.get("", "")
    with TemporaryDirectory(dir=_ON_DISK) as directory:
        folder = Path(directory)
        folder.chmod(0o755)
        sources = _find(uv, environment, entries, folder)
        wheels = folder / "lock.txt"
        built_here = {each.name for each in sources}
        text = "".join(entry for name, entry in entries.items() if name not in built_here)
        wheels.write_text(text, encoding="utf-8")
        into = ("pip", "install", f"--python={environment}", "--no-deps")
        checked = ("--require-hashes", "--no-build", _ANY_AGE, f"--requirement={wheels}")
        with _asleep(environment):
            # There uv finds the uv.toml beside the lock.
            run(uv, f"--directory={STEP}", *into, *checked)
        if sources:
            built = folder / "wheels"
            built.mkdir()
            problems = []
            for source in sources:
                section = locked.get(source.requirement, Section())
                try:
                    _build(source, section, options, base, folder, built)
                except BuildError as error:
                    problems.append(explain(source.requirement, str(error)))
            if problems:
                sys.exit("\n".join(problems))
            found = ("--no-config", "--no-cache", "--no-index", f"--find-links={built}")
            names = [source.requirement.partition(" @ ")[0] for source in sources]
            with _asleep(environment):
                run(UV, *into, *found, *names)
            for note in environment.glob("lib/python3*/site-packages/*.dist-info/uv_cache.json"):
                _forget(note)


def explain(requirement: str, said: str) -> str:
    """Return in one line why a source does not build, with the Debian package that it lacks."""
    files = debian.read("").files
    for lacking, name in _lacking(said):
        if package := files.get(name):
            return f"{requirement}: {lacking} not found; add {package} to DEBIAN_PACKAGES in the Dockerfile"
    reasons = [" ".join(line.split()) for line in said.splitlines() if _REASON.search(line)]
    why = f" ({reasons[-1][:200]})" if reasons else ""
    advice = "check production's python_version, or publish a wheel to production's index"
    return f"{requirement}: does not build{why}; {advice}"


def _lacking(said: str) -> Iterator[tuple[str, str]]:
    """Return each header, library or program that a build did not find, and its name in the table."""
    for line in said.splitlines():
        if found := _HEADER.search(line):
            directory, slash, _ = found[1].partition("/")
            yield found[1], directory + slash
        elif found := _LIBRARY.search(line):
            yield found[1], f"{found[1]}.pc"
        elif _RUST.search(line):
            yield "cargo", "cargo"
        elif _NOT_FOUND.search(line):
            yield from ((program, program) for program in _PROGRAM.findall(line))


@contextmanager
def _asleep(environment: Path) -> Iterator[None]:
    """Hide files that run when Python starts, because uv starts an environment's Python beside the logins."""
    site = next(environment.glob("lib/python3*/site-packages"), environment)
    hidden = {path: path.with_name(f"{path.name}{_HIDDEN}") for pattern in _STARTING for path in site.glob(pattern)}
    for path, name in hidden.items():
        path.rename(name)
    try:
        yield
    finally:
        for path, name in hidden.items():
            name.rename(path)


def _forget(note: Path) -> None:
    """Remove uv's note with the timestamp of a package's file."""
    record = note.with_name("RECORD")
    lines = record.read_text(encoding="utf-8").splitlines(keepends=True)
    record.write_text("".join(line for line in lines if f"/{note.name}," not in line), encoding="utf-8")
    note.unlink()


def _find(uv: Path, environment: Path, entries: Mapping[str, str], folder: Path) -> list[Source]:
    """Return the entries of a lock for which uv does not find a wheel for an environment."""
    urls = {name: found[1] for name, entry in entries.items() if (found := re.match(r"\S+ @ (\S+)", entry))}
    named, said = folder / "named.txt", folder / "pylock.toml"
    named.write_text("".join(entry for name, entry in entries.items() if name not in urls), encoding="utf-8")
    # Without dependencies, uv neither reads nor runs a source.
    options = ("--quiet", "--no-deps", _ANY_AGE, f"--python={environment}", f"--output-file={said}")
    with _asleep(environment):
        run(uv, f"--directory={STEP}", "pip", "compile", *options, named)
    requirements = {name: f"{name} @ {url}" for name, url in urls.items()}
    for package in said.read_text(encoding="utf-8").split("[[packages]]")[1:]:
        fields = dict(re.findall(r'^(name|version) = "([^"]+)"', package, re.MULTILINE))
        if not re.search(r"^wheels = ", package, re.MULTILINE) and (found := _SOURCE.search(package)):
            urls[fields["name"]] = found[1]
            requirements[fields["name"]] = f"{fields['name']}=={fields['version']}"
    return [
        Source(name, requirements[name], url, set(_HASH.findall(entries[name])))
        for name, url in sorted(urls.items())
        if not url.partition("#")[0].endswith(".whl")
    ]


def _build(source: Source, section: Section, options: str, base: Path, folder: Path, built: Path) -> None:
    version = subprocess.run([base, "-VV"], stdout=subprocess.PIPE, check=True).stdout
    given = (platform.machine(), *sorted(source.hashes), *map(str, section))
    if not section.fixed:
        # Its other requirements come from these indexes.
        given += (options, *(path.read_text(encoding="utf-8") for path in _SETTINGS if path.exists()))
    kept = BUILT / hashlib.sha256(version + Path(__file__).read_bytes() + "\n".join(given).encode()).hexdigest()
    if not kept.is_dir():
        mine = folder / source.name
        mine.mkdir()
        archive = mine / Path(unquote(urlsplit(source.url).path)).name
        _download(source, archive)
        _repack(archive)
        python = _with_requirements(section, options, base, folder)
        wheels = _build_wheel(source, section, options, archive, python, mine)
        unfinished = kept.with_name(f"{kept.name}-{os.urandom(4).hex()}")
        unfinished.mkdir(parents=True)
        for wheel in wheels.rglob("*.whl"):
            # A link could lead to a secret.
            if wheel.is_file() and not wheel.is_symlink():
                shutil.copyfile(wheel, unfinished / wheel.name)
        # Builds of other analyses use the same cache.
        with suppress(OSError):
            unfinished.replace(kept)
    for wheel in kept.glob("*.whl"):
        shutil.copyfile(wheel, built / wheel.name)


def _with_requirements(section: Section, options: str, base: Path, folder: Path) -> Path:
    """Return the Python of an environment with these requirements; the base Python where they are not all known."""
    if not section.fixed:
        return base
    environment = folder / hashlib.sha256(section.requirements.encode()).hexdigest()
    if not environment.exists():
        run(UV, "venv", "--quiet", f"--python={base}", environment)
        if section.requirements:
            requirements = environment / BUILD_REQUIREMENTS
            requirements.write_text(options + section.requirements, encoding="utf-8")
            checked = ("--no-deps", "--require-hashes", "--no-build", _ANY_AGE, f"--requirement={requirements}")
            run(UV, f"--directory={STEP}", "pip", "install", f"--python={environment}", *checked)
    return environment / "bin" / "python"


def _build_wheel(source: Source, section: Section, options: str, archive: Path, python: Path, folder: Path) -> Path:
    """Build a source as a user who cannot read secrets, offline if its build requirements are complete."""
    out, home = folder / "out", folder / "home"
    for made in (out, home):
        made.mkdir()
    kept = {
        name: value for name, value in os.environ.items() if not (section.fixed and name.lower().endswith("_proxy"))
    }
    variables = {**kept, **ENVIRONMENT, "HOME": str(home), "TMPDIR": str(home)}
    if section.fixed:
        command = ["build", "--wheel", "--no-config", "--no-cache", "--no-build-isolation", "--offline"]
        command += [f"--out-dir={out}", str(archive)]
    else:
        print(f"{source.requirement}: not all of its build requirements are locked; run lock", flush=True)
        constraints = folder / BUILD_REQUIREMENTS
        constraints.write_text(section.requirements, encoding="utf-8")
        config, own = folder / "uv.toml", STEP / "uv.toml"
        config.write_text(own.read_text(encoding="utf-8") if own.exists() else "", encoding="utf-8")
        indexes = [word for line in options.splitlines() if "index-url" in line for word in line.split()]
        # Unlike uv build, this applies uv.toml to a package; the wheel stays in its cache.
        command = ["pip", "install", "--no-deps", f"--target={home / 'target'}", f"--cache-dir={out}", *indexes]
        command += [f"--config-file={config}", f"--build-constraints={constraints}"]
        command += [f"{source.name} @ {archive.as_uri()}"]
    _run_as_nobody([str(UV), *command, f"--python={python}"], home, variables, [out, home])
    return out


def _run_as_nobody(command: Sequence[str], folder: Path, variables: Mapping[str, str], owned: Sequence[Path]) -> None:
    """Run a command, print its output and kill its other processes; raise `BuildError` with the output if it fails."""
    # Without root, another user is not possible.
    other = sys.platform != "win32" and os.getuid() == 0
    user: dict[str, Any] = {"user": NOBODY, "group": NOBODY, "extra_groups": [], "umask": 0o022} if other else {}
    for path in owned if other else ():
        shutil.chown(path, NOBODY, NOBODY)
    # A file, because a process in the background would keep a pipe open.
    log = folder.with_name("output.txt")
    with log.open("wb") as output, log.open(encoding="utf-8", errors="replace") as said:
        streams: dict[str, Any] = {"stdout": output, "stderr": subprocess.STDOUT, "start_new_session": True}
        program = subprocess.Popen(command, cwd=folder, env=variables, **user, **streams)
        while program.poll() is None:
            time.sleep(0.1)
            print(said.read(), end="", flush=True)
        if sys.platform != "win32":
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(program.pid, signal.SIGKILL)
        print(said.read(), end="", flush=True)
    # Processes that left the group cannot change the files from here on.
    for path in owned if other else ():
        shutil.chown(path, 0, 0)
    if program.returncode:
        raise BuildError(log.read_text(encoding="utf-8", errors="replace"))


def _repack(archive: Path) -> None:
    """Pack an archive again that uv refuses: one from before POSIX, or with links to paths outside it."""
    if not archive.name.endswith((".tar.gz", ".tgz")):
        return
    with gzip.open(archive) as content:
        posix = content.read(512)[257:262] == b"ustar"
    with tarfile.open(archive) as old:
        members = [member for member in old if member.isreg() or member.isdir() or _stays_inside(member)]
        if posix and len(members) == len(old.getmembers()):
            return
        packed = archive.with_name(f"repacked-{archive.name}")
        with tarfile.open(packed, mode="w:gz", format=tarfile.PAX_FORMAT) as new:
            for member in members:
                new.addfile(member, old.extractfile(member) if member.isreg() else None)
    packed.replace(archive)


def _stays_inside(link: tarfile.TarInfo) -> bool:
    if not (link.islnk() or link.issym()):
        return False
    base = PurePosixPath() if link.islnk() else PurePosixPath(link.name).parent
    target = posixpath.normpath(base / link.linkname)
    return target.startswith(f"{PurePosixPath(link.name).parts[0]}/")


def _download(source: Source, archive: Path) -> None:
    """Download a source with the login for its host, and compare its hash; exit with one line if that fails."""
    request = Request(source.url)  # noqa: S310
    if login := next(_logins(urlsplit(source.url).hostname or ""), None):
        # A redirection to another host does not get it.
        request.add_unredirected_header("Authorization", f"Basic {base64.b64encode(login.encode()).decode()}")
    try:
        with urlopen(request, timeout=_SECONDS) as response, archive.open("wb") as file:  # noqa: S310
            shutil.copyfileobj(response, file)
    except (URLError, OSError) as error:
        sys.exit(f"{source.url}: cannot be downloaded ({error}); check the network, and the login in .secrets/netrc")
    if hashlib.sha256(archive.read_bytes()).hexdigest() not in source.hashes:
        sys.exit(f"{source.url}: its hash is not in the lock; check whether the lock or the index has changed")


def _logins(host: str) -> Iterator[str]:
    """Return name and password for a host, as uv finds them."""
    with suppress(OSError, netrc.NetrcParseError):
        if found := netrc.netrc(Path.home() / ".netrc").hosts.get(host):
            yield f"{found[0]}:{found[2]}"
    texts = [path.read_text(encoding="utf-8") for path in _SETTINGS if path.exists()]
    for url in map(urlsplit, re.findall(r"https?://[^\s\"']+", " ".join([*texts, *os.environ.values()]))):
        if url.hostname == host and url.username:
            yield f"{unquote(url.username)}:{unquote(url.password or '')}"
