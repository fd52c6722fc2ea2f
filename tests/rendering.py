"""Single files of projects, rendered in milliseconds."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, combinations

from conftest import ANSWERS
from cookiecutter.environment import StrictEnvironment
from jinja2 import FileSystemLoader
from offers import CONTEXT, TEMPLATE

from ds_docker_env.common.services import SERVICES

PROJECT = TEMPLATE / "{{cookiecutter.project_slug}}"
CHOICES = [",".join(chosen) for chosen in chain(*(combinations(SERVICES, n) for n in range(len(SERVICES) + 1)))]


class Renderer:
    """Renders single files of the template as cookiecutter does."""

    def __init__(self) -> None:
        self._environment = StrictEnvironment(
            context={"cookiecutter": CONTEXT}, keep_trailing_newline=True, **CONTEXT["_jinja2_env_vars"]
        )
        self._environment.loader = FileSystemLoader([PROJECT, TEMPLATE / "templates"])

    def __call__(self, name: str, **answers: str) -> str:
        asked = {name: value[0] if isinstance(value, list) else value for name, value in CONTEXT.items()}
        answers = {**asked, **ANSWERS, "project_slug": "churn", **answers}
        return str(self._environment.get_template(name).render(cookiecutter=answers))


def answers() -> Iterator[dict[str, str]]:
    for services in CHOICES:
        for production in ("", "/api/requirements.txt"):
            for url in ("", "s3://bucket/churn"):
                yield {"services": services, "production_requirements": production, "dvc_s3_url": url}
