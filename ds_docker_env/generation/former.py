"""The files of a project that is generated again, as far as they are the user's and stay in force."""

from __future__ import annotations

import re
from pathlib import Path

from ds_docker_env.common.analysis import package_name
from ds_docker_env.common.errors import GenerationError, ProjectError
from ds_docker_env.common.shipped import is_shipped, shipped_analysis
from ds_docker_env.generation.answers import Answers
from ds_docker_env.generation.staging import Staging

_FROM_BEFORE = "# From before this was generated again."


def text_of(staging: Staging, name: str) -> str:
    """Return the text of a file, blank if it does not exist."""
    path = staging.former(name)
    try:
        return path.read_text(encoding="utf-8-sig") if path.exists() else ""
    except (OSError, UnicodeError) as error:
        raise GenerationError(f"{name}: cannot be read ({error}); correct or remove it") from None


def own_requirements(staging: Staging) -> str:
    """Return a requirements.in that a person has edited."""
    text = text_of(staging, "requirements.in")
    return "" if not text.strip() or is_shipped(text) else text


def missing_clients(own: str, answers: Answers) -> list[str]:
    """Return a line with the packages that services need and a person's own requirements.in does not have."""
    has = {package_name(line) for line in own.splitlines()}
    clients = shipped_analysis(answers.python_version, answers.options).clients
    missing = [f"{name} (for {service})" for name, service in clients.items() if name not in has]
    return [f"Missing:    add to requirements.in and lock again: {', '.join(missing)}"] if missing else []


def require_fitting_lock(staging: Staging, answers: Answers, otherwise: str) -> None:
    """Raise `ProjectError` if a lock that stays was made for another Python, or with another answer for production."""
    command = text_of(staging, "requirements.txt").partition("\n")[2].partition("\n")[0]
    found = re.search(r"--python-version (\d+\.\d+)", command)
    if not found:
        raise ProjectError(f"requirements.txt: no command in its header; restore it from git, {otherwise}")
    problems = []
    if found[1] != answers.python_version:
        problems.append(f"requirements.txt: is locked for Python {found[1]}; answer {found[1]}, {otherwise}")
    beside = "production.txt" in command
    if beside and not answers.production_requirements:
        problems.append(f"requirements.txt: is locked beside production; name production's file, {otherwise}")
    elif answers.production_requirements and not beside:
        problems.append(f"requirements.txt: is locked without production; omit production's file, {otherwise}")
    if problems:
        raise ProjectError(*problems)


def keep_ignored(staging: Staging) -> None:
    """Append the patterns that a person has added to the new .gitignore and .dockerignore."""
    for name in (".gitignore", ".dockerignore"):
        text = Path(name).read_text(encoding="utf-8")
        known = {"", _FROM_BEFORE, *text.splitlines()}
        own = [line for line in text_of(staging, name).splitlines() if line.strip() not in known]
        if own:
            Path(name).write_bytes("\n".join([text, _FROM_BEFORE, *own, ""]).encode())
