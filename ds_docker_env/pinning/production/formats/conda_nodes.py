"""The YAML of conda's tools as nodes with line numbers."""

from __future__ import annotations

from typing import Any

import yaml

from ds_docker_env.common.errors import RequirementsError

# Ten times the largest real ones.
_LARGEST = 10_000_000
# libyaml is ten times as fast, but not available everywhere.
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def document(text: str, name: str, remedy: str) -> yaml.Node | None:
    """Parse to nodes, in which aliases are not expanded; raise `RequirementsError`."""
    if len(text) > _LARGEST:
        raise RequirementsError(f"{name}: is too large for a conda file; {remedy}")
    try:
        return yaml.compose(text, Loader=_LOADER)
    except yaml.MarkedYAMLError as error:
        where = f"{name}:{error.problem_mark.line + 1}" if error.problem_mark else name
        raise RequirementsError(f"{where}: invalid YAML ({error.problem}); {remedy}") from None
    except yaml.YAMLError as error:
        raise RequirementsError(f"{name}: invalid YAML ({str(error).splitlines()[0]}); {remedy}") from None


def under(node: yaml.Node | None, *keys: str) -> yaml.Node | None:
    """Return the node under nested keys of mappings, or ``None``."""
    for key in keys:
        pairs = node.value if isinstance(node, yaml.MappingNode) else ()
        node = next((value for name, value in pairs if name.value == key), None)
    return node


def text_under(node: yaml.Node | None, *keys: str) -> str:
    """Return the text under keys, or nothing."""
    found = under(node, *keys)
    return found.value if isinstance(found, yaml.ScalarNode) else ""


def items(node: yaml.Node | None) -> list[yaml.Node] | None:
    """Return the nodes of a list without those that aliases repeat, or ``None`` if it is not a list."""
    return list({id(item): item for item in node.value}.values()) if isinstance(node, yaml.SequenceNode) else None
