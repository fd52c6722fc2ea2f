"""``check``: whether the image holds production's versions, and whether production still names the same ones."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError

from ds_docker_env.common.errors import GenerationError, ProjectError, RequirementsError, SourceError
from ds_docker_env.common.redaction import redacted
from ds_docker_env.common.target import Target
from ds_docker_env.image import project
from ds_docker_env.image.comparison import Document, compare_places
from ds_docker_env.image.installed import ANALYSIS, read_installed
from ds_docker_env.image.template import template
from ds_docker_env.image.verdict import advice, table, verdict
from ds_docker_env.pinning.production.model import Production
from ds_docker_env.pinning.production.reader import read_production

EQUAL, DIFFERENT = 0, 1
# Seconds for a source with all that it includes.
PATIENCE = 60


def run(sources: Sequence[str]) -> int:
    """Compare the image with production.txt, and production.txt with its source; a source that is named must be there.

    Return 0 if all is equal and 1 if not; raise `GenerationError` where that cannot be found out.
    """
    location = "".join(sources)
    installed = read_installed(ANALYSIS)
    taken, lock = (_document(name, installed.target) for name in ("production.txt", "requirements.txt"))
    source, unseen = None, []
    try:
        seen = project.visible(location, "check") if location else project.named_source(taken.text, "check")
        source = _within(PATIENCE, seen, installed.target)
    except GenerationError as error:
        if location:
            raise
        unseen = [f"not compared with production's file: {problem}" for problem in error.problems]
    name = source.source if source else ""
    comparison = compare_places(taken, lock, installed, source)
    print(verdict(comparison, name))
    if comparison.rows:
        print("", table(comparison, name), "", sep="\n")
    for line in (*advice(comparison, name), *unseen, template().line):
        print(line)
    return DIFFERENT if comparison.rows else EQUAL


def _document(name: str, target: Target) -> Document:
    text = project.read(name)
    try:
        return Document(text, read_production(name, target))
    except RequirementsError as error:
        where = error.problems[0].partition(" ")[0].rstrip(":")
        raise ProjectError(f"{where}: is not as it was written; finish the merge, or get it back from git") from None


def _within(seconds: float, location: str, target: Target) -> Production:
    """Read production but give up after a while, whatever it is that hangs: a look-up of a name cannot be stopped."""
    arriving: Future[Production] = Future()

    def read() -> None:
        try:
            arriving.set_result(read_production(location, target))
        except Exception as error:
            arriving.set_exception(error)

    threading.Thread(target=read, daemon=True).start()
    try:
        return arriving.result(seconds)
    except FutureTimeoutError:
        raise SourceError(f"{redacted(location)}: did not arrive within {seconds:g} s; check the network") from None
