"""What this template adds to cookiecutter's Jinja."""

from __future__ import annotations

import os
from typing import Any

from jinja2 import Environment
from jinja2.ext import Extension


class TemplateExtension(Extension):
    """Add ``template_root``, the folder of this repository, and the filter ``absolute_location``.

    cookiecutter's own ``_repo_dir`` is relative or absent under pytest-cookies and cruft.
    """

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        environment.globals["template_root"] = os.path.dirname(os.path.abspath(__file__))
        environment.filters["absolute_location"] = absolute_location


def absolute_location(answer: Any) -> str:
    """Make a path absolute, seen from where the command was typed; leave a URL and a blank answer as they are.

    Hooks run in the generated project, where a relative path would mean something else.
    """
    location = str(answer).strip()
    if not location or "://" in location:
        return location
    return os.path.abspath(os.path.expanduser(location))
