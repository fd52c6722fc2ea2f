"""What happens before and after cookiecutter renders the files."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ds_docker_env import uv
from ds_docker_env.answers import Answers
from ds_docker_env.archive import pack
from ds_docker_env.data import CREDENTIALS, begin_repository, dvc_files, find_credentials, remote
from ds_docker_env.errors import GenerationError
from ds_docker_env.logins import LOGINS, as_netrc, logins
from ds_docker_env.progress import alive
from ds_docker_env.services import DATABASES
from ds_docker_env.settings import own_settings
from ds_docker_env.shipped import shipped_files

HOOKS = Path(__file__).parents[1]
# What `pinning` imports beyond cookiecutter's own packages.
LIBRARIES = {
    "packaging": "packaging==26.3",
    "pip_requirements_parser": "pip-requirements-parser==32.0.1",
    "requests": "requests>=2.31",
    "tomllib" if sys.version_info >= (3, 11) else "tomli": "tomli==2.5.0",
    "yaml": "pyyaml==6.0.3",
}
# uv has 120 of them, and a production image may have to be pulled first.
_SECONDS = 600


def prepare(raw: Mapping[str, Any]) -> int:
    """Check the answers and write the locks into the working directory; return the exit code of the hook.

    Everything is computed before the first byte is written. Without a production file this needs no network and no uv.
    """
    try:
        answers = Answers.check(raw)
        contents = dict.fromkeys(("production.txt", "constraints.txt", "overrides.txt", "parity.pyz"), b"")
        texts = shipped_files(answers.python_version, answers.debian_release, answers.options)
        settings = _settings()
        texts["uv.toml"] = own_settings(settings)
        if answers.dvc_s3_url:
            # What dvc itself has changed since stays.
            texts |= {name: text for name, text in dvc_files(answers.dvc_s3_url).items() if not Path(name).exists()}
        summary = [f"Versions:   those tested with this template for Python {answers.python_version}"]
        if answers.production_requirements:
            pinned = _pin(answers, settings)
            texts |= pinned["files"]
            summary = pinned["summary"]
            contents["parity.pyz"] = pack(answers.python_version, answers.options)
    except GenerationError as error:
        print(error.report(), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        # cookiecutter does not clean up after this, and would refuse the empty folder the next time.
        empty = Path.cwd()
        os.chdir(empty.parent)
        with contextlib.suppress(OSError):
            empty.rmdir()
        print("\nds-docker-env: stopped; nothing was generated", file=sys.stderr)
        return 130
    for name, content in (contents | {name: text.encode() for name, text in texts.items()}).items():
        if content:
            Path(name).parent.mkdir(exist_ok=True)
            Path(name).write_bytes(content)
        else:
            Path(name).unlink(missing_ok=True)
    print("", *summary, sep="\n")
    return 0


def finish(raw: Mapping[str, Any]) -> int:
    """Make the data folder and the secrets, and say what comes next; never fails a project that is complete."""
    answers = Answers.of(raw)
    Path("src", "data").mkdir(parents=True, exist_ok=True)
    if answers.production_requirements:
        _logins()
    print(_password())
    for database in [service for service in answers.services if service in DATABASES]:
        print(_database_password(database))
    if answers.dvc_s3_url:
        print(remote(answers.dvc_s3_url))
        print(_credentials())
        # cruft compares two projects that it generates, and a repository in them would hide every change.
        if said := begin_repository(Path.cwd(), allowed="_commit" not in raw):
            print(said)
    print(
        f"Next:       cd {_seen_from_the_shell(Path.cwd())}\n            docker compose up --build\n            open http://127.0.0.1:8888"
    )
    return 0


def _pin(answers: Answers, settings: str) -> dict[str, Any]:
    """Run `pinning` in a process with its libraries."""
    asked = {
        "location": answers.production_requirements,
        "python": answers.python_version,
        "debian": answers.debian_release,
        "options": answers.options,
        "settings": settings,
    }
    with alive(f"Locking production's versions for Python {answers.python_version}"):
        printed = uv.run_module("ds_docker_env.pinning", LIBRARIES, HOOKS, stdin=json.dumps(asked), seconds=_SECONDS)
    answer: dict[str, Any] = json.loads(printed)
    if "problems" in answer:
        raise GenerationError(*answer["problems"])
    return answer


def _settings() -> str:
    """Return the uv.toml of a project that is generated again."""
    path = Path("uv.toml")
    try:
        return path.read_text(encoding="utf-8") if path.exists() else ""
    except (OSError, UnicodeError) as error:
        raise GenerationError(f"uv.toml: cannot be read ({error}); correct it, or take it away") from None


def _seen_from_the_shell(project: Path) -> str:
    """Return the project's path from the folder of the person's shell, which PWD still names in a hook."""
    shell = os.environ.get("PWD", "")
    try:
        return os.path.relpath(project, shell if Path(shell).is_absolute() else project.parent)
    except ValueError:  # another drive, on Windows
        return str(project)


def _logins() -> None:
    """Write the logins of production's indexes for the image build and `lock`; say so where there are any."""
    path = LOGINS.as_posix()
    try:
        found = logins(Path("requirements.txt").read_text(encoding="utf-8"))
        written = _write_secret(LOGINS, as_netrc(found))
    except OSError as error:
        print(f"Logins:     not written ({error.strerror}); begin with an empty file {path}")
        return
    if found:
        what = f"for {', '.join(found)}, copied from this machine" if written else "unchanged"
        print(f"Logins:     {what}, in {path} for the image build")


def _password() -> str:
    path = Path(".secrets", "jupyter_password")
    password = secrets.token_urlsafe(12)
    try:
        written = _write_secret(path, password + "\n")
    except OSError as error:
        return f"Password:   not written ({error.strerror}); put one of your choice into {path.as_posix()}"
    if not written:
        return f"Password:   unchanged, in {path.as_posix()}"
    return f"Password:   {password} (shown once; it is in {path.as_posix()})"


def _database_password(database: str) -> str:
    path = Path(".secrets", f"{database}_password")
    label = f"{DATABASES[database]}:".ljust(11)
    try:
        written = _write_secret(path, secrets.token_urlsafe(24) + "\n")
    except OSError as error:
        return f"{label} not written ({error.strerror}); put a password of your choice into {path.as_posix()}"
    return f"{label} {'a random' if written else 'unchanged, its'} password in {path.as_posix()}"


def _credentials() -> str:
    try:
        _write_secret(CREDENTIALS, "")
        return find_credentials()
    except OSError as error:
        return f"AWS:        no credentials ({error.strerror}); begin with an empty file {CREDENTIALS.as_posix()}"


def _write_secret(path: Path, text: str) -> bool:
    """Write a file that only its owner may read, unless there is one already that says something."""
    path.parent.mkdir(mode=0o700, exist_ok=True)
    if path.exists() and not path.stat().st_size:
        path.unlink()
    try:
        # In bytes: a database would take the \r of Windows for a part of the password.
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(text.encode())
    except FileExistsError:
        return False
    return True
