"""What happens before and after cookiecutter renders the files."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import secrets
import shlex
import shutil
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from ds_docker_env.common.analysis import package_name
from ds_docker_env.common.errors import GenerationError, ProjectError
from ds_docker_env.common.settings import own_settings
from ds_docker_env.common.shipped import is_shipped, shipped_analysis, shipped_files
from ds_docker_env.generation.answers import Answers
from ds_docker_env.generation.base_image import Base
from ds_docker_env.generation.dvc import CREDENTIALS, begin_repository, dvc_files, find_credentials, remote
from ds_docker_env.generation.pipelines import keep, others
from ds_docker_env.generation.services import DATABASES
from ds_docker_env.generation.staging import MISSING, Staging

ROOT = Path(__file__).parents[2]
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
# The exit code after Ctrl-C.
_STOPPED = 130

_OF_PRODUCTION = ("production.txt", "constraints.txt", "overrides.txt")
# All of a lock or nothing of it.
_LOCK = ("requirements.in", "requirements.txt", "uv.toml", *_OF_PRODUCTION)
_NOTEBOOKS = "src/"
_FROM_BEFORE = "# From before this was generated again."


def prepare(raw: Mapping[str, Any]) -> int:
    """Lock production's versions in the working directory, a project in the making; return the exit code of the hook.

    Without a production file there is nothing to wait for: `finish` takes the versions that come with the template.
    """
    return _reported(_prepare, raw)


def finish(raw: Mapping[str, Any], base: Sequence[str]) -> int:
    """Add what is not there yet, put the project into its place, and say what comes next; ``base`` is a `Base`."""
    return _reported(partial(_finish, Base(*base)), raw)


def _reported(step: Callable[[Staging, Mapping[str, Any]], None], raw: Mapping[str, Any]) -> int:
    _say_anything()
    try:
        staging = Staging.of(Path.cwd())
    except FileNotFoundError:
        return _STOPPED
    try:
        step(staging, raw)
    except (GenerationError, OSError) as error:
        # Without it cookiecutter is gone, and its guard has tidied up.
        if not staging.folder.exists():
            return _STOPPED
        known = error if isinstance(error, GenerationError) else ProjectError.of(error, staging.target)
        print(known.report(), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        # cookiecutter does not clean up after this, and would refuse the empty folder the next time.
        os.chdir(staging.folder.parent)
        with contextlib.suppress(OSError):
            staging.folder.rmdir()
            print("\nds-docker-env: stopped; nothing was generated", file=sys.stderr)
        return _STOPPED
    return 0


def _say_anything() -> None:
    """Escape what a console or a pipe cannot show, such as the Greek letters of a path on Windows."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _say(*lines: str) -> None:
    """Print, and let no closed pipe and no full disk behind it fail a project that is complete."""
    try:
        print(*lines, sep="\n", flush=True)
    except OSError:
        # Else the interpreter fails when it ends, as https://docs.python.org/3/library/signal.html says of SIGPIPE.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _prepare(staging: Staging, raw: Mapping[str, Any]) -> None:
    answers = Answers.of(raw)
    if raw.get("__compared"):
        return
    if staging.folder == staging.target and any(staging.folder.iterdir()):
        raise ProjectError(
            f"{staging.folder}: is not empty; generate over it with the command cookiecutter, which keeps what is yours"
        )
    _add_versions(staging, answers)


def _add_versions(staging: Staging, answers: Answers) -> None:
    """Write the locks and what goes with them, and say where the versions are from."""
    texts = shipped_files(answers.python_version, answers.debian_release, answers.options)
    settings = _former_text(staging, "uv.toml")
    texts["uv.toml"] = own_settings(settings)
    if answers.dvc_s3_url:
        # What dvc itself has changed since stays.
        files = dvc_files(answers.dvc_s3_url)
        texts |= {name: text for name, text in files.items() if not staging.former(name).exists()}
    summary = [f"Versions:   those tested with this template for Python {answers.python_version}"]
    own = _own_requirements(staging)
    if staging.mode == MISSING and staging.former("requirements.txt").exists():
        _require_fitting_lock(staging, answers, "or leave --skip-if-file-exists out")
        texts = {name: text for name, text in texts.items() if name not in _LOCK}
        summary = ["Versions:   as they are in requirements.txt"]
    elif answers.production_requirements:
        pinned = _pin(answers, settings, own, _former_text(staging, "requirements.txt") if own else "")
        texts |= pinned["files"]
        summary = pinned["summary"]
    elif own:
        _require_fitting_lock(staging, answers, "or take requirements.in away for the packages of the template")
        texts = {name: text for name, text in texts.items() if name not in ("requirements.in", "requirements.txt")}
        summary = [
            "Versions:   requirements.in is not the template's and stays, with its lock; to lock again, run:",
            "            docker compose run --rm jupyter lock",
        ]
    _write(texts, answers)
    if own:
        summary += _missing_clients(own, answers)
    _say("", *summary)


