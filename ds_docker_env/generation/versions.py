"""The versions of a project: the template's, those of the existing project, or production's."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path
from typing import Any

from ds_docker_env.common.analysis import package_name
from ds_docker_env.common.errors import GenerationError, ProjectError
from ds_docker_env.common.settings import own_settings
from ds_docker_env.common.shipped import BUILD_REQUIREMENTS, is_shipped, shipped_analysis, shipped_files
from ds_docker_env.common.target import ARM64, LOCK_AGAIN, machines, why_amd64_only
from ds_docker_env.generation.answers import Answers
from ds_docker_env.generation.staging import MISSING, Staging

# Libraries that `pinning` imports beyond cookiecutter's own packages.
LIBRARIES = {
    "packaging": "packaging==26.3",
    "pip_requirements_parser": "pip-requirements-parser==32.0.1",
    "psutil": "psutil==7.2.2",
    "requests": "requests>=2.31",
    "tomllib" if sys.version_info >= (3, 11) else "tomli": "tomli==2.5.0",
    "yaml": "pyyaml==6.0.3",
}
_ROOT = Path(__file__).parents[2]

OF_PRODUCTION = ("production.txt", "constraints.txt", "overrides.txt")
# A lock is written as a whole or not at all.
OF_LOCK = ("requirements.in", "requirements.txt", "uv.toml", BUILD_REQUIREMENTS, *OF_PRODUCTION)
_BEFORE = ("requirements.txt", BUILD_REQUIREMENTS)


def versions(staging: Staging, answers: Answers) -> tuple[dict[str, str], list[str]]:
    """Return the locks and the files that belong to them, by name, and the summary's lines about them."""
    texts = shipped_files(answers.python_version, answers.debian_release, answers.options)
    settings = staging.former("uv.toml")
    texts["uv.toml"] = own_settings(settings)
    summary = [f"Versions:   those tested with this template for Python {answers.python_version}"]
    own = _own_requirements(staging)
    if staging.mode == MISSING and (staging.target / "requirements.txt").exists():
        _require_fitting_lock(staging, answers, "or omit --skip-if-file-exists")
        texts = {name: text for name, text in texts.items() if name not in OF_LOCK}
        summary = ["Versions:   unchanged, in requirements.txt", *_one_processor(staging.former("requirements.txt"))]
    elif answers.production_requirements:
        pinned = _pin(answers, settings, own, *(map(staging.former, _BEFORE) if own else ("", "")))
        texts |= pinned["files"]
        summary = pinned["summary"]
    elif own:
        _require_fitting_lock(staging, answers, "or remove requirements.in to get the template's packages")
        texts = {name: text for name, text in texts.items() if name not in ("requirements.in", *_BEFORE)}
        texts[BUILD_REQUIREMENTS] = staging.former(BUILD_REQUIREMENTS)
        summary = [
            f"Versions:   unchanged, as requirements.in has packages of your own; to lock again, run: {LOCK_AGAIN}",
            *_one_processor(staging.former("requirements.txt")),
        ]
    return texts, [*summary, *(_missing_clients(own, answers) if own else [])]


def _pin(answers: Answers, settings: str, requirements: str, before: str, built_with: str) -> dict[str, Any]:
    """Run `pinning` in a process with its libraries."""
    from ds_docker_env.common import uv
    from ds_docker_env.common.progress import alive

    asked = {
        "location": answers.production_requirements,
        "python": answers.python_version,
        "debian": answers.debian_release,
        "options": answers.options,
        "settings": settings,
        "requirements": requirements,
        "before": before,
        "built_with": built_with,
    }
    if answers.package_index:
        os.environ["UV_DEFAULT_INDEX"] = answers.package_index
    with alive(f"Locking production's versions for Python {answers.python_version}") as say:
        printed = uv.run_module("ds_docker_env.pinning", LIBRARIES, _ROOT, json.dumps(asked), say)
    answer: dict[str, Any] = json.loads(printed)
    if "problems" in answer:
        raise GenerationError(*answer["problems"])
    return answer


def _own_requirements(staging: Staging) -> str:
    """Return a requirements.in that the user has edited, or a blank."""
    text = staging.former("requirements.in")
    return "" if not text.strip() or is_shipped(text) else text


def _one_processor(lock: str) -> list[str]:
    """Return a line about a lock that is not for arm64, such as one of an older template."""
    if ARM64 in machines(lock):
        return []
    return [f"Only amd64: requirements.txt: {why_amd64_only(lock) or f'made by an older template; run: {LOCK_AGAIN}'}"]


def _missing_clients(own: str, answers: Answers) -> list[str]:
    """Return a line about packages that services need and an edited requirements.in lacks."""
    has = {package_name(line) for line in own.splitlines()}
    clients = shipped_analysis(answers.python_version, answers.options).clients
    missing = [f"{name} (for {service})" for name, service in clients.items() if name not in has]
    return [f"Missing:    add to requirements.in and lock again: {', '.join(missing)}"] if missing else []


def _require_fitting_lock(staging: Staging, answers: Answers, otherwise: str) -> None:
    """Raise `ProjectError` if an existing lock is for another Python, or for another answer about production."""
    command = staging.former("requirements.txt").partition("\n")[2].partition("\n")[0]
    found = re.search(r"--python-version (\d+\.\d+)", command)
    if not found:
        raise ProjectError(
            f"requirements.txt: the header does not contain the command that made it; restore it from git, {otherwise}"
        )
    problems = []
    if found[1] != answers.python_version:
        problems.append(
            f"requirements.txt: is locked for Python {found[1]}; set python_version to {found[1]}, {otherwise}"
        )
    beside = "production.txt" in command
    if beside and not answers.production_requirements:
        problems.append(
            "requirements.txt: is locked with production's versions; "
            f"set production_requirements to production's file, {otherwise}"
        )
    elif answers.production_requirements and not beside:
        problems.append(
            "requirements.txt: is locked without production's versions; "
            f"leave production_requirements blank, {otherwise}"
        )
    if problems:
        raise ProjectError(*problems)
