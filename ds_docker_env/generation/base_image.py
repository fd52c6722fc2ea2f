"""The image that a project's image is built on, by the digest that its registry has for it."""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path
from threading import Thread
from typing import NamedTuple

from ds_docker_env.common.errors import AnswerError
from ds_docker_env.common.redaction import excerpt, printable

# A registry far away needs about one.
_SECONDS = 3
_DIGEST = r"sha256:[0-9a-f]{64}"
# https://pkg.go.dev/github.com/distribution/reference, with a tag.
_NAME = re.compile(rf"[a-z0-9][\w.:/-]*:\w[\w.-]{{0,127}}(?:@{_DIGEST})?", re.ASCII | re.IGNORECASE)
# What is said, and the cause in plain words; the first one counts.
_CAUSES = {
    r"no such host|dial tcp|proxyconnect|proxy auth|timeout|tls: |x509|\beof\b": "cannot be reached",
    r"too ?many ?requests|rate limit": "was asked too often today",
    r"unauthori[sz]ed|denied|forbidden|authentication|credentials": "asks for a login (docker login)",
    r"not found|manifest unknown": "does not have it",
    r"\b50\d\b": "is out of order",
}
_NO_BUILDX = re.compile(r"(?i)not a docker command|un(known|recognized) (command|flag)")


class Base(NamedTuple):
    """What FROM says, and why there is no digest in it."""

    reference: str
    why: str = ""

    @property
    def summary(self) -> list[str]:
        """A line for the person who generates, if there is something to know."""
        asked = " ".join(command(self.reference))
        return [f"Base image: the tag alone, as {self.why}; to see its digest: {asked}"] if self.why else []


def require_name(name: str) -> None:
    """Raise `AnswerError` if this does not name an image by a tag."""
    if not _NAME.fullmatch(name):
        raise AnswerError(
            f"_base_image: {excerpt(name, 80)!r} names no image; write it with its tag, as in "
            "registry.example.com:5000/team/python:3.13-trixie"
        )


class Finding(Thread):
    """Looking for the digest of a base image. Not a future, whose import takes longer than all else here."""

    def __init__(self, name: str, dockerfile: str, *, ask: bool) -> None:
        super().__init__()
        self._asked = name, dockerfile, ask
        self.base = Base(name, "looking for its digest failed")

    def run(self) -> None:
        name, dockerfile, ask = self._asked
        self.base = by_digest(name, dockerfile, ask=ask)


# By the image's name.
_FINDING: dict[str, Finding] = {}


def find(name: str, project: Path | None, *, ask: bool = True) -> None:
    """Begin to look for a digest, beside all else: in a project that there may be already, then in the registry."""
    dockerfile = ""
    if project:
        with contextlib.suppress(OSError):
            dockerfile = (project / "Dockerfile").read_text(encoding="utf-8", errors="replace")
    _FINDING[name] = Finding(name, dockerfile, ask=ask)
    _FINDING[name].start()


def found(name: str) -> Base:
    """Return what `find` has found, when it has."""
    if name not in _FINDING:
        return by_digest(name)
    _FINDING[name].join()
    return _FINDING[name].base


def by_digest(name: str, dockerfile: str = "", *, ask: bool = True) -> Base:
    """Take the digest that a name has already, by itself or in the project's Dockerfile, else its registry.

    Through Docker, which has the logins; without an answer it is the tag alone. What this machine has under the name
    does not count: nobody else may have it, and Docker shows no difference.
    """
    import subprocess

    from ds_docker_env.common.sources.command import run

    if "@" in name:
        return Base(name)
    if known := re.search(rf"^FROM ({re.escape(name)}@{_DIGEST}) AS base$", dockerfile, re.MULTILINE):
        return Base(known[1])
    if not ask:
        return Base(name, "no registry was asked")
    try:
        done = run(command(name), seconds=_SECONDS, environment=os.environ)
    except subprocess.TimeoutExpired:
        return Base(name, f"its registry did not answer within {_SECONDS} s")
    except FileNotFoundError:
        return Base(name, "Docker is not here")
    except OSError as error:
        return Base(name, f"docker cannot be run ({error.strerror})")
    # The first one, of all platforms together. A portal that answers with a page of its own gets no such type.
    said = done.stdout.decode(errors="replace")
    found = re.search(rf"^MediaType: +application/vnd\.\S+\nDigest: +({_DIGEST})$", said, re.MULTILINE)
    if done.returncode or not found:
        return Base(name, _cause(done.stderr.decode(errors="replace").strip()))
    return Base(f"{name}@{found[1]}")


def command(name: str) -> list[str]:
    """Return what asks for the digest: of all of Docker's commands this needs the fewest requests, and no engine.

    Without --format, which older ones ignore and which makes newer ones fetch much more.
    """
    return ["docker", "buildx", "imagetools", "inspect", name]


def _cause(said: str) -> str:
    if _NO_BUILDX.search(said):
        return "docker has no buildx"
    for pattern, cause in _CAUSES.items():
        if re.search(pattern, said, re.IGNORECASE):
            return f"its registry {cause}"
    return f"docker says: {printable(excerpt(said.splitlines()[-1]))}" if said else "docker does not say it"