def _finish_for_comparison(answers: Answers) -> None:
    """Leave what is the template's in every project, which cruft brings up to date, and nothing that is a person's."""
    texts = shipped_files(answers.python_version, answers.debian_release, answers.options)
    _write({name: text for name, text in texts.items() if name not in _LOCK}, answers)
    keep(answers.ci)
    shutil.rmtree(_NOTEBOOKS)


def _write(texts: Mapping[str, str], answers: Answers) -> None:
    contents = {name: text.encode() for name, text in texts.items() if text}
    from ds_docker_env.generation.wheel import pack

    commands = pack(answers)
    contents[commands.name] = commands.content
    for name, content in contents.items():
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_bytes(content)


def _finish(base: Base, staging: Staging, raw: Mapping[str, Any]) -> None:
    answers = Answers.of(raw)
    if raw.get("__compared"):
        return _finish_for_comparison(answers)
    if not answers.production_requirements:
        _add_versions(staging, answers)
    keep(answers.ci)
    Path("src", "data").mkdir(parents=True, exist_ok=True)
    lines = [] if staging.mode == MISSING and staging.former("Dockerfile").exists() else base.summary
    if answers.production_requirements or answers.package_index:
        lines += _logins(staging, answers.package_index)
    lines.append(_password(staging))
    lines += [_database_password(staging, service) for service in answers.services if service in DATABASES]
    if answers.dvc_s3_url:
        lines.append(remote(answers.dvc_s3_url, staging.former(".dvc/config")))
        _write_secret(staging, CREDENTIALS, "")
        lines.append(find_credentials(staging.target))
    elif staging.former(".dvc").exists():
        lines.append("Data:       .dvc and .dvcignore are from before and stay, though nothing uses them any more")
    if left := [name for name in others(answers.ci) if staging.former(name).exists()]:
        lines.append(f"Pipeline:   from before, and it stays though ci is {answers.ci}: {', '.join(left)}")
    _keep_ignored(staging)
    removed = ["uv.toml", *_OF_PRODUCTION] if staging.former("production.txt").exists() else ["uv.toml"]
    removed = [name for name in removed if not Path(name).exists()]
    # From here it is a matter of milliseconds.
    for interruption in (signal.SIGINT, signal.SIGTERM):
        signal.signal(interruption, signal.SIG_IGN)
    replaced, former = staging.put(kept=_NOTEBOOKS, removed=removed)
    if replaced and not former:
        lines.append(f"Kept:       {', '.join(replaced)}, in which the answers would have changed something")
    elif replaced:
        lines.append(f"Replaced:   {', '.join(replaced)}; as before they are in {former}, which git ignores")
    # cruft compares two projects that it generates, and a repository in them would hide every change.
    if answers.dvc_s3_url and (said := begin_repository(staging.target, allowed="_commit" not in raw)):
        lines.append(said)
    _say(
        *lines,
        f"Next:       cd {_seen_from_the_shell(staging.target)}",
        "            docker compose up --build",
        "            open http://127.0.0.1:8888",
    )


def _pin(answers: Answers, settings: str, requirements: str, before: str) -> dict[str, Any]:
    """Run `pinning` in a process with its libraries."""
    from ds_docker_env.common import uv
    from ds_docker_env.common.progress import alive

    asked = {
        "location": answers.production_requirements,
        "python": answers.python_version,
        "debian": answers.debian_release,
        "options": answers.options,
        "settings": settings,
        "requirements": requirements,
        "before": before,
    }
    if answers.package_index:
        os.environ["UV_DEFAULT_INDEX"] = answers.package_index
    with alive(f"Locking production's versions for Python {answers.python_version}"):
        printed = uv.run_module("ds_docker_env.pinning", LIBRARIES, ROOT, stdin=json.dumps(asked), seconds=_SECONDS)
    answer: dict[str, Any] = json.loads(printed)
    if "problems" in answer:
        raise GenerationError(*answer["problems"])
    return answer


def _former_text(staging: Staging, name: str) -> str:
    """Return a file of a project that is generated again."""
    path = staging.former(name)
    try:
        return path.read_text(encoding="utf-8-sig") if path.exists() else ""
    except (OSError, UnicodeError) as error:
        raise GenerationError(f"{name}: cannot be read ({error}); correct it, or take it away") from None


