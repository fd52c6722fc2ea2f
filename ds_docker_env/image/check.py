"""``check``: compares the installed versions with production.txt, and production.txt with production's file."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import nullcontext
from pathlib import Path

from ds_docker_env.common.errors import GenerationError, ProjectError, RequirementsError, SourceError
from ds_docker_env.common.progress import alive
from ds_docker_env.common.redaction import redacted
from ds_docker_env.common.target import Target
from ds_docker_env.image import commands, hold, installed, overlay, project
from ds_docker_env.image.background import begin
from ds_docker_env.image.comparison import Comparison, Document, compare_places
from ds_docker_env.image.lock import overrides_here, unsuited
from ds_docker_env.image.meaning import explain
from ds_docker_env.image.needs import unmet
from ds_docker_env.image.project import LOCK, PRODUCTION
from ds_docker_env.image.template import template
from ds_docker_env.image.verdict import advice, problem, table, verdict
from ds_docker_env.pinning.moves import Moves
from ds_docker_env.pinning.production.model import Production, name_of
from ds_docker_env.pinning.production.reader import read_production

EQUAL, DIFFERENT = 0, 1
# Seconds for a source with all that it includes.
PATIENCE = 60


def run(words: Sequence[str]) -> int:
    """Compare the installed packages with production.txt, and production.txt with its source.

    Return 0 if all agree, else 1. Raise `GenerationError` if they cannot be compared. A source that is missing is an
    error only if it is named.
    """
    parser = commands.parser("check")
    parser.add_argument("source", nargs="?", default="")
    location = parser.parse_args(words).source
    environment = overlay.current()
    here = installed.read_installed(environment)
    taken, lock = (_document(name, here.target) for name in (PRODUCTION, LOCK))
    source, unseen = None, []
    try:
        seen = project.visible(location, "check") if location else project.named_source(taken.text, "check")
        source = _within(PATIENCE, seen, here.target)
    except GenerationError as error:
        if location:
            raise
        unseen = [f"not compared with production's file: {problem}" for problem in error.problems]
    name = source.source if source else ""
    comparison = compare_places(taken, lock, here, source)
    print(verdict(comparison, name))
    if environment != installed.ANALYSIS:
        newer = Moves(installed.read_installed(installed.ANALYSIS).packages, here.packages).lines
        print("", "Since the image was built:", *newer, "", sep="\n")
    if comparison.rows:
        print("", table(comparison, name), "", sep="\n", flush=True)
        _explain(comparison, {**taken.says.indexes, **(source.indexes if source else {})})
    problems, contradictions = _problems(environment, taken, lock, here.target)
    held = hold.lines(taken.text)
    for line in (*advice(comparison, name), *problems, *contradictions, *unseen, *held, template().line):
        print(line)
    return DIFFERENT if comparison.rows or problems else EQUAL


def _explain(comparison: Comparison, indexes: Iterable[str]) -> None:
    """Print facts about the moves that would make all places agree."""
    moves = comparison.moves
    with alive("Looking up details of the moves") if moves.differences else nullcontext():
        words, silent = explain(moves, comparison.target, indexes)
    said = [f"{versions}  {words[name]}" for name, (_, versions) in moves.differences.items() if name in words]
    if lines := [*said, *silent]:
        print(*lines, "", sep="\n")


def _problems(environment: Path, taken: Document, lock: Document, target: Target) -> tuple[list[str], list[str]]:
    """Return why the packages may not work here, and the conflicts that production has, too."""
    overrides = {name_of(line) for line in overrides_here()}
    python = installed.patch_release(installed.ANALYSIS)
    needs, others = unmet(environment)
    foreign = unsuited(lock.text, target)
    problems, contradictions = [foreign, *others] if foreign else others, []
    for need in needs:
        if need.is_productions(taken.says, overrides):
            contradictions.append(f"{need}; production runs both")
        else:
            problems.append(problem(need, lock.text, target, python))
    return problems, contradictions


def _document(name: str, target: Target) -> Document:
    text = project.read(name)
    try:
        return Document(text, read_production(name, target))
    except RequirementsError as error:
        where = error.problems[0].partition(" ")[0].rstrip(":")
        raise ProjectError(f"{where}: invalid; resolve the merge conflict, or restore the file from git") from None


def _within(seconds: float, location: str, target: Target) -> Production:
    """Read production within a time limit, even if a part cannot be stopped, such as a DNS lookup."""
    try:
        return begin(read_production, location, target).result(seconds)
    except FutureTimeoutError:
        raise SourceError(f"{redacted(location)}: not downloaded within {seconds:g} s; check the network") from None
