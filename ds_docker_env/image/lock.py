"""``lock``: the command in the header of requirements.txt, run again."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from ds_docker_env.common.errors import ProjectError
from ds_docker_env.image import project
from ds_docker_env.pinning.resolver import header, same_versions

_LOCK = "requirements.txt"


def run(options: Sequence[str]) -> int:
    """Lock requirements.in again, with further options for uv; return uv's exit code.

    A lock that would only be newer stays as it is, so that the image is not built again. Raise `ProjectError` where the
    header does not name the command.
    """
    before = project.read(_LOCK)
    command = locking_command(before)
    if limit := _exclude_newer(options):
        os.environ["UV_EXCLUDE_NEWER"] = limit
    made, version = header(shlex.join(command)).split("\n")
    notes = re.findall(r"^# production runs .*$", re.match(r"(?:#.*\n)*", before)[0], re.MULTILINE)  # type: ignore[index]
    os.environ["UV_CUSTOM_COMPILE_COMMAND"] = "\n".join([made, *notes, version])
    print("+", shlex.join([*command, *options]), file=sys.stderr, flush=True)
    done = subprocess.run([*command, *options], stdout=subprocess.DEVNULL, check=False)
    if same_versions(before, project.read(_LOCK)):
        Path(_LOCK).write_text(before, encoding="utf-8", newline="\n")
    return done.returncode


def locking_command(text: str) -> list[str]:
    """Return the words of the command in the header of a lock; raise `ProjectError` if there is none."""
    found = re.search(r"^#    (uv pip compile .*)$", text, re.MULTILINE)
    if not found:
        raise ProjectError(f"{_LOCK}: the header does not name the command that made it; restore the file from git")
    return shlex.split(found[1])


def _exclude_newer(options: Sequence[str]) -> str:
    given = [option.partition("=")[2] for option in options if option.startswith("--exclude-newer=")]
    given += [value for option, value in pairwise(options) if option == "--exclude-newer"]
    return given[-1] if given else ""
