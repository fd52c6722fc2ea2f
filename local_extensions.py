"""The template's filters for cookiecutter's Jinja."""

from __future__ import annotations

import logging
import os
import sys
from typing import Any

from jinja2 import Environment
from jinja2.ext import Extension

ROOT = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, ROOT)

from ds_docker_env.common.services import secret_of  # noqa: E402
from ds_docker_env.generation import rendering  # noqa: E402
from ds_docker_env.generation.release import WHEEL  # noqa: E402
from ds_docker_env.generation.services import services_of  # noqa: E402


class TemplateExtension(Extension):
    """Add the filters, ``wheel_name``, and ``template_root``, the directory of this repository.

    cookiecutter's ``_repo_dir`` is relative, or absent under pytest-cookies and cruft.
    """

    def __new__(cls, environment: Environment) -> Any:
        """Import the modules again if their files changed: cruft renders two commits in one process."""
        if rendering.stamps(_LOADED) == _LOADED:
            return super().__new__(cls)
        return rendering.load_anew(__name__).TemplateExtension(environment)

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        environment.globals["template_root"] = ROOT
        environment.globals["wheel_name"] = WHEEL
        environment.filters["absolute_location"] = rendering.absolute_location
        environment.filters["base_image"] = rendering.base_image
        environment.filters["checked"] = rendering.checked
        environment.filters["for_hooks"] = rendering.for_hooks
        environment.filters["images"] = rendering.images
        environment.filters["place"] = rendering.place
        environment.filters["secret"] = secret_of
        environment.filters["service_image"] = rendering.service_image
        environment.filters["services"] = services_of
        environment.filters["wheel"] = rendering.wheel
        logging.getLogger("cookiecutter.hooks").addFilter(rendering.without_traceback)

    def preprocess(self, source: str, name: str | None, filename: str | None = None) -> str:
        """Replace the name of the directory to render with a hidden one; cookiecutter renders this name first."""
        return "{{ cookiecutter | place }}" if source == "{{cookiecutter.project_slug}}" else source


_LOADED = rendering.stamps(rendering.our_modules(__name__))
