"""``add``: adds packages to requirements.in, the lock and the environment."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from packaging.requirements import Requirement

from ds_docker_env.common.day import checked
from ds_docker_env.common.errors import RequirementsError
from ds_docker_env.common.progress import alive
from ds_docker_env.image import commands, project, requirements
from ds_docker_env.image.change import change
from ds_docker_env.image.lock import AT, production_here, read_versions
from ds_docker_env.image.project import LOCK, REQUIREMENTS
from ds_docker_env.pinning.production.model import name_of
from ds_docker_env.pinning.production.reader import parse


def run(words: Sequence[str]) -> int:
    """Add requirements; raise `GenerationError`, and change nothing then."""
    parser = commands.parser("add")
    parser.add_argument("requirements", nargs="*")
    parser.add_argument("-U", "--upgrade", action="store_true")
    parser.add_argument("-r", "--requirement", action="append", default=[])
    parser.add_argument("-q", "--quiet", action="store_true")
    parser.add_argument(*AT, default="")
    # Options of pip and uv that people type from habit; add ignores them.
    for habit in ("--no-cache-dir", "--user", "--system", "--no-input"):
        parser.add_argument(habit, action="store_true")
    asked = parser.parse_args(words)
    if not (asked.requirements or asked.requirement):
        parser.error('no package; add one, such as polars or "seaborn>=0.13"')
    wanted = _read([*asked.requirements, *_lines(asked.requirement)])
    if any(each.name == "pip" for each in wanted):
        raise RequirementsError("pip: not needed, because uv installs the packages; remove it")
    names = [each.name for each in wanted]
    production = production_here()
    known = {pin.name for pin in production.pins} | set(map(name_of, production.unpinned))
    known &= read_versions(project.read(LOCK)).keys()

    def edit(text: str) -> str:
        for each in wanted:
            # Production installs the package already.
            if not (requirements.is_bare(each) and each.name in known) or requirements.find(text, each.name):
                text = requirements.with_requirement(text, each)
        return text

    with alive(f"Adding {', '.join(names) or REQUIREMENTS}") as say:
        made = change(edit, production, names, asked.upgrade, say, checked(asked.at, AT[0]))
    if not asked.quiet:
        there = ", ".join(f"{name} {made.moves.after[name].version}" for name in names if name in made.moves.after)
        print(made.report(f"Unchanged:  {there or LOCK}"))
    elif made.only:
        print(*made.only)
    return 0


def _read(texts: Sequence[str]) -> list[Requirement]:
    wanted: list[Requirement] = []
    problems: list[str] = []
    for text in texts:
        try:
            wanted.append(requirements.requirement_of(text))
        except RequirementsError as error:
            problems += error.problems
    markers = {each.name: each.marker for each in wanted}
    problems += [
        f"{each}: {each.name} also has a different marker; write both lines in {REQUIREMENTS}, then run lock"
        for each in wanted
        if each.marker != markers[each.name]
    ]
    if problems:
        raise RequirementsError(*problems)
    return wanted


def _lines(files: Sequence[str]) -> list[str]:
    """Return the requirements in files, except this project's own files, which are installed already."""
    own = [Path(name).resolve() for name in (REQUIREMENTS, LOCK)]
    others = [file for file in files if Path(file).resolve() not in own]
    return [line.line for file in others for line in parse(project.read(file)).requirements]
