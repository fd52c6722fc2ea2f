"""Canaries, strings that are planted as secrets, and the search for them in all traces of a day's work."""

from __future__ import annotations

import base64
import contextlib
import gzip
import io
import json
import os
import re
import secrets
import subprocess
import tarfile
import tempfile
import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING

from docker.project import Project, sh

if TYPE_CHECKING:
    from docker.storage import Storage


@dataclass
class Found:
    """The number of bytes read at a place, and the kinds of canaries in them."""

    read: int = 0
    kinds: dict[str, set[str]] = field(default_factory=dict)


Finds = dict[str, Found]
# Letters and digits, which quoting does not change. A search looks for this rare string first.
MARK = f"Canary{secrets.token_hex(6)}"
# The kinds that were planted so far.
KINDS: set[str] = set()
Thing = tuple[str, bytes]
Places = dict[str, Callable[[], Iterable[Thing]]]

PROCESSES = 'for process in /proc/[0-9]*; do cat "$process/environ" "$process/cmdline"; done 2>/dev/null'
# Mounted passwords, a server's runtime files, and the keys of one AWS profile.
MOUNTED = ("--exclude=/run/secrets", "--exclude=/dev/shm/jupyter", "--exclude=/var/tmp/aws_credentials")
WRITTEN = "/dev/shm /etc /home /opt/analysis/etc /root /run /tmp /var"
# The exit code is 1 if builds of other tests change the cache meanwhile.
CACHED = """\
FROM {image}
USER root
RUN {cache} mkdir /found && cd /root/.cache && echo {start} && \\
    find . -type f -size -1024k -newermt @{start} -print0 | \\
    {{ tar --create --ignore-failed-read --null --files-from - --file /found/cache.tar || [ $? = 1 ]; }}
FROM scratch
COPY --from=0 /found /
"""


def cache_mount(project: Project) -> str:
    """Return the mount of uv's cache in the builds of a project."""
    mounts: set[str] = set(re.findall(r"--mount=type=cache\S+", project.read("Dockerfile")))
    [mount] = mounts
    return mount


def canary(kind: str) -> str:
    """Return the secret of a kind, which consists of letters."""
    KINDS.add(kind)
    return f"{MARK}0{kind}0"


