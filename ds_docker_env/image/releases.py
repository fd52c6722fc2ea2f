"""Facts about versions from package indexes, the database of advisories and the metadata of packages."""

from __future__ import annotations

import os
import re
import string
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import suppress
from datetime import datetime
from email.parser import HeaderParser
from importlib.metadata import distributions
from pathlib import Path
from typing import NamedTuple, TypeVar

from packaging.utils import canonicalize_name

from ds_docker_env.common.errors import GenerationError, StallError
from ds_docker_env.common.redaction import excerpt, printable
from ds_docker_env.common.sources.web import WebFile
from ds_docker_env.common.target import Target
from ds_docker_env.image import advisories, overlay
from ds_docker_env.image.background import begin
from ds_docker_env.pinning.builds import Building
from ds_docker_env.pinning.production.model import Production, as_lines
from ds_docker_env.pinning.resolver import Resolver
from ds_docker_env.pinning.wheels import Offer, read_offers

# Seconds for all facts, which are optional, and for a silent database, such as behind a firewall.
LONGEST, _SILENCE = 20, 5
# In each round, uv names one version that an index lacks.
_ROUNDS = 8
_CONNECTIONS = 8
# Normalised labels, the best first, https://packaging.python.org/en/latest/specifications/well-known-project-urls/
_CHANGELOGS = ("changelog", "changes", "whatsnew", "history", "releasenotes")
_NOT_IN_LABELS = str.maketrans("", "", string.punctuation + string.whitespace)
_ADDRESS = re.compile(r"https?://[!-~]{1,200}")

Versions = Mapping[str, str]
T = TypeVar("T")


class Release(NamedTuple):
    """A version and the facts about it; ``uploaded`` is the time of its first file.

    ``vulnerabilities`` holds all names of each; it is None if the database does not know the version.
    """

    version: str
    uploaded: datetime | None = None
    yanked: bool = False
    vulnerabilities: frozenset[frozenset[str]] | None = None
    changelog: str = ""


class Facts(NamedTuple):
    """Facts about old and new versions by normalised name, and a line for each source that did not answer."""

    old: Mapping[str, Release]
    new: Mapping[str, Release]
    silent: Sequence[str]


def look_up(old: Versions, new: Versions, target: Target, indexes: Iterable[str] = ()) -> Facts:
    """Return the facts about versions by normalised name, as far as they arrive within `LONGEST` seconds.

    ``indexes`` are option lines of production's file. uv.toml is read from the working directory.
    """
    until = time.monotonic() + LONGEST
    # Without a network, uv would retry for 11 s. Commands run uv with a network only before this.
    os.environ.setdefault("UV_HTTP_RETRIES", "2")
    silent: dict[str, str] = {}
    asked = [begin(_files, versions, target, [*indexes], until) for versions in (old, new)]
    advised = [begin(_vulnerabilities, versions, until) for versions in (old, new)]
    files = [_arrived(each, until, "yanked releases and release dates", silent) for each in asked]
    wheels = [(name, each.wheel) for name, each in files[1].items() if each.wheel]
    reading = [begin(_installed_changelogs, new.keys())]
    reading += [begin(_read_changelogs, wheels[first::_CONNECTIONS], until) for first in range(_CONNECTIONS)]
    vulnerabilities = [_arrived(each, until, "vulnerabilities", silent) for each in advised]
    changelogs: dict[str, str] = {}
    for each in reading:
        changelogs |= _arrived(each, until, "changelogs", silent)

    def releases(side: int, versions: Versions) -> dict[str, Release]:
        return {
            name: Release(
                version,
                files[side][name].uploaded if name in files[side] else None,
                name in files[side] and files[side][name].yanked,
                vulnerabilities[side].get(name),
                changelogs.get(name, ""),
            )
            for name, version in versions.items()
        }

    return Facts(releases(0, old), releases(1, new), [*silent.values()])


def changelog_of(metadata: Iterable[str]) -> str:
    """Return the address of the changelog among values of ``Project-URL``, or nothing."""
    found: dict[str, str] = {}
    for label, _, address in (each.partition(",") for each in metadata):
        if _ADDRESS.fullmatch(address.strip()):
            found.setdefault(label.translate(_NOT_IN_LABELS).lower(), address.strip())
    return next((found[label] for label in _CHANGELOGS if label in found), "")


