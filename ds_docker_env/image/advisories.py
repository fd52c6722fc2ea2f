"""Advisories of databases: vulnerabilities of packages, the versions that fix them, and the days of publication."""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from ds_docker_env.common.errors import MissingError, SourceError
from ds_docker_env.common.redaction import without_credentials
from ds_docker_env.common.sources.web import WebFile

TOOLS = Path("/opt/tools/bin")
# Seconds for pip-audit, which has a timeout for silent connections only.
_LONGEST = 300
_PIP_AUDIT = "--requirement=/dev/stdin --disable-pip --progress-spinner=off --format=json --output=stdout --desc=off"
# Seconds for all dates; an audit is complete without them.
_DATES = 20


class Advisory(NamedTuple):
    """A vulnerability of an installed version: its names, the versions that fix it, and its name in OSV's database."""

    package: str
    version: str
    ids: tuple[str, ...]
    fixed: str
    record: str


class Group(NamedTuple):
    """Vulnerabilities with one remedy, in which ``{}`` stands for options, or for information without a remedy."""

    title: str
    advisories: list[Advisory]
    remedy: str = ""

    @property
    def to_do(self) -> str:
        names = dict.fromkeys(each.package for each in self.advisories)
        return self.remedy.format(" ".join(f"--upgrade-package {name}" for name in names))


def ask(lock: str, options: Sequence[str], seconds: float = _LONGEST) -> list[dict[str, Any]]:
    """Return the advisories for a lock; raise `ValueError` if the database does not answer."""
    command = [f"{TOOLS}/pip-audit", *options, *_PIP_AUDIT.split()]
    try:
        said = subprocess.run(command, input=lock, capture_output=True, text=True, check=False, timeout=seconds)
    except subprocess.TimeoutExpired:
        raise ValueError(f"incomplete answer after {seconds:.0f} s") from None
    try:
        return [answer for answer in json.loads(said.stdout)["dependencies"] if "vulns" in answer]
    except ValueError:
        reasons = re.findall(r"^(?:ERROR:[\w.]+:(?!Tip)|(?=[\w.-]+: ))(.+)", said.stderr, re.MULTILINE)
        raise ValueError(without_credentials(_plain((reasons or ["pip-audit was stopped"])[-1]))[:500]) from None


def _plain(reason: str) -> str:
    """Return a reason of pip-audit, without the objects in an exception of requests that it does not handle."""
    if not (found := re.match(r"requests\.exceptions\.\w+: .*?host='([^']+)'", reason)):
        return reason
    why = re.search(r"\[Errno -?\d+\] ([\w ]+)|(timed out|certificate verify failed)", reason)
    return f"{found[1]}: cannot be reached" + (f" ({why[1] or why[2]})" if why else "")


def published(records: Iterable[str], url: str) -> dict[str, str]:
    """Return the days on which these records of OSV's database were published, as far as it has them.

    ``url`` is that of the database, https://google.github.io/osv.dev/get-v1-vulns/
    """
    found = {}
    until = time.monotonic() + _DATES
    for each in dict.fromkeys(records):
        try:
            answer = WebFile(f"{url}{quote(each)}").read()
        except MissingError:
            continue
        except SourceError:
            break
        with suppress(ValueError, KeyError, TypeError):
            found[each] = str(json.loads(answer)["published"])[:10]
        if time.monotonic() > until:
            break
    return found