def _forms(text: str) -> list[bytes]:
    plain = text.encode()
    # In base64 a text has three forms, by its offset, and its ends depend on its neighbours.
    shifted = [base64.b64encode(b"\0" * shift + plain)[-(-shift * 4 // 3) :] for shift in range(3)]
    encoded = [form[:-4] for form in shifted]
    return [plain, text.encode("utf-16-le"), plain.hex().encode(), *encoded]


_MARKS = _forms(MARK)


def found_in(content: bytes) -> set[str]:
    """Return the kinds of canaries in a content, also in UTF-16, hexadecimal, base64, gzip and zlib."""
    if content.startswith((b"\x1f\x8b", b"\x78\x01", b"\x78\x9c", b"\x78\xda")):
        with contextlib.suppress(OSError, EOFError, zlib.error):
            content += gzip.decompress(content) if content[0] == 0x1F else zlib.decompress(content)
    if not any(form in content for form in _MARKS):
        return set()
    kinds = {kind for kind in sorted(KINDS) if any(form in content for form in _forms(canary(kind)))}
    return kinds or {"a part of one"}


@dataclass(frozen=True)
class Traces:
    """The traces of a day's work; ``planted`` are the files that have secrets on purpose."""

    project: Project
    home: Path
    temporary: Path
    storage: Storage
    base: str
    planted: set[Path] = field(default_factory=set)
    said: dict[str, str] = field(default_factory=dict)
    start: int = field(default_factory=lambda: int(time.time()))

    def say(self, what: str, *said: str) -> None:
        self.said[what] = self.said.get(what, "") + "\n".join(said)

    def living(self) -> Places:
        """The places that exist while the containers run."""
        return {
            # The engine keeps only the last 256.
            "events of the engine": self._events,
            "docker inspect of containers": self._inspected,
            "environment and command of processes": self._processes,
            "files in containers": self._written,
            "logs of containers": lambda: [("logs", _out("docker", "compose", "logs", project=self.project))],
            "docker compose config": lambda: [("config", _out("docker", "compose", "config", project=self.project))],
        }

    def lasting(self) -> Places:
        """The places that remain without containers."""
        return {
            "what commands said": lambda: [(what, said.encode()) for what, said in self.said.items()],
            "build context": self._context,
            "layers and config of the image": self._image,
            "docker history and inspect of the image": self._history,
            "build cache": self._cache,
            "volumes": self._volumes,
            "git's objects": self._git,
            "DVC's remote": self._remote,
            "project folder, with DVC's cache": lambda: self._files(self.project.folder),
            "home folder, with replay file": lambda: self._files(self.home),
            "temporary files": lambda: self._files(self.temporary),
        }

    def search(self, places: Places) -> Finds:
        return {place: _search(things()) for place, things in places.items()}

    def _containers(self, *options: str) -> list[str]:
        return self.project.compose("ps", *options, "--format={{.Name}}").stdout.split()

    def _inspected(self) -> list[Thing]:
        return [(container, _out("docker", "inspect", container)) for container in self._containers("--all")]

    def _processes(self) -> Iterator[Thing]:
        for container in self._containers():
            # The entrypoint of MySQL's image exports the password (decision 49).
            read = PROCESSES.replace('"$process/environ"', "") if container.endswith("-mysql-1") else PROCESSES
            yield container, _out(*_root(container), "sh", "-c", read)

    def _written(self) -> Iterator[Thing]:
        wanted = ("tar", "--create", "--file=-", *MOUNTED, "--ignore-failed-read", *WRITTEN.split())
        for container in self._containers():
            yield from _members(io.BytesIO(_out(*_root(container), *wanted, check=False)))

    def _context(self) -> Iterator[Thing]:
        """Copy the build context that .dockerignore allows."""
        build = ("docker", "build", "--file=-", "--output=-", ".")
        yield from _members(io.BytesIO(_out(*build, project=self.project, given=b"FROM scratch\nCOPY . /\n")))

    def _image(self) -> Iterator[Thing]:
        """Read an image with its deleted files, without the layers of its base."""
        below = len(json.loads(_out("docker", "inspect", self.base))[0]["RootFS"]["Layers"])
        with tempfile.TemporaryDirectory() as folder:
            saved = Path(folder, "image.tar")
            sh("docker", "save", "--output", str(saved), self.project.image)
            with tarfile.open(saved) as archive:
                layers = json.load(_opened(archive, "manifest.json"))[0]["Layers"]
                for member in archive:
                    if not member.isfile() or member.name in layers[:below]:
                        continue
                    if member.name in layers:
                        yield from _members(_opened(archive, member))
                    else:
                        yield member.name, _opened(archive, member).read()

    def _history(self) -> list[Thing]:
        image = self.project.image
        asked = (("docker", "history", "--no-trunc", image), ("docker", "image", "inspect", image))
        return [(" ".join(command), _out(*command)) for command in asked]

    def _cache(self) -> Iterator[Thing]:
        """Read the notes of the steps, and files that are new in uv's cache mount."""
        yield "docker buildx du", _out("docker", "buildx", "du", "--verbose")
        script = CACHED.format(image=self.base, cache=cache_mount(self.project), start=self.start).encode()
        with tempfile.TemporaryDirectory() as empty:
            exported = io.BytesIO(_out("docker", "build", "--file=-", "--output=-", empty, given=script))
        with tarfile.open(fileobj=exported) as archive:
            yield from _members(_opened(archive, "cache.tar"))

    def _events(self) -> list[Thing]:
        until = str(int(time.time()) + 1)
        return [("events", _out("docker", "events", "--since", str(self.start), "--until", until))]

    def _volumes(self) -> Iterator[Thing]:
        named = f"label=com.docker.compose.project={self.project.name}"
        for volume in _out("docker", "volume", "ls", "--quiet", "--filter", named).decode().split():
            read = ("docker", "run", "--rm", "--user=root", "--entrypoint=tar", f"--volume={volume}:/volume:ro")
            yield from _members(io.BytesIO(_out(*read, self.base, "--create", "--file=-", "/volume")))

    def _git(self) -> list[Thing]:
        every = ("git", "cat-file", "--batch", "--batch-all-objects", "--buffer")
        return [("objects", _out(*every, project=self.project))]

    def _remote(self) -> Iterator[Thing]:
        for key in self.storage.objects():
            yield key, self.storage.content(key)

    def _files(self, folder: Path) -> Iterator[Thing]:
        for path in folder.rglob("*"):
            if path.is_file() and path not in self.planted:
                yield str(path.relative_to(folder)), path.read_bytes()


def _search(things: Iterable[Thing]) -> Found:
    found = Found()
    for where, content in things:
        found.read += len(content)
        if kinds := found_in(where.encode(errors="replace")) | found_in(content):
            found.kinds.setdefault(where, set()).update(kinds)
    return found


def _members(stream: IO[bytes]) -> Iterator[Thing]:
    with tarfile.open(fileobj=stream) as archive:
        for member in archive:
            yield member.name, _opened(archive, member).read() if member.isfile() else member.linkname.encode()


def _opened(archive: tarfile.TarFile, member: str | tarfile.TarInfo) -> IO[bytes]:
    file = archive.extractfile(member)
    assert file is not None, member
    return file


def _root(container: str) -> tuple[str, ...]:
    """Read a container with all rights, unlike its processes."""
    return ("docker", "exec", "--privileged", "--user=root", container)


def _out(*command: str, project: Project | None = None, given: bytes = b"", check: bool = True) -> bytes:
    done = subprocess.run(
        command,
        cwd=project.folder if project else None,
        env={**os.environ, **(project.environment if project else {})},
        input=given,
        capture_output=True,
        check=False,
        timeout=300,
    )
    assert not (check and done.returncode), (command, done.stderr[-2000:])
    return done.stdout
