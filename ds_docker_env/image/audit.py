"""``audit``: finds known vulnerabilities in the locks and Debian's packages, and unsafe code in src."""

from __future__ import annotations

import argparse
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name, canonicalize_version
from rich.console import Console
from rich.table import Table

from ds_docker_env.common.errors import GenerationError, ProjectError
from ds_docker_env.image import commands, project, tracker
from ds_docker_env.image.accepted import FILE, Accepted, read, without
from ds_docker_env.image.advisories import TOOLS, Advisory, Group, ask, published
from ds_docker_env.pinning.parity import entries, name_of_entry

CLEAN, TODO, FAILED = 0, 1, 2
# An analysis may use assert and random, and start programs.
_RULES = "--select=S --ignore=S101,S311,S603,S607 --extend-exclude=src/data --no-cache --quiet --output-format=concise"
_LOCK = "docker compose run --rm jupyter lock"
_DATABASE = "to ask another database, run: audit --vulnerability-service osv"


def run(options: Sequence[str]) -> int:
    """Print vulnerabilities of locked packages and Debian's packages, and unsafe code in src.

    ``options`` go on to pip-audit, apart from two of this command. Return 0 if there is nothing to do, 1 if there is,
    and 2 if a part of the audit failed. Raise `ProjectError` for an option of pip-audit that audit.toml replaces.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    asked, options = _words(options)
    accepted, todo = _accepted()
    groups: list[Group] = []
    audited: list[str] = []
    failed = False
    database = "check the network, and run audit again" if "osv" in " ".join(options) else _DATABASE
    audits: list[tuple[str, str, Callable[[], tuple[list[Group], str]]]] = [
        ("the packages in requirements.txt and tools.txt", database, lambda: _python(options)),
        ("Debian's packages", "to leave them out, run: audit --no-debian", _debian),
    ]
    for what, advice, audit in audits[: 1 if asked.no_debian else 2]:
        try:
            found, said = audit()
        except (ValueError, GenerationError) as error:
            failed = True
            print(
                f"audit: {what} are not audited and may have vulnerabilities: {error}; "
                f"behind a proxy, set HTTPS_PROXY; {advice}",
                file=sys.stderr,
            )
        else:
            groups += found
            audited.append(said)
    left, unneeded = without(groups, accepted)
    shown = [group for group in left if group.advisories and (group.remedy or asked.unfixed)]
    dates = published((each.record for group in shown for each in group.advisories), _osv(options))
    for group in shown:
        _show(group, dates)
    if counted := sum(len(group.advisories) for group in left if group not in shown):
        print(f"Vulnerabilities that Debian has not fixed: {counted}; to list them, run: audit --unfixed")
    if unneeded and not (failed or asked.no_debian):
        for each in unneeded:
            print(f"{FILE}:{each.line}: {each.id}: does not match a vulnerability; remove it")
    todo += [group.to_do for group in shown if group.remedy]
    unsafe, silent = _src()
    failed |= silent
    if todo := [*todo, *unsafe]:
        print("To do:", "; ".join(todo))
    elif not failed:
        omitted = " Debian's packages are not audited." if asked.no_debian else ""
        print(f"No known vulnerability to fix in {' and '.join(audited)}; nothing unsafe in src.{omitted}")
    return FAILED if failed else TODO if todo else CLEAN


def _words(options: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    parser = commands.parser("audit")
    parser.add_argument("--no-debian", action="store_true")
    parser.add_argument("--unfixed", action="store_true")
    parser.add_argument("--ignore-vuln", action="append")
    asked, others = parser.parse_known_args(options)
    if asked.ignore_vuln:
        raise ProjectError(
            f"--ignore-vuln: lacks a reason and a date; accept {', '.join(asked.ignore_vuln)} in {FILE} instead "
            "(docs/how-to/audit.md of the template)"
        )
    return asked, others


def _accepted() -> tuple[list[Accepted], list[str]]:
    """Return accepted vulnerabilities, and a remedy if the file has errors, which are printed."""
    if not Path(FILE).exists():
        return [], []
    accepted, problems = read(project.read(FILE), datetime.now(timezone.utc).date())
    if problems:
        print(*problems, "", sep="\n")
    return accepted, [f"correct {FILE}"] if problems else []


def _python(options: Sequence[str]) -> tuple[list[Group], str]:
    """Return the advisories for the packages in both locks, and how many were audited; raise `ValueError`."""
    lock, tools = _read("requirements.txt"), _read("tools.txt")
    if not lock:
        raise ValueError(f"{Path.cwd()}: requirements.txt is missing or empty")
    parts = _parts(lock, tools)
    names = {name for part in parts for name in re.findall(r"^\w[\w.-]*", part, re.MULTILINE)}
    with Console(stderr=True).status(f"Asking for advisories on {len(names)} packages"):
        answers = [answer for part in parts for answer in ask(part, options)]
    if not answers:
        raise ValueError(f"the database of advisories does not know any of the {len(names)} packages")
    asked = {pin for part in parts for pin in _pins(part)}
    # A package from a URL lacks a version to ask for.
    asked |= {(name, "") for name in names - {name for name, _ in asked}}
    if unknown := sorted({name for name, _ in asked - {_pin(answer["name"], answer["version"]) for answer in answers}}):
        print("Not audited, because the database of advisories does not know them:", ", ".join(unknown), "\n")
    pins = re.findall(r"^([\w.-]+)\S*?={2,3}([^\s;]+)", _read("production.txt", "constraints.txt"), re.MULTILINE)
    production = {_pin(name, version) for name, version in pins}
    analysis = _pins(lock)

    def known(belongs: Callable[[tuple[str, str]], bool]) -> list[Advisory]:
        return [
            _advisory(answer, found)
            for answer in answers
            if belongs(_pin(answer["name"], answer["version"]))
            for found in sorted(answer["vulns"], key=lambda found: str(found["id"]))
        ]

    today = datetime.now(timezone.utc).date()
    groups = [
        Group(
            "Inherited from production:",
            known(lambda pin: pin in analysis & production),
            "fix production's pins in production, then run take-over",
        ),
        Group(
            "Added by the analysis:",
            known(lambda pin: pin in analysis - production),
            # Without a day, lock would refuse a fix released today.
            f"{_LOCK} {{}} --at {today}",
        ),
        Group(
            "JupyterLab and other tools:",
            known(lambda pin: pin in _pins(tools)),
            "update the project to a newer template, which renews tools.txt",
        ),
    ]
    return groups, f"{len(names) - len(unknown)} of {len(names)} packages"


def _debian() -> tuple[list[Group], str]:
    """Return the advisories for Debian's packages, and their number; raise `GenerationError`."""
    packages = tracker.installed()
    fixed, unfixed = tracker.known(tracker.download(tracker.release()), packages)
    renew = "renew the base image (docs/how-to/base-image.md of the template), then run: docker compose up --build"
    groups = [Group("Fixed by Debian:", fixed, renew), Group("Not fixed by Debian:", unfixed)]
    return groups, f"{len(packages)} Debian packages"


