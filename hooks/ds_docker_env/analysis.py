"""The packages that an analysis needs besides production's."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

LOCKS = Path(__file__).parents[2] / "locks"
_HEADING = "# Everything that production pins has production's version."
# 79.0.1 is the newest in any official image; from 80.9 on pkg_resources warns all who use it, and 82 has none.
_SETUPTOOLS = """\
# Production's image has it and pip freeze is silent about it; packages of its time import its pkg_resources.
setuptools<80
"""
_LEFT_OUT = re.compile(r"# (?P<requirement>\S.*?): left out, ")


@dataclass(frozen=True)
class Analysis:
    """The text of a requirements.in, a lock with its packages, and one ``before``, whose versions stay if they can."""

    text: str
    lock: str
    before: str = ""

    @property
    def requirements(self) -> list[str]:
        """Return the packages with their floors, in the order of the file, and those that an earlier lock left out."""
        return [requirement for line in self._lines() if (requirement := _without_comment(line))]

    def with_setuptools(self) -> Analysis:
        """Return the packages with setuptools among them."""
        if any(re.match(r"setuptools\b", line) for line in self.requirements):
            return self
        return replace(self, text=self.text + _SETUPTOOLS)

    def render(self, left_out: Mapping[str, str]) -> str:
        """Return requirements.in for production, with what is left out as comments that give the reason."""
        first, *packages = [
            f"# {line}: left out, {left_out[wanted]}" if (wanted := _without_comment(line)) in left_out else line
            for line in self._lines()
        ]
        return "".join(f"{line}\n" for line in [first, _HEADING, *packages])

    def _lines(self) -> list[str]:
        lines = [line for line in self.text.splitlines() if line != _HEADING]
        return [found["requirement"] if (found := _LEFT_OUT.match(line)) else line for line in lines]


def shipped_analysis(python: str) -> Analysis:
    """Return the packages that come with this template, as locked and tested for a Python."""
    lock = (LOCKS / f"requirements-{python}.txt").read_text(encoding="utf-8")
    return Analysis((LOCKS / "requirements.in").read_text(encoding="utf-8"), lock)


def shipped_names(python: str) -> list[str]:
    """Return the normalised names of all packages in the lock for a Python."""
    return re.findall(r"^([a-z0-9-]+)==", shipped_analysis(python).lock, re.MULTILINE)


def shipped_files(python: str, debian: str) -> dict[str, str]:
    """Return the files of a project without a production file, by name."""
    analysis = shipped_analysis(python)
    return {
        "requirements.in": analysis.text,
        "requirements.txt": analysis.lock,
        "tools.txt": (LOCKS / f"tools-{debian}.txt").read_text(encoding="utf-8"),
    }


def _without_comment(line: str) -> str:
    return re.sub(r"(^|\s)#.*", "", line).strip()
