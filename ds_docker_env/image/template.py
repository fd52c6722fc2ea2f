"""The template that made this image's commands, as recorded in the wheel."""

from __future__ import annotations

import json
import pkgutil
from collections.abc import Mapping, Sequence
from typing import NamedTuple

# In the wheel, beside this module.
FILE = "template.json"


class Template(NamedTuple):
    """Its version and commit, the ``names`` of the packages that it ships, and the ``clients`` of services.

    ``clients`` are normalised names of packages, each with its service. ``production`` says whether the project was
    generated with production's file.
    """

    version: str
    commit: str
    names: Sequence[str]
    clients: Mapping[str, str]
    production: bool = True

    @property
    def line(self) -> str:
        return f"Template:   ds-docker-env {self.version}, commit {self.commit}"


def template() -> Template:
    """Return the template of this wheel; raise `FileNotFoundError` outside a wheel."""
    return Template(**json.loads(pkgutil.get_data(__package__, FILE) or b""))
