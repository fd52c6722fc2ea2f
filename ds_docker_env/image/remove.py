"""``remove``: removes packages from requirements.in, with the dependencies that only they needed."""

from __future__ import annotations

import re
from collections.abc import Sequence

from packaging.utils import canonicalize_name

from ds_docker_env.common.errors import RequirementsError
from ds_docker_env.common.progress import alive
from ds_docker_env.image import commands, project, requirements
from ds_docker_env.image.change import change
from ds_docker_env.image.lock import production_here, read_versions
from ds_docker_env.image.project import LOCK, REQUIREMENTS
from ds_docker_env.image.template import template
from ds_docker_env.pinning.parity import entries, name_of_entry
from ds_docker_env.pinning.production.model import Production
from ds_docker_env.pinning.refusal import similar
from ds_docker_env.pinning.search import REQUIRED

# uv's note of the packages that need another, without files.
_NEEDED_BY = re.compile(r"^ +#(?: via| ) +([\w.-]+)$", re.MULTILINE)


def run(words: Sequence[str]) -> int:
    """Remove packages; raise `GenerationError`, and change nothing then."""
    parser = commands.parser("remove")
    parser.add_argument("names", nargs="+", metavar="NAME")
    # As for pip.
    parser.add_argument("-y", "--yes", action="store_true")
    parser.add_argument("-q", "--quiet", action="store_true")
    asked = parser.parse_args(words)
    names = [canonicalize_name(name) for name in asked.names]
    production = production_here()
    text, lock = project.read(REQUIREMENTS), project.read(LOCK)
    if problems := [problem for name in names if (problem := _problem(name, text, lock, production))]:
        raise RequirementsError(*problems)

    def edit(text: str) -> str:
        for name in names:
            text = requirements.without(text, name)
        return text

    with alive(f"Removing {', '.join(names)}") as say:
        made = change(edit, production, say=say)
    if not asked.quiet:
        there = [
            f"Unchanged:  {name}, which production or another package needs"
            for name in names
            if name in made.moves.after
        ]
        print(*filter(None, [made.report(""), *there]), sep="\n")
    return 0


def _problem(name: str, text: str, lock: str, production: Production) -> str:
    if name == REQUIRED:
        return f"{name}: the notebook needs it; keep it"
    if service := template().clients.get(name):
        return f"{name}: the service {service} needs it; keep it"
    if requirements.find(text, name):
        return ""
    if pin := next((pin for pin in production.pins if pin.name == name), None):
        return f"{name}: production has it ({pin.where}); remove it there, then run take-over"
    packages = read_versions(lock)
    if name in packages:
        entry = next(entry for entry in entries(lock) if name_of_entry(entry) == name)
        needed_by = ", ".join(_NEEDED_BY.findall(entry)) or "production"
        return f"{name}: needed by {needed_by}; remove that instead"
    return f"{name}: is not in {REQUIREMENTS}{similar(name, packages)}"
