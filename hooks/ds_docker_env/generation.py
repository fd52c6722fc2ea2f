"""What happens before and after cookiecutter renders the files."""

from __future__ import annotations

import importlib.util
import json
import os
import secrets
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ds_docker_env import analysis, uv
from ds_docker_env.answers import Answers
from ds_docker_env.errors import GenerationError, UvError

HOOKS = Path(__file__).parents[1]
# What `pinning` imports beyond cookiecutter's own packages.
LIBRARIES = {
    "packaging": "packaging==26.3",
    "pip_requirements_parser": "pip-requirements-parser==32.0.1",
    "requests": "requests>=2.31",
}


def prepare(raw: Mapping[str, Any]) -> int:
    """Check the answers and write the locks into the working directory; return the exit code of the hook.

    Everything is computed before the first byte is written. Without a production file this needs no network and no uv.
    """
    try:
        answers = Answers.check(raw)
        files = analysis.shipped(answers.python_version, answers.debian_release)
        summary: list[str] = []
        if answers.production_requirements:
            pinned = _pin(answers)
            files |= pinned["files"]
            summary = pinned["summary"]
    except GenerationError as error:
        print(error.report(), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nds-docker-env: stopped; nothing was generated", file=sys.stderr)
        return 130
    for name, text in files.items():
        Path(name).write_text(text, encoding="utf-8", newline="\n")
    print("\n".join(["", *summary]) if summary else "", end="\n" if summary else "")
    return 0


def finish(raw: Mapping[str, Any]) -> int:
    """Make the data folder and the password, and say what comes next; never fails a project that is complete."""
    slug = raw["project_slug"]
    Path("src", "data").mkdir(parents=True, exist_ok=True)
    print(_password())
    print(f"Next:       cd {slug}\n            docker compose up --build\n            open http://127.0.0.1:8888")
    return 0


def _pin(answers: Answers) -> dict[str, Any]:
    """Run `pinning` in a Python that has its libraries: this one if it happens to, else one that uv makes."""
    python = _python_with_libraries()
    asked = {
        "location": answers.production_requirements,
        "python": answers.python_version,
        "debian": answers.debian_release,
    }
    with _alive(f"Locking production's versions for Python {answers.python_version}"):
        done = subprocess.run(
            [*python, "-m", "ds_docker_env.pinning"],
            input=json.dumps(asked),
            env={**os.environ, "PYTHONPATH": str(HOOKS), "PYTHONIOENCODING": "utf-8"},
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            check=False,
        )
    try:
        answer: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        said = done.stderr.strip().splitlines()[-1:] or [f"exit code {done.returncode}"]
        raise UvError(
            f"production could not be locked ({said[0][:300]}); check the network and the package index"
        ) from None
    if "problems" in answer:
        raise GenerationError(*answer["problems"])
    return answer


def _python_with_libraries() -> list[str]:
    command = uv.find()
    if all(importlib.util.find_spec(module) for module in LIBRARIES):
        return [sys.executable]
    wanted = [part for library in LIBRARIES.values() for part in ("--with", library)]
    return [*command, "run", "--quiet", "--isolated", "--no-project", "--python", sys.executable, *wanted, "python"]


def _alive(message: str) -> Any:
    from rich.console import Console

    console = Console(stderr=True)
    if not console.is_terminal:
        console.print(message, markup=False, highlight=False, soft_wrap=True)
    return console.status(message)


def _password() -> str:
    path = Path(".secrets", "jupyter_password")
    try:
        path.parent.mkdir(mode=0o700, exist_ok=True)
        password = secrets.token_urlsafe(12)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(password + "\n")
    except FileExistsError:
        return f"Password:   unchanged, in {path.as_posix()}"
    except OSError as error:
        return f"Password:   not written ({error.strerror}); put one of your choice into {path.as_posix()}"
    return f"Password:   {password} (shown once; it is in {path.as_posix()})"
