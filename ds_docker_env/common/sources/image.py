"""The packages in a production image."""

from __future__ import annotations

import contextlib
import json
import math
import os
import re
import secrets
import shutil
import subprocess
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import quote

from ds_docker_env.common import certificates
from ds_docker_env.common.errors import SourceError
from ds_docker_env.common.redaction import without_credentials
from ds_docker_env.common.sources.command import run
from ds_docker_env.common.sources.interface import Remote
from ds_docker_env.common.target import AMD64, DEBIAN_RELEASES, MACHINES, this_machine

# Seconds for each layer that is pulled, and for any other command.
PULL, LOOK = 300, 60
# Memory and processes of the Python that lists the packages; emulation needs more threads.
_MEMORY, _PROCESSES = "1g", 64

# Found on the image's PATH, so that an activated virtual environment wins.
_PYTHONS = ("python3", "python", "/usr/local/bin/python3", "/usr/local/bin/python", "/usr/bin/python3")
_MANAGERS = {"uv", "poetry", "pdm", "hatch", "pipenv", "rye"}
_INSTALLERS = {"pip", "setuptools", "wheel"}

_REFERENCE = re.compile(r"[A-Za-z0-9][\w.:/@\[\]-]*")
_NAME = re.compile(r"[A-Za-z0-9](?:[\w.-]*[A-Za-z0-9])?")
_VERSION = re.compile(r"[\w.!+-]+")
_ARCHIVE = re.compile(r"\.(whl|zip|egg|tar\.\w+|tgz)$", re.IGNORECASE)
_MARK = "ds-docker-env: "
# Errors of Docker's two image stores for other platforms: at pull, and at start.
_NO_MATCH = r"(?i)no matching manifest|no match for platform|does not match the specified platform"
_NOT_HERE = rb"(?i)no such image|does not match the specified platform"
_ABSENT = r"(?i)denied|unauthori[sz]ed|not found|unknown(?! authority)|no basic auth|does not exist"

# Prints the packages of production's image as one line of JSON. Runs on Python 3.6 or newer, so without
# importlib.metadata. Its arguments are the image's working directory and the words of its command.
SCRIPT = r'''
import json, os, platform, shlex, site, sys

folder, command = sys.argv[1], sys.argv[2:]


def search_path():
    """What production's Python would search; this one was told to ignore the environment."""
    before = [os.path.join(folder, path) for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    known = list(sys.path)
    shared = "include-system-site-packages = true" in text(sys.prefix, "pyvenv.cfg").lower()
    alone = sys.prefix != sys.base_prefix and not shared
    if not (alone or os.environ.get("PYTHONNOUSERSITE")) and os.path.isdir(site.getusersitepackages()):
        site.addsitedir(site.getusersitepackages())
    return before + sys.path[len(known):] + known


def text(*names):
    try:
        with open(os.path.join(*names), encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def distributions():
    first = {}
    for place in search_path():
        try:
            entries = sorted(os.listdir(place))
        except OSError:
            continue
        for entry in entries:
            found = distribution(place, entry)
            if found and first.setdefault(found["name"].lower().replace("-", "_").replace(".", "_"), place) == place:
                yield found


def distribution(place, entry):
    path = os.path.join(place, entry)
    if entry.startswith("~"):
        return None
    if entry.endswith(".dist-info"):
        metadata = text(path, "METADATA")
    elif entry.endswith(".egg-info") or entry == "EGG-INFO":
        metadata = text(path, "PKG-INFO") or text(path)
    else:
        return None
    fields = dict(line.split(": ", 1) for line in metadata.split("\n\n")[0].splitlines() if ": " in line)
    parts = os.path.splitext(entry)[0].split("-")
    return {
        "name": fields.get("Name", parts[0]).strip(),
        "version": fields.get("Version", parts[1] if len(parts) > 1 else "").strip(),
        "direct_url": json.loads(text(path, "direct_url.json") or "null"),
        "installer": text(path, "INSTALLER").strip(),
        "develop": place if is_source(place, entry) else "",
    }


def is_source(place, entry):
    """Tell whether setup.py develop left this beside the code."""
    if os.path.basename(place) in ("site-packages", "dist-packages"):
        return False
    files = ("setup.py", "setup.cfg", "pyproject.toml")
    return entry.endswith(".egg-info") and any(os.path.isfile(os.path.join(place, name)) for name in files)


def environment_of_command():
    """The virtual environment that production's command names, if it is not this one."""
    for word in command:
        root = os.path.dirname(os.path.dirname(os.path.join(folder, word)))
        if text(root, "pyvenv.cfg") and os.path.realpath(root) != os.path.realpath(sys.prefix):
            for name in ("python3", "python"):
                if os.access(os.path.join(root, "bin", name), os.X_OK):
                    return os.path.join(root, "bin", name)
    return ""


system = text("/etc/os-release") or text("/usr/lib/os-release")
answer = {
    "distributions": list(distributions()),
    "python": platform.python_version(),
    "implementation": platform.python_implementation(),
    "system": dict(word.split("=", 1) for word in shlex.split(system) if "=" in word),
    "elsewhere": environment_of_command(),
}
print("\n" + "MARK" + json.dumps(answer), flush=True)
'''.replace("MARK", _MARK)


