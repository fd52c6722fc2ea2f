"""conda's environment.yml: conda packages, and those in the section ``pip``."""

from __future__ import annotations

import re

import yaml

from ds_docker_env.common.errors import RequirementsError
from ds_docker_env.pinning.production.formats.conda_nodes import document, items, under
from ds_docker_env.pinning.production.formats.conda_packages import Packages
from ds_docker_env.pinning.production.formats.conda_specs import parse_spec
from ds_docker_env.pinning.production.formats.page import Converted, Page

REMEDY = "make the file in that environment with: conda env export > environment.yml"
# conda-lock reads comments after entries: https://conda.github.io/conda-lock/src_environment_yml/
_ELSEWHERE = re.compile(r"#\s*\[\s*(win|osx|not linux|arm64)\b")
# Packages that conda adds automatically.
_ADDED = re.compile(r"^(_\w+|ca-certificates|ld_impl_[\w-]+|python_abi)={1,2}[^\s=]+$", re.MULTILINE)
_VERSION = re.compile(r"[^\s=<>!~]+={1,2}[^\s=<>!~,|*]+")


def from_conda_environment(text: str, name: str) -> Converted:
    """Take conda's packages by their names on the index, and the requirements for pip; raise `RequirementsError`."""
    page = Page(name, REMEDY)
    packages = Packages(page)
    entries = items(under(document(text, name, REMEDY), "dependencies"))
    if entries is None:
        raise RequirementsError(f"{name}: is YAML, but not a conda environment; {REMEDY}")
    lines = text.split("\n")
    own = [(node.start_mark.line, node.value.strip()) for node in entries if isinstance(node, yaml.ScalarNode)]
    installed = _is_export([value for _, value in own])
    for line, value in own:
        if _ELSEWHERE.search(lines[line]) and (spec := parse_spec(value)):
            page.leave_out(spec.shown, "conda, not for Linux")
        else:
            packages.add_text(line + 1, value, installed=installed)
    for node in entries:
        for requirement in items(under(node, "pip")) or ():
            if isinstance(requirement, yaml.ScalarNode):
                page.write(requirement.start_mark.line + 1, requirement.value)
    return packages.converted()


def _is_export(specs: list[str]) -> bool:
    """Say whether these are the packages of a whole environment: ``conda env export --no-builds``."""
    return bool(_ADDED.search("\n".join(specs))) and all(map(_VERSION.fullmatch, specs))
