"""The packages that an analysis needs in addition to production's."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import NamedTuple

_HEADING = "# Everything that production pins has production's version."
# The newest in any official image is 79.0.1. From 80.9 on importing pkg_resources warns, and 82 removed it.
_SETUPTOOLS = """\
# Production's image has it and pip freeze is silent about it; packages of its time import its pkg_resources.
setuptools<80
"""
# The oldest kernel that works with JupyterLab, and its undeclared requirements: docs/decisions/0076
_OLD_KERNEL = """\
# The newest kernel that can live beside production, and what old ones need and do not say.
ipykernel>={oldest}
ipython>=7.4,<9.1
ipython-genutils>=0.2
"""
_PACKAGE = re.compile(r"(?P<name>\w[\w.-]*)(?:\[[^\]]*\])?")
_LEFT_OUT = re.compile(r"# (?P<requirement>\S.*?): left out, ")


class Analysis(NamedTuple):
    """The text of a requirements.in and a lock with its packages.

    ``before`` is an earlier lock, whose versions are kept if possible. ``clients`` are the normalised names of packages
    that a service needs, each with the service.
    """

    text: str
    lock: str
    before: str = ""
    clients: Mapping[str, str] = MappingProxyType({})

    @property
    def requirements(self) -> list[str]:
        """Return the requirements in the file's order, including those that an earlier lock left out."""
        return [requirement for line in self._lines() if (requirement := without_comment(line))]

    def with_setuptools(self) -> Analysis:
        """Return the packages and setuptools."""
        if any(re.match(r"setuptools\b", line) for line in self.requirements):
            return self
        return self._replace(text=self.text + _SETUPTOOLS)

    def with_old_kernel(self, python: str) -> Analysis:
        """Return the packages and a kernel that works with JupyterLab on a Python."""
        return self._replace(text="".join(f"{line}\n" for line in self._lines()) + _old_kernel(python))

    def as_shipped(self) -> set[str]:
        """Return the lines as they were before production changed any."""
        return {line for line in self._lines() if line.strip()} - set(_SETUPTOOLS.splitlines())

    def without_floors(self, pinned: Collection[str]) -> Analysis:
        """Return the packages; clients that production pins lose their lower bounds, as they work in production."""
        without = self.clients.keys() & pinned
        lines = [without_floor(line) if package_name(line) in without else line for line in self.text.splitlines()]
        return self._replace(text="".join(f"{line}\n" for line in lines))

    def render(self, left_out: Mapping[str, str]) -> str:
        """Return requirements.in for production; packages that are left out become comments with the reason."""
        first, *packages = [
            f"# {line}: left out, {left_out[wanted]}" if (wanted := without_comment(line)) in left_out else line
            for line in self._lines()
        ]
        return "".join(f"{line}\n" for line in [first, _HEADING, *packages])

    def _lines(self) -> list[str]:
        ours = {_HEADING, *_old_kernel("3.11").splitlines(), *_old_kernel("3.12").splitlines()}
        lines = [line for line in self.text.splitlines() if line not in ours]
        return [left_out(line) or line for line in lines]


def old_kernel(python: str) -> list[str]:
    """Return the requirements of the oldest kernel that works with JupyterLab on a Python."""
    return [line for line in _old_kernel(python).splitlines() if package_name(line)]


def _old_kernel(python: str) -> str:
    # Older kernels import imp, which Python 3.12 removed.
    return _OLD_KERNEL.format(oldest="4.7" if int(python.partition(".")[2]) < 12 else "6.11")


def package_name(requirement: str) -> str:
    """Return the normalised name of the package in a line of requirements.in, blank for a comment."""
    found = _PACKAGE.match(requirement)
    return re.sub(r"[-_.]+", "-", found["name"]).lower() if found else ""


def left_out(line: str) -> str:
    """Return the requirement that a comment in requirements.in marks as left out, or a blank."""
    found = _LEFT_OUT.match(line)
    return found["requirement"] if found else ""


def without_comment(line: str) -> str:
    """Return a line of requirements.in without its comment."""
    return re.sub(r"(^|\s)#.*", "", line).strip()


def without_floor(requirement: str) -> str:
    """Return a line of requirements.in without versions."""
    found = _PACKAGE.match(requirement)
    return found[0] if found else requirement
