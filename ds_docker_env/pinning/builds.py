"""Settings in uv.toml for packages that do not build here or have invalid metadata."""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from dataclasses import dataclass, field

from packaging.utils import canonicalize_name

from ds_docker_env.common.redaction import excerpt
from ds_docker_env.common.settings import BEGIN, END
from ds_docker_env.common.target import Target
from ds_docker_env.pinning.explanation import sentence
from ds_docker_env.pinning.production.model import Pin

_UNBUILT = re.compile(r"Failed to (?:download and )?build `(?P<pin>(?P<name>[\w.-]+)[^`\s]*)[^`]*`")
_INVALID = re.compile(r"Because (?P<pin>(?P<name>[\w.-]+)==\S+) has invalid metadata")
# Errors of sources for an older setuptools, and the bound that helps:
# https://setuptools.pypa.io/en/stable/history.html
_OLD_SETUPTOOLS = {
    "No module named 'pkg_resources'": "setuptools<82",
    "use_2to3 is invalid": "setuptools<58",
    "cannot import name 'Feature' from 'setuptools'": "setuptools<46",
}
# These need distutils and `pkgutil.ImpImporter`, which Python 3.12 removed.
_NOT_ON_NEW_PYTHONS = {"setuptools<58", "setuptools<46"}
_MISSING = re.compile(r"No module named '?(\w+)")
# Build tools that a source gets even if production does not pin them. Other names could be any project on the index.
_BUILD_TOOLS = {"cython": "cython<3", "numpy": "numpy"}
# Errors of sources for Python 2, which do not build in the image either.
_HOPELESS = re.compile(r"^\s*(SyntaxError|TabError|IndentationError)\b", re.MULTILINE)


@dataclass(frozen=True)
class Failure:
    """A package that does not build or has invalid metadata: its normalised name, the reason, and the whole output.

    ``pin`` is the package with its version, in uv's notation.
    """

    name: str
    why: str
    said: str
    pin: str = ""

    @property
    def unbuilt(self) -> bool:
        """Say whether the package had to be built and could not be."""
        return not self.why.startswith("has invalid metadata")

    @classmethod
    def find(cls, stderr: str) -> Failure | None:
        """Return the package that stopped uv, if its explanation names one."""
        if found := _UNBUILT.search(stderr):
            said = stderr[found.end() :].partition("\nhint:")[0].strip()
            refused = "Failed to extract" in said
            why = f"{'has an archive that uv cannot unpack' if refused else 'does not build here'}: {sentence(said)}"
        elif found := _INVALID.search(stderr):
            said = stderr.partition("could not be parsed:")[2].strip()
            why = f"has invalid metadata: {excerpt(said.splitlines()[0], 160)}"
        else:
            return None
        return cls(canonicalize_name(found["name"]), why, said, found["pin"])


@dataclass
class Building:
    """Workarounds for pins that do not build here.

    ``setuptools`` bounds it for all sources. ``requires`` maps packages to undeclared build requirements.
    ``undescribed`` are pins whose dependencies are unknown here, with the reason. ``settings`` is the user's uv.toml.
    """

    settings: str = ""
    setuptools: str = ""
    requires: dict[str, str] = field(default_factory=dict)
    undescribed: dict[Pin, str] = field(default_factory=dict)

    def learn(self, failure: Failure, pins: Collection[Pin], target: Target) -> bool:
        """Note a workaround for a pin that failed; say whether to try again.

        A build that fails here may work in the image, which has production's Python, a compiler and Debian packages.
        """
        pin = next((pin for pin in pins if pin.name == failure.name and pin.applies(target)), None)
        if pin is None or pin in self.undescribed or _HOPELESS.search(failure.said):
            return False
        old = next((need for words, need in _OLD_SETUPTOOLS.items() if words in failure.said), self.setuptools)
        if old != self.setuptools:
            self.setuptools = old
            return target.has_setuptools or old not in _NOT_ON_NEW_PYTHONS
        if missing := _missing(failure, pins):
            # Not tried here, because production's version may lack a wheel for the Python of this machine.
            self.requires[failure.name] = missing
        self.undescribed[pin] = failure.why
        return True

    def forget(self, names: Collection[str]) -> bool:
        """Forget the workarounds for these packages; say whether there were any."""
        lost = [pin for pin in self.undescribed if pin.name in names]
        for pin in lost:
            del self.undescribed[pin]
            self.requires.pop(pin.name, None)
        return bool(lost)

    def render(self) -> str:
        """Return uv.toml, https://docs.astral.sh/uv/reference/settings/, or nothing.

        The workarounds come first and outside tables, so that any settings can follow.
        """
        lines = []
        if self.setuptools:
            # Not extra-build-dependencies: uv forgets those, https://github.com/astral-sh/uv/issues/17950
            lines.append(f'build-constraint-dependencies = ["{self.setuptools}"]')
        if self.requires:
            needs = [f"{name} = {json.dumps([need])}" for name, need in sorted(self.requires.items())]
            lines.append(f"extra-build-dependencies = {{ {', '.join(needs)} }}")
        if self.undescribed:
            lines.append("dependency-metadata = [")
            for pin, why in self.undescribed.items():
                extras = f", provides-extra = {json.dumps(list(pin.extras))}" if pin.extras else ""
                lines.append(f"    # {pin.name} {why}")
                version = f', version = "{pin.version}"' if pin.version else ""
                lines.append(f'    {{ name = "{pin.name}"{version}, requires-dist = []{extras} }},')
            lines.append("]")
        block = "\n".join([BEGIN, *lines, END, ""]) if lines else ""
        return block + self.settings


def _missing(failure: Failure, pins: Collection[Pin]) -> str:
    found = _MISSING.search(failure.why)
    name = canonicalize_name(found[1]) if found else ""
    known = {pin.name: f"{pin.name}{pin.specifier}" for pin in pins}
    return known.get(name) or _BUILD_TOOLS.get(name, "")
