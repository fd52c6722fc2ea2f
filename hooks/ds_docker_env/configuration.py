"""Answers that cookiecutter is given before it asks; what it cannot use of them it passes over without a word."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any


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
