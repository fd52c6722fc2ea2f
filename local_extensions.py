"""What this template adds to cookiecutter's Jinja."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import Any

from cookiecutter.exceptions import FailedHookException
from jinja2 import Environment
from jinja2.ext import Extension

ROOT = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(ROOT, "hooks"))

from ds_docker_env.answers import Answers  # noqa: E402
from ds_docker_env.errors import GenerationError  # noqa: E402
from ds_docker_env.services import services_of  # noqa: E402


class TemplateExtension(Extension):
    """Add ``template_root``, the folder of this repository, and three filters: see below, and `services_of`.

    cookiecutter's own ``_repo_dir`` is relative or absent under pytest-cookies and cruft.
    """

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        environment.globals["template_root"] = ROOT
        environment.filters["absolute_location"] = absolute_location
        environment.filters["checked"] = checked
        environment.filters["services"] = services_of


def absolute_location(answer: Any) -> str:
    """Make a path absolute, seen from where the command was typed; leave all other answers as they are.

    Hooks run in the generated project, where a relative path would mean something else.
    """
    location = str(answer).strip()
    if not location or "://" in location or location.startswith(("git+", "image:")):
        return location
    return os.path.abspath(os.path.expanduser(location))


def checked(answers: Mapping[str, Any]) -> str:
    """Stop cookiecutter with one message if an answer is wrong, before it makes a folder of that name.

    A failing hook would come after the folder (``../x`` would be outside) and add a traceback of cookiecutter's.
    """
    try:
        Answers.check(answers)
    except GenerationError as error:
        print(error.report(), file=sys.stderr)
        raise FailedHookException("Nothing was generated.") from None
    return "yes"