def _files(versions: Versions, target: Target, indexes: Iterable[str], until: float) -> dict[str, Offer]:
    """Ask uv, which has the logins, for the files of versions, except versions that an index lacks."""
    production = Production("", "", indexes=dict.fromkeys(indexes, ""))
    settings = Path("uv.toml")
    building = Building(settings.read_text(encoding="utf-8") if settings.exists() else "")
    wanted = dict(versions)

    def say(_: str) -> None:
        if time.monotonic() > until:
            raise StallError(_late())

    with tempfile.TemporaryDirectory(prefix="ds-docker-env-") as folder:
        resolver = Resolver(Path(folder), production, set(), target, building=building, say=say)
        for _ in range(_ROUNDS):
            say("")
            if not wanted:
                return {}
            attempt = resolver.files([f"{name}=={version}" for name, version in wanted.items()])
            if attempt.text:
                return dict(read_offers(attempt, target))
            if wanted.keys().isdisjoint(attempt.names):
                raise ValueError(attempt.said)
            wanted = {name: version for name, version in wanted.items() if name not in attempt.names}
    raise ValueError(f"the index lacks {', '.join(sorted(versions.keys() - wanted.keys()))} and others")


def _vulnerabilities(versions: Versions, until: float) -> dict[str, frozenset[frozenset[str]]]:
    """Return the vulnerabilities of each version; raise `ValueError` if the database does not know any version."""
    if not versions:
        return {}
    # The database lists 2.13.0+cpu as 2.13.0.
    pins = as_lines(f"{name}=={version.partition('+')[0]}" for name, version in versions.items())
    try:
        answers = advisories.ask(pins, ["--no-deps", f"--timeout={_SILENCE}"], max(1, until - time.monotonic()))
    except (ValueError, OSError):
        why = "not looked up, because the database of advisories does not answer (run audit to see why)"
        raise ValueError(why) from None
    if not answers:
        raise ValueError("not looked up, because the database of advisories does not know these versions")
    return {
        canonicalize_name(answer["name"]): frozenset(
            frozenset([found["id"], *found["aliases"]]) for found in answer["vulns"]
        )
        for answer in answers
    }


def _read_changelogs(wheels: Sequence[tuple[str, str]], until: float) -> dict[str, str]:
    """Read the addresses of changelogs from the metadata beside wheels, where an index has it.

    https://packaging.python.org/en/latest/specifications/simple-repository-api/
    """
    found = {}
    for name, wheel in wheels:
        if time.monotonic() > until:
            break
        with suppress(GenerationError):
            text = WebFile(f"{wheel}.metadata", seconds=LONGEST).read().decode(errors="replace")
            found[name] = changelog_of(HeaderParser().parsestr(text).get_all("Project-URL", []))
    return {name: address for name, address in found.items() if address}


def _installed_changelogs(names: Iterable[str]) -> dict[str, str]:
    """Return the addresses of changelogs in the environment of the analysis."""
    wanted = set(names)
    found: dict[str, str] = {}
    for each in distributions(path=list(map(str, overlay.current().glob("lib/python3*/site-packages")))):
        name = canonicalize_name(each.metadata["Name"] or "")
        if name in wanted and (address := changelog_of(each.metadata.get_all("Project-URL", []))):
            found.setdefault(name, address)
    return found


def _arrived(answer: Future[dict[str, T]], until: float, subject: str, silent: dict[str, str]) -> dict[str, T]:
    """Return an answer, or nothing and a line about it in ``silent``."""
    try:
        # Work with the same limit ends first.
        return answer.result(max(0.0, until + 1 - time.monotonic()))
    except FutureTimeoutError:
        why = _late()
    except Exception as error:
        why = str(error).partition(";")[0]
    silent.setdefault(subject, f"Not known:  {subject}: {printable(excerpt(why))}")
    return {}


def _late() -> str:
    return f"no answer within {LONGEST} s"