def _src() -> tuple[list[str], bool]:
    """Print unsafe code in src; return the remedy, and whether ruff failed."""
    src = subprocess.run(
        [TOOLS / "ruff", "check", *_RULES.split(), "src"], stdout=subprocess.PIPE, text=True, check=False
    )
    if src.returncode == 1:
        print("Unsafe in src:", src.stdout, sep="\n")
        return ["change src, or end safe lines with a comment such as # noqa: S301"], False
    if src.returncode:
        print("audit: src is not audited; see ruff's error above", file=sys.stderr)
    return [], bool(src.returncode)


def _parts(*locks: str) -> list[str]:
    """Return locks in parts without markers, because pip-audit takes one version of a package in each."""
    parts: list[dict[str, str]] = []
    seen: set[tuple[str, str]] = set()
    for entry in (entry for lock in locks for entry in entries(lock)):
        name, pin = name_of_entry(entry), _pins(entry)
        if pin & seen:
            continue
        seen |= pin
        if not (free := [part for part in parts if name not in part]):
            parts.append({})
            free = parts[-1:]
        free[0][name] = re.sub(r" ;[^\\\n]*", "", entry, count=1)
    return ["".join(part.values()) for part in parts]


def _pins(lock: str) -> set[tuple[str, str]]:
    """Return normalised names and versions in a lock."""
    return {_pin(name, version) for name, version in re.findall(r"^(\w[\w.-]*)\S*?==([^\s;\\]+)", lock, re.MULTILINE)}


def _advisory(answer: dict[str, Any], found: dict[str, Any]) -> Advisory:
    fixed = ", ".join(found["fix_versions"]) or "no version yet"
    return Advisory(answer["name"], answer["version"], (found["id"], *sorted(found["aliases"])), fixed, found["id"])


def _osv(options: Sequence[str]) -> str:
    """Return the address at which OSV answers for one advisory, also of a company's copy."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--osv-url", default=os.environ.get("PIP_AUDIT_OSV_URL", "https://api.osv.dev/v1/query"))
    return str(parser.parse_known_args(options)[0].osv_url).removesuffix("/query") + "/vulns/"


def _show(group: Group, dates: Mapping[str, str]) -> None:
    table = Table("Package", "Version", "Advisory", "Known since", "Fixed in", box=None)
    for each in group.advisories:
        table.add_row(each.package, each.version, ", ".join(each.ids), dates.get(each.record, ""), each.fixed)
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 1000)
    console.print(group.title, table, "", sep="\n")


def _read(*names: str) -> str:
    text = "".join(Path(name).read_text(encoding="utf-8") for name in names if Path(name).exists())
    # The database lists 2.13.0+cpu as 2.13.0.
    return re.sub(r"^(\S+==[^\s;+]+)\+[^\s;]+", r"\1", text, flags=re.MULTILINE)


def _pin(name: str, version: str) -> tuple[str, str]:
    return canonicalize_name(name), canonicalize_version(version)