@dataclass(frozen=True)
class Image(Remote):
    """The packages of the image ``image:REFERENCE``, read without starting production's command."""

    @property
    def provenance(self) -> str:
        """The image, as ``digest sha256:… of linux/amd64``, or ``id …`` if it was never in a registry."""
        found = _installed(self)
        return f"{found.identity} of {found.platform}"

    @property
    def place(self) -> tuple[str, ...]:
        return ("image", _reference(self))

    @property
    def python(self) -> str:
        """Such as ``3.11``."""
        return ".".join(_installed(self).full_python.split(".")[:2])

    @property
    def debian(self) -> str:
        """Such as ``bookworm``; blank if it is not Debian."""
        return _installed(self).debian

    def read(self) -> bytes:
        """Return the packages as ``pip freeze`` does, but the version of a wheel from a file."""
        lines = _installed(self).lines
        if {line.partition("==")[0] for line in lines} <= _INSTALLERS:
            raise SourceError(
                f"{self.name}: nothing is installed in its Python; use the image that production runs, "
                "with its virtual environment on PATH"
            )
        return "".join(f"{line}\n" for line in lines).encode()

    def beside(self, reference: str) -> str:
        raise SourceError(f"{self.name}: an image cannot include {reference}; use a requirements file instead")


def disagreements(image: Image, python: str, debian: str) -> list[str]:
    """Return the problem if the image has another Python or Debian than the analysis."""
    found = _installed(image)
    where = f"production_requirements: {image.name} runs"
    instead = (
        "if that is close enough, use its versions as a file: "
        f"docker run --rm --entrypoint python3 {_reference(image)} -m pip freeze"
    )
    if found.implementation != "CPython":
        return [f"{where} {found.implementation} {found.full_python}, but an analysis needs CPython; {instead}"]
    if not found.debian:
        return [f"{where} on {found.system}, but an analysis needs Debian; {instead}"]
    releases = DEBIAN_RELEASES.get(image.python, ())
    if found.debian not in releases:
        offered = f"{image.python} on {' or '.join(releases)}" if releases else ", ".join(DEBIAN_RELEASES)
        return [f"{where} Python {image.python} on {found.debian}, but an analysis needs Python {offered}; {instead}"]
    wrong = [f"python_version {image.python}"] if python != image.python else []
    wrong += [f"debian_release {found.debian}"] if debian != found.debian else []
    return [f"{where} Python {image.python} on {found.debian}; choose {' and '.join(wrong)}"] if wrong else []


def platform_lines(image: Image) -> list[str]:
    """Return the summary's lines about the image's platform."""
    read, asked, here = _installed(image).platform, _asked_platform(), MACHINES.get(this_machine(), this_machine())
    why = f" (not available for {asked})" if read != asked else ""
    lines = [f"Image:      read for {read}{why}"]
    if read != here:
        lines.append(f"            this machine is {here}; to run the analysis on production's processor, add to .env:")
        lines.append(f"            DOCKER_DEFAULT_PLATFORM={read}")
    return lines


@dataclass(frozen=True)
class _Installed:
    """``platform`` is such as ``linux/amd64``, ``debian`` a code name or blank, ``lines`` are requirements."""

    identity: str
    platform: str
    full_python: str
    implementation: str
    debian: str
    system: str
    lines: tuple[str, ...]