def _own_requirements(staging: Staging) -> str:
    """Return a requirements.in that a person has edited."""
    text = _former_text(staging, "requirements.in")
    return "" if not text.strip() or is_shipped(text) else text


def _require_fitting_lock(staging: Staging, answers: Answers, otherwise: str) -> None:
    """Raise `ProjectError` if a lock that stays was made for another Python, or with another answer for production."""
    _, _, rest = _former_text(staging, "requirements.txt").partition("\n")
    command = rest.partition("\n")[0]
    found = re.search(r"--python-version (\d+\.\d+)", command)
    if not found:
        raise ProjectError(f"requirements.txt: has no command in its header; get it back from git, {otherwise}")
    problems = []
    if found[1] != answers.python_version:
        problems.append(f"requirements.txt: stays, and is locked for Python {found[1]}; answer {found[1]}, {otherwise}")
    beside = "production.txt" in command
    if beside and not answers.production_requirements:
        problems.append(
            f"requirements.txt: stays, and is locked beside production; name production's file, {otherwise}"
        )
    elif answers.production_requirements and not beside:
        problems.append(
            f"requirements.txt: stays, and is locked without production; leave production's file out, {otherwise}"
        )
    if problems:
        raise ProjectError(*problems)


def _keep_ignored(staging: Staging) -> None:
    """Go on keeping out of git and of the image what a person has added."""
    for name in (".gitignore", ".dockerignore"):
        text = Path(name).read_text(encoding="utf-8")
        known = {"", _FROM_BEFORE, *text.splitlines()}
        own = [line for line in _former_text(staging, name).splitlines() if line.strip() not in known]
        if own:
            Path(name).write_bytes("\n".join([text, _FROM_BEFORE, *own, ""]).encode())


def _missing_clients(own: str, answers: Answers) -> list[str]:
    """Return a line for what services need and a person's own requirements.in does not have."""
    has = {package_name(line) for line in own.splitlines()}
    clients = shipped_analysis(answers.python_version, answers.options).clients
    missing = [f"{name} (for {service})" for name, service in clients.items() if name not in has]
    return [f"Missing:    add to requirements.in and lock again: {', '.join(missing)}"] if missing else []


def _seen_from_the_shell(project: Path) -> str:
    """Return the project's path from the folder of the person's shell, which PWD still names in a hook."""
    shell = os.environ.get("PWD", "")
    try:
        path = os.path.relpath(project, shell if Path(shell).is_absolute() else project.parent)
    except ValueError:  # another drive, on Windows
        path = str(project)
    return shlex.quote(path) if os.name == "posix" else f'"{path}"' if " " in path else path


def _logins(staging: Staging, package_index: str) -> list[str]:
    """Write the logins of all indexes for the image build and `lock`; say so where there are any."""
    from ds_docker_env.common.logins import LOGINS, as_netrc, logins

    path = LOGINS.as_posix()
    lock = Path("requirements.txt")
    text = (lock if lock.exists() else staging.former(lock)).read_text(encoding="utf-8")
    found = logins(f"--index-url {package_index}\n{text}")
    written = _write_secret(staging, LOGINS, as_netrc(found))
    what = f"for {', '.join(found)}, copied from this machine" if written else "unchanged"
    return [f"Logins:     {what}, in {path} for the image build"] if found else []


def _password(staging: Staging) -> str:
    path = Path(".secrets", "jupyter_password")
    password = secrets.token_urlsafe(12)
    if not _write_secret(staging, path, password + "\n"):
        return f"Password:   unchanged, in {path.as_posix()}"
    return f"Password:   {password} (shown once; it is in {path.as_posix()})"


def _database_password(staging: Staging, database: str) -> str:
    path = Path(".secrets", f"{database}_password")
    label = f"{DATABASES[database]}:".ljust(11)
    written = _write_secret(staging, path, secrets.token_urlsafe(24) + "\n")
    return f"{label} {'a random' if written else 'unchanged, its'} password in {path.as_posix()}"


def _write_secret(staging: Staging, path: Path, text: str) -> bool:
    """Write a file that only its owner may read, unless there is one already that says something."""
    former = staging.former(path)
    if former.is_dir():
        raise ProjectError(f"{path.as_posix()}: is a folder, where a file is to be; take it away")
    if former.exists() and (former.stat().st_size or not text or staging.mode == MISSING):
        return False
    path.parent.mkdir(mode=0o700, exist_ok=True)
    # In bytes: a database would take the \r of Windows for a part of the password.
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(text.encode())
    return True
