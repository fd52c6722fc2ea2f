"""A project's uv.toml: what production's sources need to be built, and perhaps what a person has set besides."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ds_docker_env.errors import ProjectError
from ds_docker_env.formats.reading import read_toml

# What `building` writes.
_OURS = {"build-constraint-dependencies", "dependency-metadata", "extra-build-dependencies"}
_REMEDY = "correct it, or take it away"


def hand_written(settings: str) -> bool:
    """Say whether a uv.toml holds more than production's sources need; raise `RequirementsError` if it is broken."""
    return bool(read_toml(settings, "uv.toml", _REMEDY).keys() - _OURS)


def check_needs(settings: str, needed: str) -> None:
    """Raise `ProjectError` if a person's uv.toml lacks what production's sources need."""
    has, needs = (read_toml(text, "uv.toml", _REMEDY) for text in (settings, needed))
    if any(has.get(name) != value for name, value in needs.items()):
        lines = "".join(f"\n    {line}" for line in needed.splitlines())
        raise ProjectError(
            f"uv.toml: is not replaced, because it holds settings of yours; write these into it and try again:{lines}"
        )


@contextmanager
def seen_by_uv(settings: str) -> Iterator[None]:
    """Let uv find these settings wherever it runs, as those of the user; a uv.toml where it runs comes first."""
    with tempfile.TemporaryDirectory() as folder:
        if settings:
            Path(folder, "uv").mkdir()
            Path(folder, "uv", "uv.toml").write_text(settings, encoding="utf-8")
            os.environ["XDG_CONFIG_HOME"] = folder
        yield
