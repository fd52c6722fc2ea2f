"""The commands of a project's container: ``check`` and ``take-over``."""

from __future__ import annotations

import argparse
import json
import os
import pkgutil
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ds_docker_env.common.errors import GenerationError, ProjectError, RequirementsError, SourceError
from ds_docker_env.common.logins import LOGINS
from ds_docker_env.common.progress import alive
from ds_docker_env.common.redaction import redacted
from ds_docker_env.common.target import Target
from ds_docker_env.image import project
from ds_docker_env.image.comparison import Document, compare_places
from ds_docker_env.image.installed import read_installed
from ds_docker_env.image.takeover import take_over
from ds_docker_env.image.verdict import advice, table, verdict
from ds_docker_env.pinning.production.model import Production
from ds_docker_env.pinning.production.reader import read_production

ANALYSIS = Path("/opt/analysis")
EQUAL, DIFFERENT, FAILED, STOPPED = 0, 1, 2, 130
# Seconds for a source with all that it includes.
PATIENCE = 60
_CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run ``check`` or ``take-over``, which the first argument names, in the project folder; exit with its code."""
    name, *rest = arguments or sys.argv[1:] or [""]
    if name not in _COMMANDS:
        sys.exit(f"{name!r}: is no command; name one of {', '.join(_COMMANDS)}")
    run, purpose, outcome = _COMMANDS[name]
    parser = argparse.ArgumentParser(prog=name, description=purpose)
    parser.add_argument("source", nargs="?", default="", help=_SOURCE)
    asked = parser.parse_args(rest)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        _settle()
        code = run(asked.source)
    except GenerationError as error:
        # The container has no other netrc.
        print(error.report(f"{name}: {outcome}").replace("~/.netrc", LOGINS.as_posix()), file=sys.stderr)
        code = FAILED
    except OSError as error:
        print(f"{name}: {outcome}: {error.filename}: {error.strerror}; look at its owner and rights", file=sys.stderr)
        code = FAILED
    except KeyboardInterrupt:
        print(f"\n{name}: stopped; {outcome}", file=sys.stderr)
        code = STOPPED
    sys.exit(code)


def check(location: str) -> int:
    """Compare the image with production.txt, and production.txt with its source; a source that is named must be there.

    Return 0 if all is equal and 1 if not; raise `GenerationError` where that cannot be found out.
    """
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
    for line in (*advice(comparison, name), *unseen):
        print(line)
    return DIFFERENT if comparison.rows else EQUAL


def renew(location: str) -> int:
    """Take over the production file at a location, by default where the last one came from; raise `GenerationError`."""
    target = read_installed(ANALYSIS).target
    if location:
        location = project.visible(location, "take-over")
    else:
        location = project.named_source(project.read("production.txt"), "take-over")
    with alive(f"Locking production's versions for Python {target.python}"):
        summary = take_over(location, target, **_shipped())
    print(*summary, "Next:       docker compose up --build", sep="\n")
    return EQUAL


def _document(name: str, target: Target) -> Document:
    text = project.read(name)
    try:
        return Document(text, read_production(name, target))
    except RequirementsError as error:
        where = error.problems[0].partition(" ")[0].rstrip(":")
        raise ProjectError(f"{where}: is not as it was written; finish the merge, or get it back from git") from None


def _within(seconds: float, location: str, target: Target) -> Production:
    """Read production but give up after a while, whatever it is that hangs: a look-up of a name cannot be stopped."""
    outcome: list[Production | GenerationError] = []

    def read() -> None:
        try:
            outcome.append(read_production(location, target))
        except GenerationError as error:
            outcome.append(error)

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    thread.join(seconds)
    if not outcome:
        raise SourceError(f"{redacted(location)}: did not arrive within {seconds:g} s; check the network")
    if isinstance(outcome[0], GenerationError):
        raise outcome[0]
    return outcome[0]


def _shipped() -> dict[str, Any]:
    """Return what `archive` put beside the code."""
    shipped: dict[str, Any] = json.loads(pkgutil.get_data(__package__, "shipped.json") or b"{}")
    return shipped


def _settle() -> None:
    """Trust the certificates that the image trusts, and use the logins that the project has."""
    if Path(_CERTIFICATES).exists():
        os.environ.setdefault("REQUESTS_CA_BUNDLE", os.environ.get("SSL_CERT_FILE", _CERTIFICATES))
    if LOGINS.exists() and LOGINS.stat().st_size:
        os.environ.setdefault("NETRC", str(LOGINS.absolute()))


_COMMANDS = {
    "check": (
        check,
        "Compare this image with production.txt, and production.txt with production's file.",
        "nothing was compared",
    ),
    "take-over": (
        renew,
        "Lock a newer production file with requirements.in: everything is written, or nothing.",
        "nothing was changed",
    ),
}
_SOURCE = (
    "a path in the project or mounted, an http(s) URL, git+URL@REF#PATH, or - for what is piped in; "
    "default: what production.txt names"
)
