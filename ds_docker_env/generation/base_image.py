"""The digests of a project's images: the base image and the images of services."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable
from pathlib import Path
from threading import Thread
from typing import NamedTuple

from ds_docker_env.common.certificates import ADVICE, UNTRUSTED
from ds_docker_env.common.errors import AnswerError
from ds_docker_env.common.redaction import excerpt, printable
from ds_docker_env.common.target import MACHINES

# A distant registry needs about one.
_SECONDS = 3
_DIGEST = r"sha256:[0-9a-f]{64}"
# https://pkg.go.dev/github.com/distribution/reference, with a tag.
_NAME = re.compile(rf"[a-z0-9][\w.:/-]*:\w[\w.-]{{0,127}}(?:@{_DIGEST})?", re.ASCII | re.IGNORECASE)
# Patterns of Docker's messages, and the cause; the first match counts.
_CAUSES = {
    UNTRUSTED: f"certificate of the registry not trusted; {ADVICE}",
    r"no such host|dial tcp|proxyconnect|proxy auth|timeout|tls: |x509|\beof\b": "registry unreachable",
    r"too ?many ?requests|rate limit": "rate limit of the registry reached",
    r"unauthori[sz]ed|denied|forbidden|authentication|credentials": "registry requires a login; run: docker login",
    r"not found|manifest unknown": "not found in the registry",
    r"\b50\d\b": "registry error",
}
_NO_BUILDX = re.compile(r"(?i)not a docker command|un(known|recognized) (command|flag)")


class Base(NamedTuple):
    """The reference of an image, the reason if it lacks a digest, and the processors that it lacks."""

    reference: str
    why: str = ""
    lacks: str = ""

    @property
    def summary(self) -> list[str]:
        """The lines of the summary about the base image."""
        asked = " ".join(command(self.reference))
        lines = [f"Base image: not pinned to a digest ({self.why}); to check, run: {asked}"] if self.why else []
        return lines + ([f"Base image: not available for {self.lacks}; to check, run: {asked}"] if self.lacks else [])


def summary_of_services(images: Iterable[Base]) -> list[str]:
    """Return a line for each reason why images of services lack a digest."""
    names: dict[str, list[str]] = {}
    for image in images:
        if image.why:
            names.setdefault(image.why, []).append(image.reference)
    return [f"Services:   not pinned to digests ({why}): {', '.join(each)}" for why, each in names.items()]


def require_name(name: str) -> None:
    """Raise `AnswerError` if this is not the name of an image with a tag."""
    if not _NAME.fullmatch(name):
        raise AnswerError(
            f"_base_image: {excerpt(name, 80)!r} lacks a tag or is not an image; write it like "
            "registry.example.com:5000/team/python:3.13-trixie"
        )


# By the image's name. Not futures, as their import takes longer than all else here.
_SEARCHES: dict[str, Thread] = {}
_FOUND: dict[str, Base] = {}


def find(name: str, project: Path | None, *, ask: bool = True) -> None:
    """Look for a digest in the background: in an existing project, then in the registry."""
    named = ""
    for path in (project / "Dockerfile", project / "docker-compose.yml") if project else ():
        with contextlib.suppress(OSError):
            named += path.read_text(encoding="utf-8", errors="replace")

    def search() -> None:
        _FOUND[name] = by_digest(name, named, ask=ask)

    _SEARCHES[name] = Thread(target=search)
    _SEARCHES[name].start()


def found(name: str) -> Base:
    """Wait for the result of `find` and return it."""
    if name not in _SEARCHES:
        return by_digest(name)
    _SEARCHES[name].join()
    return _FOUND.get(name, Base(name, "lookup failed"))


def by_digest(name: str, named: str = "", *, ask: bool = True) -> Base:
    """Take the digest from the name, from the project's files, or else from the registry.

    Docker asks the registry, as it has the logins. Without an answer the tag remains. Local images do not count,
    because other machines may lack them.
    """
    import subprocess

    from ds_docker_env.common.sources.command import run

    if "@" in name:
        return Base(name)
    if known := re.search(rf"^(?:FROM| +image:) ({re.escape(name)}@{_DIGEST})(?: AS base)?$", named, re.MULTILINE):
        return Base(known[1])
    if not ask:
        return Base(name, "registry not asked")
    try:
        done = run(command(name), seconds=_SECONDS, environment=os.environ)
    except subprocess.TimeoutExpired:
        return Base(name, f"registry did not answer within {_SECONDS} s")
    except FileNotFoundError:
        return Base(name, "Docker is not installed")
    except OSError as error:
        return Base(name, f"docker cannot be run: {error.strerror}")
    # The first digest is that of all platforms together. The type excludes the page of a captive portal.
    said = done.stdout.decode(errors="replace")
    found = re.search(rf"^MediaType: +application/vnd\.\S+\nDigest: +({_DIGEST})$", said, re.MULTILINE)
    if done.returncode or not found:
        return Base(name, _cause(done.stderr.decode(errors="replace").strip()))
    platforms = re.findall(r"^ +Platform: +(\S+)$", said, re.MULTILINE)
    lacking = [one for one in MACHINES.values() if not any(platform.startswith(one) for platform in platforms)]
    return Base(f"{name}@{found[1]}", lacks=", ".join(lacking) if platforms else "more than one processor")


def command(name: str) -> list[str]:
    """Return the command that asks for the digest, the one with the fewest requests. It does not need an engine.

    Older versions ignore --format, and newer ones fetch much more with it.
    """
    return ["docker", "buildx", "imagetools", "inspect", name]


def _cause(said: str) -> str:
    if _NO_BUILDX.search(said):
        return "docker buildx is not installed"
    for pattern, cause in _CAUSES.items():
        if re.search(pattern, said, re.IGNORECASE):
            return cause
    return f"docker: {printable(excerpt(said.splitlines()[-1]))}" if said else "docker failed without a message"