@cache
def _installed(image: Image) -> _Installed:
    if not _REFERENCE.fullmatch(_reference(image)):
        raise SourceError(f"{image.name!r}: is not an image's name; write it as image:registry/team/api:1.4.2")
    if shutil.which("docker") is None:
        raise SourceError(
            f"{image.name}: Docker is not installed; install it from https://docs.docker.com/get-docker, "
            "or use a requirements file"
        )
    details, platform, answer = _look_into(image)
    try:
        return _Installed(
            identity=_identity(image, details),
            platform=platform,
            full_python=re.fullmatch(r"\d+\.\d+[\w.+-]*", answer["python"])[0],  # type: ignore[index]
            implementation=_printable(answer["implementation"]),
            debian=_debian(answer["system"]),
            system=_printable(answer["system"].get("PRETTY_NAME", "an unknown system")),
            lines=tuple(sorted({_requirement(found) for found in answer["distributions"]}, key=_by_name)),
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise _garbage(image, f"{type(error).__name__}: {error}") from None


def _reference(image: Image) -> str:
    return image.location.removeprefix("image:")


def _asked_platform() -> str:
    """Return the platform to read: Docker's default platform if it is set, otherwise linux/amd64."""
    return _printable(os.environ.get("DOCKER_DEFAULT_PLATFORM") or MACHINES[AMD64])


def _look_into(image: Image) -> tuple[dict[str, Any], str, dict[str, Any]]:
    """Return Docker's details of the image, its platform and its Python's answer; pull the image if necessary."""
    asked = _asked_platform()
    here = _inspect(image)
    if here:
        with contextlib.suppress(_OtherPlatformError):
            return here, asked, _ask_any_python(image, here, asked)
    details = _pull(image, asked, here)
    try:
        return details, asked, _ask_any_python(image, details, asked)
    except _OtherPlatformError:
        return details, _platform(details), _ask_any_python(image, details, _platform(details))


class _OtherPlatformError(SourceError):
    """The image is here for another platform."""


def _inspect(image: Image) -> dict[str, Any] | None:
    """Return Docker's details of the local image, or None."""
    done = _docker(image, "image", "inspect", _reference(image))
    if done.returncode and not re.search(rb"(?i)no such (image|object)", done.stderr):
        raise _failed(image, done)
    if done.returncode:
        return None
    with contextlib.suppress(IndexError, KeyError, TypeError, ValueError):
        details = json.loads(done.stdout)[0]
        if isinstance(details["Id"], str) and _platform(details):
            return dict(details)
    raise _garbage(image, "docker image inspect omits Id or Architecture")


def _platform(details: dict[str, Any]) -> str:
    return _printable(f"{details['Os']}/{details['Architecture']}")


def _pull(image: Image, asked: str, here: dict[str, Any] | None) -> dict[str, Any]:
    """Pull the image for this platform, else for another one; ``here`` are the details of a local image."""
    pulled = _docker(image, "pull", f"--platform={asked}", _reference(image), seconds=PULL)
    only_others = re.search(_NO_MATCH, pulled.stderr.decode(errors="replace"))
    if here and pulled.returncode and not only_others and not re.search(_ABSENT, _last_line(pulled.stderr)):
        raise SourceError(
            f"{image.name}: the local copy is for {_platform(here)}, and Docker cannot pull it for {asked} "
            f"({_last_line(pulled.stderr)}); run: docker pull --platform {asked} {_reference(image)}, or set "
            f"DOCKER_DEFAULT_PLATFORM={_platform(here)} if production runs there"
        )
    # Docker's classic store keeps an image that it pulled for another platform.
    if only_others and not _inspect(image):
        for other in MACHINES.values():
            if other != asked:
                _docker(image, "pull", f"--platform={other}", _reference(image), seconds=PULL)
    details = _inspect(image)
    if not details:
        raise _failed(image, pulled)
    return details


def _ask_any_python(image: Image, details: dict[str, Any], platform: str) -> dict[str, Any]:
    own = [word for word in _command(details) if re.fullmatch(r"(.*/)?python[\d.]*", word)]
    for python in dict.fromkeys([*own[:1], *_PYTHONS]):
        answer = _ask(image, details, platform, python)
        if answer is not None:
            elsewhere = str(answer.get("elsewhere") or "")
            return (_ask(image, details, platform, elsewhere) if elsewhere else None) or answer
    raise SourceError(
        f"{image.name}: Python is not on its PATH or in /usr/local/bin; use the image that runs production's Python, "
        "or a requirements file"
    )


def _ask(image: Image, details: dict[str, Any], platform: str, python: str) -> dict[str, Any] | None:
    """Run the script with this Python of the image; return None if it does not exist."""
    container = f"ds-docker-env-{secrets.token_hex(6)}"
    locked = ("--network=none", "--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges")
    # Not --cpus, which rootless engines may refuse. Volumes are on disk, so files may not hold a byte.
    limits = (f"--memory={_MEMORY}", f"--memory-swap={_MEMORY}", f"--pids-limit={_PROCESSES}", "--ulimit=fsize=0")
    quiet = ("--no-healthcheck", "--log-driver=none", "--workdir=/", "--pull=never", f"--platform={platform}")
    what = (f"--entrypoint={python}", details["Id"], "-I", "-c", SCRIPT, *_started(details))
    finished = False
    try:
        done = _docker(image, "run", "--rm", f"--name={container}", *locked, *limits, *quiet, *what, longest=LOOK)
        finished = done.returncode >= 0
    finally:
        # The container outlives its client.
        if not finished:
            with contextlib.suppress(SourceError):
                _docker(image, "rm", "--force", "--volumes", container)
    if done.returncode and re.search(rb"(?i)exec format error", done.stderr):
        raise SourceError(
            f"{image.name}: is for {platform}, which this machine cannot run (exec format error); install emulation: "
            f"docker run --privileged --rm tonistiigi/binfmt --install {platform.split('/')[1]}, "
            "or use a requirements file"
        )
    if done.returncode == 137:
        raise SourceError(
            f"{image.name}: its Python was killed because it used more than 1 GB of memory; use a requirements file"
        )
    if done.returncode in (126, 127):
        return None
    line = next((line for line in reversed(done.stdout.splitlines()) if line.startswith(_MARK.encode())), b"")
    with contextlib.suppress(ValueError):
        answer = json.loads(line.removeprefix(_MARK.encode()))
        if isinstance(answer, dict):
            return answer
    if done.returncode == 125 and re.search(_NOT_HERE, done.stderr):
        raise _OtherPlatformError(f"{image.name}: is not available for {platform}")
    if done.returncode == 125:
        raise _failed(image, done)
    raise _garbage(image, _last_line(done.stderr) or _last_line(done.stdout) or f"exit code {done.returncode}")


def _started(details: dict[str, Any]) -> list[str]:
    """Return the working directory, and paths in production's command that may be in a virtual environment."""
    folder = (details.get("Config") or {}).get("WorkingDir") or "/"
    words = _command(details)
    managed = [f"{folder}/.venv/bin/python"] if {word.rpartition("/")[2] for word in words[:3]} & _MANAGERS else []
    return [folder, *(word for word in words if "/" in word), *managed]


def _command(details: dict[str, Any]) -> list[str]:
    """Return the words of production's command, also of a shell command."""
    config = details.get("Config") or {}
    return " ".join([*(config.get("Entrypoint") or []), *(config.get("Cmd") or [])]).split()


def _requirement(found: dict[str, Any]) -> str:
    """Return a line of requirements; conda's builds and wheels from a file become their version."""
    name, version, direct = found["name"], found["version"], found["direct_url"] or {}
    if not _NAME.fullmatch(name) or not _VERSION.fullmatch(version):
        raise ValueError(f"{name!r} {version!r} is not a package")
    if found["develop"]:
        return f"-e file://{quote(found['develop'])}#egg={name}"
    url = without_credentials(direct.get("url", ""))
    if not url or found["installer"] == "conda":
        return f"{name}=={version}"
    if re.search(r"[\s\x00-\x1f\x7f]", url):
        raise ValueError(f"{url!r} is not an address")
    vcs = direct.get("vcs_info")
    if not vcs and url.startswith("file:") and _ARCHIVE.search(url.partition("#")[0]):
        return f"{name}=={version}"
    below = f"subdirectory={direct['subdirectory']}" if direct.get("subdirectory") else ""
    place = f"{vcs['vcs']}+{url}@{vcs['commit_id']}" if vcs else url
    if (direct.get("dir_info") or {}).get("editable"):
        return f"-e {place}#egg={name}" + (f"&{below}" if below else "")
    fragment = "&".join(filter(None, [below, _sha256(direct)]))
    return f"{name} @ {place}" + (f"#{fragment}" if fragment else "")


def _sha256(direct: dict[str, Any]) -> str:
    archive = direct.get("archive_info") or {}
    digest = (archive.get("hashes") or {}).get("sha256") or archive.get("hash", "").removeprefix("sha256=")
    return f"sha256={digest}" if re.fullmatch(r"[0-9a-f]{64}", digest) else ""


def _by_name(line: str) -> tuple[str, str]:
    name = line.partition("#egg=")[2] if line.startswith("-e ") else re.split(r"==| @ ", line)[0]
    return re.sub(r"[-_.]+", "-", name).lower(), line


def _debian(system: dict[str, str]) -> str:
    if system.get("ID") != "debian":
        return ""
    # Distroless lacks a separate code name.
    named = re.search(r"\((\w+)\)", system.get("VERSION", ""))
    return _printable(system.get("VERSION_CODENAME") or (named[1] if named else ""))


def _identity(image: Image, details: dict[str, Any]) -> str:
    digests = [digest.rpartition("@") for digest in details.get("RepoDigests") or []]
    reference = _reference(image)
    mine = [
        digest for name, _, digest in digests if reference == name or reference.startswith((f"{name}:", f"{name}@"))
    ]
    return f"digest {_printable(mine[0])}" if mine else f"id {_printable(details['Id'])}"


def _docker(
    image: Image, *arguments: str, seconds: float = 0, longest: float = math.inf
) -> subprocess.CompletedProcess[bytes]:
    allowed = seconds or LOOK
    try:
        return run(["docker", *arguments], seconds=allowed, environment=os.environ, longest=longest)
    except subprocess.TimeoutExpired:
        what = "did not receive a layer" if arguments[0] == "pull" else "did not answer"
        again = f"run: docker pull {_reference(image)}, then try again"
        advice = "use a requirements file" if arguments[0] == "run" else again
        raise SourceError(f"{image.name}: Docker {what} within {allowed:g} s; {advice}") from None
    except OSError as error:
        raise SourceError(f"{image.name}: docker cannot be run ({error.strerror}); reinstall it") from None


_ADVICE = {
    r"(?i)cannot connect to the docker|is the docker daemon running|failed to connect to the docker": (
        "start Docker, or use a requirements file"
    ),
    r"(?i)permission denied.*(docker|socket)": (
        "allow this user to use Docker: https://docs.docker.com/engine/install/linux-postinstall"
    ),
    certificates.UNTRUSTED: (
        "give Docker your company's certificate: https://docs.docker.com/engine/security/certificates, and restart it"
    ),
    r"parsing specified platform": f"set DOCKER_DEFAULT_PLATFORM to {' or '.join(MACHINES.values())}",
    _NO_MATCH: f"it is not available for {' or '.join(MACHINES.values())}; use a requirements file",
    _ABSENT: "check its name and tag; if it is private, run: docker login",
    r"(?i)lookup|dial|timeout|refused|certificate|tls|eof": "check the registry's name and the network",
}


def _failed(image: Image, done: subprocess.CompletedProcess[bytes]) -> SourceError:
    cause = _last_line(done.stderr) or f"exit code {done.returncode}"
    advice = (advice for pattern, advice in _ADVICE.items() if re.search(pattern, cause))
    return SourceError(
        f"{image.name}: Docker cannot read it ({cause}); "
        f"{next(advice, 'test it with docker pull and docker run, or use a requirements file')}"
    )


def _garbage(image: Image, said: str) -> SourceError:
    cause = without_credentials(_printable(said))[:200]
    return SourceError(
        f"{image.name}: its Python cannot list its packages ({cause}); use Python 3.6 or newer, or a requirements file"
    )


def _last_line(said: bytes) -> str:
    lines = [line.strip() for line in said.decode(errors="replace").splitlines() if line.strip()]
    lines = [line for line in lines if not line.startswith(("Run 'docker", "See 'docker", "Using default tag"))]
    last = without_credentials(_printable(lines[-1])) if lines else ""
    return re.sub(r"^(?:docker: |Error response from daemon: |Error: )+", "", last)[:300].rstrip(".")


def _printable(text: str) -> str:
    return "".join(filter(str.isprintable, text))
