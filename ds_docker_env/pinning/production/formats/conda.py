"""conda's environment.yml, of which pip can install the section ``pip``."""

from __future__ import annotations

import re

import yaml

from ds_docker_env.common.errors import RequirementsError
from ds_docker_env.pinning.production.formats.page import Converted, Page

_REMEDY = "make the file in that environment with: pip list --format=freeze > requirements.txt"
# PyYAML needs seconds for each megabyte, and the largest real ones have 50 kB.
_LARGEST = 1_000_000


def from_conda_environment(text: str, name: str) -> Converted:
    """Take the requirements for pip and list conda's own packages; raise `RequirementsError`."""
    if len(text) > _LARGEST:
        raise RequirementsError(f"{name}: is too large for an environment.yml; {_REMEDY}")
    page = Page(name, _REMEDY)
    found = False
    for item in _sequence(_under(_document(text, name), "dependencies"), name):
        if isinstance(item, yaml.ScalarNode):
            package = item.value.partition("::")[2] or item.value
            known = re.split(r"[\s=<>!~\[]", package.strip())[0]
            if known.lower() == "python":
                page.for_python(package.strip()[len(known) :].strip())
            elif known.lower() != "pip":
                page.leave_out(package.strip(), "conda")
            continue
        pip = _under(item, "pip")
        for requirement in pip.value if isinstance(pip, yaml.SequenceNode) else ():
            if isinstance(requirement, yaml.ScalarNode):
                page.write(requirement.start_mark.line + 1, requirement.value)
                found = True
    if not found:
        raise RequirementsError(f"{name}: lists packages for conda only, none for pip; {_REMEDY}")
    return page.converted()


def _document(text: str, name: str) -> yaml.Node | None:
    """Parse without making objects, so that aliases stay what they are."""
    try:
        return yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        where = f"{name}:{error.problem_mark.line + 1}" if error.problem_mark else name
        raise RequirementsError(f"{where}: is not YAML ({error.problem}); {_REMEDY}") from None
    except yaml.YAMLError as error:
        raise RequirementsError(f"{name}: is not YAML ({str(error).splitlines()[0]}); {_REMEDY}") from None


def _under(node: yaml.Node | None, key: str) -> yaml.Node | None:
    pairs = node.value if isinstance(node, yaml.MappingNode) else ()
    return next((value for name, value in pairs if name.value == key), None)


def _sequence(node: yaml.Node | None, name: str) -> list[yaml.Node]:
    """Return the nodes of a list, each once however often an alias repeats it."""
    if not isinstance(node, yaml.SequenceNode):
        raise RequirementsError(f"{name}: is YAML, but not a conda environment; {_REMEDY}")
    return list({id(item): item for item in node.value}.values())
