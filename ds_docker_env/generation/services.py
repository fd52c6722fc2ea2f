"""The services in an answer, and their images."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from ds_docker_env.common.errors import AnswerError
from ds_docker_env.common.services import SERVICES

_COMPOSE = Path(__file__).parents[2] / "{{cookiecutter.project_slug}}" / "docker-compose.yml"


def services_of(answer: str) -> list[str]:
    """Return the services in an answer such as ``mysql, redis``, in the order of `SERVICES`.

    Raise `AnswerError` for an unknown name.
    """
    named = [name for name in re.split(r"[,\s]+", answer.lower()) if name]
    if unknown := [name for name in dict.fromkeys(named) if name not in SERVICES]:
        raise AnswerError(
            f"services: unknown service: {', '.join(map(repr, unknown))}; "
            f"choose from {', '.join(SERVICES)}, or leave it blank"
        )
    return [name for name in SERVICES if name in named]


def images_of(services: Iterable[str]) -> list[str]:
    """Return the images of these services in the template's docker-compose.yml."""
    named = re.findall(r'service_image\("(.+?)"\)', _COMPOSE.read_text(encoding="utf-8"))
    return [image for image in named if re.split("[/:]", image)[-2] in services]
