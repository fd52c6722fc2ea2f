"""Answers that cookiecutter is given before it asks; what it cannot use of them it passes over without a word."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import click
from cookiecutter.config import USER_CONFIG_PATH, get_user_config


def options() -> dict[str, Any]:
    """Return the options of cookiecutter's own command; under anything else there are none."""
    from cookiecutter import cli

    context = click.get_current_context(silent=True)
    return context.params if context and context.command is cli.main else {}


def problems(template: Path) -> list[str]:
    """Return why answers on the command line, or in the person's configuration, cannot be taken as they are."""
    asked = options()
    if not asked:
        return []
    questions = json.loads(template.read_text(encoding="utf-8"))
    configured = get_user_config(asked["config_file"], asked["default_config"])["default_context"]
    path = asked["config_file"] or os.environ.get("COOKIECUTTER_CONFIG") or USER_CONFIG_PATH
    for note in misspelt(configured, questions, path):
        print(note, file=sys.stderr)
    found = unknown(asked["extra_context"] or {}, questions)
    return found + unusable(configured, questions, path) if asked["no_input"] else found


def unknown(given: Iterable[str], questions: Mapping[str, Any]) -> list[str]:
    """Return a problem for each name on the command line that is no question."""
    problems = []
    for name in given:
        if name not in questions:
            asked = ", ".join(question for question in questions if not question.startswith("_"))
            problems.append(f"{name}: is no question; {_meant(name, questions) or f'there are {asked}'}")
    return problems


def misspelt(configured: Iterable[str], questions: Mapping[str, Any], path: str) -> list[str]:
    """Return a note for each name in a configuration, which is for all templates, that is nearly a question."""
    close = {name: meant for name in configured if name not in questions and (meant := _meant(name, questions))}
    return [f"ds-docker-env: {path}: {name} is no question; {meant}" for name, meant in close.items()]


def unusable(configured: Mapping[str, Any], questions: Mapping[str, Any], path: str) -> list[str]:
    """Return a problem for each answer in a configuration instead of which another one is taken, or a part of it."""
    problems = []
    for name, answer in configured.items():
        choices = questions.get(name)
        if name.startswith("_") or choices is None:
            continue
        if isinstance(choices, list):
            if answer not in choices:
                problems.append(
                    f"{name}: {answer!r} in {path} is none of {', '.join(map(repr, choices))}, quotes included"
                )
        elif isinstance(answer, bool) or not isinstance(answer, str | int | float):
            problems.append(f"{name}: {answer!r} in {path} is no text; write it in quotes, or take it out")
    return problems


def _meant(name: str, questions: Iterable[str]) -> str:
    from difflib import get_close_matches

    close = get_close_matches(name, questions, n=1, cutoff=0.85)
    return f"correct it if {close[0]} is meant" if close else ""
