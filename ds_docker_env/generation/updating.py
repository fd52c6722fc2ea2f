"""A project under cruft, which renders the template at two commits and brings what differs into the project."""

from __future__ import annotations

import contextlib
import importlib
import inspect
import json
import sys
import traceback
from collections.abc import Iterable, Mapping, MutableMapping
from pathlib import Path
from types import ModuleType
from typing import Any

# Of these a project has more than what cruft brings.
_MORE = ("production_requirements", "python_version", "debian_release", "dvc_s3_url", "services")


def under_cruft() -> bool:
    """Say whether cruft runs in this process."""
    return "cruft" in sys.modules


def looked_at() -> Mapping[str, Any]:
    """Return what one of cruft's functions was called with that only looks at a project; else there is nothing.

    What it renders then is compared with the project, or never rendered. cruft says so nowhere, but its functions and
    their parameters are what others call it by.
    """
    if under_cruft():
        cruft = sys.modules["cruft"]
        looking = {inspect.unwrap(function).__code__ for function in (cruft.diff, cruft.link, cruft.update)}
        for frame, _ in traceback.walk_stack(None):
            if frame.f_code in looking:
                return frame.f_locals
    return {}


def recall(answers: MutableMapping[str, Any], asked: Mapping[str, Any]) -> list[str]:
    """Take private answers, such as ``_base_image``, as the project has them; return what to say of new answers."""
    state = json.loads(Path(asked["project_dir"], ".cruft.json").read_text(encoding="utf-8"))
    before = state["context"]["cookiecutter"]
    if not asked.get("refresh_private_variables"):
        own = {name for name, answer in answers.items() if name.startswith("_") and isinstance(answer, str)}
        answers.update({name: before[name] for name in own & before.keys() if name not in ("_commit", "_template")})
    changed = [name for name in _MORE if name in before and before[name] != answers[name]]
    if not changed:
        return []
    return [
        f"ds-docker-env: {', '.join(changed)}: cruft changes no lock and makes no password; after it, "
        "generate over the project with cookiecutter --overwrite-if-exists and these answers"
    ]


def our_modules(extension: str) -> list[str]:
    """Return what is loaded of the template's own code."""
    return [name for name in sys.modules if name == extension or name.partition(".")[0] == "ds_docker_env"]


def stamps(names: Iterable[str]) -> dict[str, tuple[int, int] | None]:
    """Return what tells the files of modules from changed ones."""
    found: dict[str, tuple[int, int] | None] = {}
    for name in names:
        found[name] = None
        with contextlib.suppress(OSError):
            stat = Path(str(sys.modules[name].__file__)).stat()
            found[name] = stat.st_mtime_ns, stat.st_size
    return found


def load_anew(extension: str) -> ModuleType:
    """Import the template's extension, and what it imports, as their files are now."""
    for name in our_modules(extension):
        del sys.modules[name]
    importlib.invalidate_caches()
    return importlib.import_module(extension)
