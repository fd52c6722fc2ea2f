"""The answers to the questions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ds_docker_env.generation.services import services_of


class Answers(NamedTuple):
    """The checked answers; ``production_requirements`` is blank or a location for `source_of`.

    ``package_index`` is blank for uv's own default.
    """

    production_requirements: str
    python_version: str
    debian_release: str
    dvc_s3_url: str
    services: Sequence[str]
    ci: str
    package_index: str
    template_url: str
    commit: str

    @property
    def options(self) -> list[str]:
        """Return the options that a project has in addition to the default one: services, and dvc."""
        return [*self.services, *(["dvc"] if self.dvc_s3_url else [])]

    @classmethod
    def of(cls, raw: Mapping[str, Any]) -> Answers:
        """Take cookiecutter's checked context."""
        return cls(
            production_requirements=raw["__production_requirements"],
            python_version=raw["python_version"],
            debian_release=raw["debian_release"],
            dvc_s3_url=str(raw["dvc_s3_url"]).strip(),
            services=services_of(str(raw["services"])),
            ci=raw["ci"],
            package_index=raw["_package_index"],
            template_url=raw["_template_url"],
            commit=raw.get("__commit", ""),
        )
