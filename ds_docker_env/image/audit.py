"""``audit``: known vulnerabilities in the lock, by pip-audit, and unsafe code in src, by ruff."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name, canonicalize_version
from rich.console import Console
from rich.table import Table

from ds_docker_env.common.redaction import without_credentials
from ds_docker_env.pinning.parity import entries, name_of_entry

TOOLS = Path("/opt/tools/bin")
CLEAN, TODO, FAILED = 0, 1, 2
# assert, random and starting a program are ordinary in an analysis.
_RULES = "--select=S --ignore=S101,S311,S603,S607 --extend-exclude=src/data --no-cache --quiet --output-format=concise"
_PIP_AUDIT = "--requirement=/dev/stdin --disable-pip --progress-spinner=off --format=json --output=stdout --desc=off"


def run(options: Sequence[str]) -> int:
    """Say what is known of the packages in requirements.txt and what is unsafe in src; return 0, 1 or 2.

    ``options`` go on to pip-audit. 1: there is something to do; 2: it could not be found out.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    todo: list[str] = []
    failed = False
    try:
        audited, todo = _audit_packages(options)
    except ValueError as error:
        failed = True
        print(
            f"audit: requirements.txt is not audited and may hold vulnerabilities: {error}; "
            "behind a proxy set HTTPS_PROXY, or ask another database with --vulnerability-service osv",
            file=sys.stderr,
        )
    src = subprocess.run(
        [TOOLS / "ruff", "check", *_RULES.split(), "src"], stdout=subprocess.PIPE, text=True, check=False
    )
    if src.returncode == 1:
        print("Unsafe in src:", src.stdout, sep="\n")
        todo.append("change src, or end a line that is safe with a comment such as # noqa: S301")
    elif src.returncode:
        failed = True
        print("audit: src is not audited; ruff says above why", file=sys.stderr)
    if todo:
        print("To do:", "; ".join(todo))
    elif not failed:
        print(f"No known vulnerability in {audited}, nothing unsafe in src.")
    return FAILED if failed else TODO if todo else CLEAN


def _audit_packages(options: Sequence[str]) -> tuple[str, list[str]]:
    """Show what is known, and return how many packages were audited and what is to do; raise `ValueError`."""
    lock = _read("requirements.txt")
    names = set(map(canonicalize_name, re.findall(r"^\w[\w.-]*", lock, re.MULTILINE)))
    if not names:
        raise ValueError(f"{Path.cwd()} has none, or it is empty")
    with Console(stderr=True).status(f"Asking for advisories on {len(names)} packages"):
        answers = [answer for part in _parts(lock) for answer in _ask(part, options)]
    if not answers:
        raise ValueError(f"the database of advisories knows none of its {len(names)} packages")
    pins = re.findall(r"^([\w.-]+)\S*?={2,3}([^\s;]+)", _read("production.txt", "constraints.txt"), re.MULTILINE)
    production = {_pin(name, version) for name, version in pins}
    vulnerable = [answer for answer in answers if answer["vulns"]]
    inherited = [answer for answer in vulnerable if _pin(answer["name"], answer["version"]) in production]
    added = [answer for answer in vulnerable if answer not in inherited]
    todo = []
    if inherited:
        _show("Inherited from production:", inherited)
        todo.append("fix production's pins in production, then run take-over")
    if added:
        _show("Added by the analysis:", added)
        newer = " ".join(f"--upgrade-package {answer['name']}" for answer in added)
        todo.append(f"docker compose run --rm jupyter lock {newer}")
    known = {canonicalize_name(answer["name"]) for answer in answers}
    if unknown := sorted(names - known):
        print("Not audited, because the database of advisories does not know them:", ", ".join(unknown), "\n")
    return f"{len(known)} of {len(names)} packages", todo


def _parts(lock: str) -> list[str]:
    """Return a lock in parts without markers, because pip-audit takes one version of a package in each."""
    parts: list[dict[str, str]] = []
    for entry in entries(lock):
        name = name_of_entry(entry)
        if not (free := [part for part in parts if name not in part]):
            parts.append({})
            free = parts[-1:]
        free[0][name] = re.sub(r" ;[^\\\n]*", "", entry, count=1)
    return ["".join(part.values()) for part in parts]


def _ask(lock: str, options: Sequence[str]) -> list[dict[str, Any]]:
    """Return what the database of advisories knows; raise `ValueError` if it does not answer."""
    command = [f"{TOOLS}/pip-audit", *options, *_PIP_AUDIT.split()]
    said = subprocess.run(command, input=lock, capture_output=True, text=True, check=False)
    try:
        return [answer for answer in json.loads(said.stdout)["dependencies"] if "vulns" in answer]
    except ValueError:
        reasons = re.findall(r"^(?:ERROR:[\w.]+:(?!Tip)|(?=[\w.-]+: ))(.+)", said.stderr, re.MULTILINE)
        raise ValueError(without_credentials((reasons or ["pip-audit was stopped"])[-1])[:500]) from None


def _show(title: str, answers: Sequence[dict[str, Any]]) -> None:
    table = Table("Package", "Version", "Advisory", "Fixed in", box=None)
    for answer in answers:
        for advisory in sorted(answer["vulns"], key=lambda advisory: str(advisory["id"])):
            ids = ", ".join([advisory["id"], *sorted(advisory["aliases"])])
            fixed = ", ".join(advisory["fix_versions"]) or "no version yet"
            table.add_row(answer["name"], answer["version"], ids, fixed)
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 1000)
    console.print(title, table, "", sep="\n")


def _read(*names: str) -> str:
    text = "".join(Path(name).read_text(encoding="utf-8") for name in names if Path(name).exists())
    # Advisories for 2.13.0+cpu are under 2.13.0.
    return re.sub(r"^(\S+==[^\s;+]+)\+[^\s;]+", r"\1", text, flags=re.MULTILINE)


def _pin(name: str, version: str) -> tuple[str, str]:
    return canonicalize_name(name), canonicalize_version(version)
