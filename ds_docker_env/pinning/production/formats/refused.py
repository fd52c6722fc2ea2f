"""Files that are often used as production's file, but have no versions in a readable form."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ds_docker_env.common.errors import RequirementsError

_LIST = "pip list --format=freeze > requirements.txt"
_FREEZE = "pip freeze > requirements.txt"


def refuse(text: str, name: str, last: str) -> None:
    """Raise `RequirementsError` with the kind of the file and the command for a usable one, if the kind is refused.

    ``last`` is the last component of the file's path, in lower case.
    """
    if re.match(r"\s*<(!doctype|html|head|body|\?xml|!--)", text, re.IGNORECASE):
        raise RequirementsError(
            f"{name}: is a web page, perhaps a login page; use the URL of the file itself, "
            "and put its password in ~/.netrc"
        )
    for kind in _KINDS:
        if last in kind.names or (kind.content and re.search(kind.content, text, re.MULTILINE)):
            raise RequirementsError(f"{name}: is {kind.description}; {kind.way}: {kind.command}")


@dataclass(frozen=True)
class _Kind:
    """A kind of file: its names, the pattern of a line that only it has, its description, and the fix."""

    names: tuple[str, ...]
    content: str
    description: str
    command: str
    way: str = "make a file with"


_KINDS = (
    _Kind((), r"\A\s*Package[ \t]+Version\b.*\n-+[ \t]+-+", "a table and not a requirements file", _LIST),
    _Kind(
        (),
        r"^\[tool\.poetry(\.dependencies)?\]",
        "a pyproject.toml, which has ranges instead of versions",
        "poetry export --output requirements.txt",
        "use the poetry.lock beside it, or make a file with",
    ),
    _Kind(
        ("pyproject.toml",),
        r"^\[(project|build-system)\]",
        "a pyproject.toml, which has ranges instead of versions",
        "uv export --no-dev --no-emit-project -o requirements.txt",
        "use the lock beside it, or make a file with",
    ),
    _Kind(
        ("pipfile",),
        r"^(\[\[source\]\]|\[(dev-)?packages\])",
        "a Pipfile, which has ranges instead of versions",
        "pipenv requirements > requirements.txt",
        "use the Pipfile.lock beside it, or make a file with",
    ),
    _Kind(
        ("setup.py", "setup.cfg"),
        r"^(import|from) (setuptools|distutils)\b|^\[options\]",
        "the metadata of a package, which has ranges instead of versions",
        _FREEZE,
        "make a file in production with",
    ),
    _Kind(("pdm.lock",), r"^content_hash = ", "PDM's lock", "pdm export --prod -o requirements.txt"),
    _Kind(("cargo.lock",), r"^\[\[package\]\]", "a lock that is not supported", _FREEZE),
)
