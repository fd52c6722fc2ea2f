"""What databases know of packages: vulnerabilities, the versions that fix them, and since when they are known."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from contextlib import suppress
from typing import NamedTuple
from urllib.parse import quote

from ds_docker_env.common.errors import SourceError
from ds_docker_env.common.sources.web import WebFile

# Seconds for all dates, without which an audit is complete.
_DATES = 20


class Advisory(NamedTuple):
    """A vulnerability of an installed version: its names, the versions that fix it, and its name in OSV's database."""

    package: str
    version: str
    ids: tuple[str, ...]
    fixed: str
    record: str


class Group(NamedTuple):
    """Vulnerabilities with the same remedy, where ``{}`` stands for options; without one they are for information."""

    title: str
    advisories: list[Advisory]
    remedy: str = ""

    @property
    def to_do(self) -> str:
        names = dict.fromkeys(each.package for each in self.advisories)
        return self.remedy.format(" ".join(f"--upgrade-package {name}" for name in names))


def published(records: Iterable[str], url: str) -> dict[str, str]:
    """Return the days on which these records of OSV's database were published, of those that it can tell.

    ``url`` is that of the database, https://google.github.io/osv.dev/get-v1-vulns/
    """
    found = {}
    until = time.monotonic() + _DATES
    for each in dict.fromkeys(records):
        try:
            answer = WebFile(f"{url}{quote(each)}").read()
        except SourceError as error:
            if "answers 404" in str(error):
                continue
            break
        with suppress(ValueError, KeyError, TypeError):
            found[each] = str(json.loads(answer)["published"])[:10]
        if time.monotonic() > until:
            break
    return found
