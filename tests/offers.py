"""What this repository offers; a fork offers something else, and its tests pass all the same."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ds_docker_env.common.target import DEBIAN_RELEASES
from ds_docker_env.generation.services import SERVICES

TEMPLATE = Path(__file__).parents[1]
CONTEXT = json.loads((TEMPLATE / "cookiecutter.json").read_text(encoding="utf-8"))
QUESTIONS = [name for name in CONTEXT if not name.startswith("_")]
# Every Python with every Debian that there is an image of.
PAIRS = [
    (python, debian)
    for python in CONTEXT["python_version"]
    for debian in CONTEXT["debian_release"]
    if debian in DEBIAN_RELEASES[python]
]
# Not the default ones, where there are others.
OTHER_PAIR = ("3.11", "bookworm") if ("3.11", "bookworm") in PAIRS else PAIRS[-1]
UNPAIRED = [
    (python, debian)
    for python in CONTEXT["python_version"]
    for debian in CONTEXT["debian_release"]
    if (python, debian) not in PAIRS
]
PYTHON, DEBIAN = CONTEXT["python_version"][0], CONTEXT["debian_release"][0]
_OTHERS = [python for python, debian in PAIRS if debian == DEBIAN and python != PYTHON]
OTHER_PYTHON = _OTHERS[0] if _OTHERS else ""

needs_two_pythons = pytest.mark.skipif(not OTHER_PYTHON, reason=f"{PYTHON} is the only Python on offer for {DEBIAN}")


def needs(*services: str) -> pytest.MarkDecorator:
    """Skip a test of services where a fork does not have them."""
    missing = [name for name in services if name not in SERVICES]
    return pytest.mark.skipif(bool(missing), reason=f"not on offer: {', '.join(missing)}")
