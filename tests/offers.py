"""The Pythons, Debians and packages that this repository offers; a fork may offer others, and its tests pass."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ds_docker_env.common.services import SERVICES
from ds_docker_env.common.target import DEBIAN_RELEASES

TEMPLATE = Path(__file__).parents[1]
CONTEXT = json.loads((TEMPLATE / "cookiecutter.json").read_text(encoding="utf-8"))
QUESTIONS = [name for name in CONTEXT if not name.startswith("_")]
# Every Python with every Debian for which an image exists.
PAIRS = [
    (python, debian)
    for python in CONTEXT["python_version"]
    for debian in CONTEXT["debian_release"]
    if debian in DEBIAN_RELEASES[python]
]
# Another pair than the default one, if possible.
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
    """Skip a test if a fork does not have its services."""
    missing = [name for name in services if name not in SERVICES]
    return pytest.mark.skipif(bool(missing), reason=f"not on offer: {', '.join(missing)}")
