"""The Linux and the Python for which versions are locked."""

from __future__ import annotations

import platform
import re
from collections.abc import Sequence
from typing import NamedTuple

# Markers such as `python_full_version < "3.11.3"` need a patch release, and uv would assume .0. Every official image
# carries these or newer ones.
_FULL_PYTHON = {
    "3.8": "3.8.20",
    "3.9": "3.9.25",
    "3.10": "3.10.19",
    "3.11": "3.11.14",
    "3.12": "3.12.12",
    "3.13": "3.13.9",
    "3.14": "3.14.0",
}
PYTHON_VERSIONS = tuple(_FULL_PYTHON)

# The full official images, https://hub.docker.com/_/python: Python 3.8 ended before trixie began.
DEBIAN_RELEASES = {
    "3.8": ("bookworm",),
    "3.9": ("trixie", "bookworm"),
    "3.10": ("trixie", "bookworm"),
    "3.11": ("trixie", "bookworm"),
    "3.12": ("trixie", "bookworm"),
    "3.13": ("trixie", "bookworm"),
    "3.14": ("trixie", "bookworm"),
}

# The newest glibc that wheels may need on a Debian: https://peps.python.org/pep-0600/. trixie has 2.41, but
# manylinux_2_40 is the newest tag that uv knows.
_MANYLINUX = {"bookworm": 36, "trixie": 40}
_PLATFORM = re.compile(r"(?<=-manylinux_2_)\d+")

# The processors for which versions are locked, in markers, and the names that Docker has for them.
AMD64, ARM64 = "x86_64", "aarch64"
MACHINES = {AMD64: "linux/amd64", ARM64: "linux/arm64"}
LOCK_AGAIN = "docker compose run --rm jupyter lock"
EMULATED = "DOCKER_DEFAULT_PLATFORM=linux/amd64"
_NOTE = re.compile(r"^# for (linux/\w+)(?: and (linux/\w+)| only)", re.MULTILINE)
_REASON = re.compile(r"^# for linux/\w+ only: (.*)$", re.MULTILINE)


def this_machine() -> str:
    """Return the processor of this container or host, named as Linux does."""
    machine = platform.machine()
    return {"AMD64": AMD64, "arm64": ARM64}.get(machine, machine)


def note(reason: str = "", again: str = LOCK_AGAIN) -> str:
    """Return the line in a lock's header for both processors, or for amd64 only if there is a ``reason``."""
    names = " and ".join(MACHINES.values())
    return f"# for {MACHINES[AMD64]} only: {reason}" if reason else f"# for {names}; to lock again, run: {again}"


def machines(lock: str) -> Sequence[str]:
    """Return the processors of a lock; locks without a note come from older templates, which supported amd64 only."""
    found = _NOTE.search(lock)
    names = found.groups() if found else (MACHINES[AMD64],)
    return [machine for machine, name in MACHINES.items() if name in names]


def why_amd64_only(lock: str) -> str:
    """Return why a lock is for amd64 only, as its note says, or a blank."""
    found = _REASON.search(lock)
    return found[1] if found else ""


def made_for(lock: str, debian: str) -> str:
    """Return a lock, or its command, for a Debian; it does not change if it does not name a glibc."""
    header, *rest = re.split(r"^(?=[^#])", lock, maxsplit=1, flags=re.MULTILINE)
    return _PLATFORM.sub(str(Target("", debian=debian).manylinux), header) + "".join(rest)


class Target(NamedTuple):
    """A Python version such as ``3.11``, a processor of `MACHINES`, and a release of Debian."""

    python: str
    machine: str = AMD64
    debian: str = "bookworm"

    def on(self, machine: str) -> Target:
        """Return this Python on another processor."""
        return self._replace(machine=machine)

    @property
    def platform(self) -> str:
        """The platform in uv's terms, by the glibc of this Debian."""
        return f"{self.machine}-manylinux_2_{self.manylinux}"

    @property
    def manylinux(self) -> int:
        """The minor version of the newest glibc that wheels may need; unknown Debians count as the older one."""
        return _MANYLINUX.get(self.debian, _MANYLINUX["bookworm"])

    @property
    def docker(self) -> str:
        """Docker's name for Linux on this processor."""
        return MACHINES.get(self.machine, f"linux/{self.machine}")

    @property
    def full_python(self) -> str:
        return _FULL_PYTHON[self.python]

    @property
    def has_setuptools(self) -> bool:
        """Whether the official image has setuptools; since Python 3.12 it does not, and distutils was removed."""
        return int(self.python.partition(".")[2]) < 12

    def marker_environment(self) -> dict[str, str]:
        """Return the values of environment markers, https://peps.python.org/pep-0508/#environment-markers."""
        return {
            "implementation_name": "cpython",
            "implementation_version": self.full_python,
            "os_name": "posix",
            "platform_machine": self.machine,
            "platform_python_implementation": "CPython",
            "platform_release": "",
            "platform_system": "Linux",
            "platform_version": "",
            "python_full_version": self.full_python,
            "python_version": self.python,
            "sys_platform": "linux",
            "extra": "",
        }
