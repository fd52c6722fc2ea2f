"""Passwords in the files of .secrets, which people write with ``password`` or an editor."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from getpass import getpass
from pathlib import Path

from ds_docker_env.common.decoding import text_in
from ds_docker_env.common.errors import ProjectError
from ds_docker_env.common.services import WITH_PASSWORD, secret_of
from ds_docker_env.image import commands
from ds_docker_env.image.certificate import new_certificate

SECRETS = Path("/run/secrets")
_FOLDER = Path(".secrets")
_DATABASE = (
    "The database reads it when it creates its data. To change the password of a database that has data, see "
    "docs/how-to/connect-services.md of the template."
)
_EFFECT = {
    **dict.fromkeys(WITH_PASSWORD, _DATABASE),
    **dict.fromkeys(["jupyter", "h2o"], "It takes effect after docker compose restart."),
}


def read_password(name: str, secrets: Path = SECRETS) -> str:
    """Return the password in a secret, blank if it is missing or blank.

    Exit with one line on stderr if it cannot be read or is not a password.
    """
    path = secrets / f"{name}_password"
    try:
        content = _content(path)
        return _accepted(content, name) if content.strip() else ""
    except ProjectError as error:
        sys.exit(str(error))
    except OSError as error:
        problem = f"{error.strerror}; start the container with docker compose, or correct the owner"
        sys.exit(f".secrets/{path.name}: {problem}")


def main(names: Sequence[str], folder: Path = _FOLDER) -> None:
    """Write the password files of services as one line of UTF-8, and Dask's certificate.

    Exit with one line on stderr for each that a service cannot take.
    """
    problems = []
    for path in (folder / secret_of(name) for name in names):
        try:
            # A correct file may be read-only.
            if content := new_certificate(path) if path.suffix == ".pem" else _changed(path):
                write(path, content)
        except ProjectError as error:
            problems.append(str(error))
        except OSError as error:
            problems.append(f".secrets/{path.name}: {error.strerror}; correct its owner and mode")
    if problems:
        sys.exit("\n".join(problems))


def run(words: Sequence[str]) -> int:
    """Ask for a password twice and write it; raise `ProjectError`, and keep the file then."""
    parser = commands.parser("password")
    parser.add_argument("name", nargs="?", default="jupyter")
    name = parser.parse_args(words).name.removesuffix("_password")
    path = _FOLDER / f"{name}_password"
    if not re.fullmatch(r"[a-z0-9_]+", name):
        raise ProjectError(f"{name}: invalid name; use lowercase letters, digits and _, such as replica")
    if not sys.stdin.isatty():
        raise ProjectError(f"standard input: not a terminal; run the command in a terminal, or write {path.as_posix()}")
    try:
        typed = getpass(f"New password for {name}: ")
        password = _accepted(typed.encode(), name)
        if password != typed:
            raise ProjectError(f"{name}: the password begins or ends with a space; choose another one")
        if getpass("Repeat the password: ") != typed:
            raise ProjectError(f"{name}: the two passwords differ; enter the same one twice")
    except EOFError:
        raise KeyboardInterrupt from None
    _hand_over(path, password)
    print(f"New password in {path.as_posix()}. {_EFFECT.get(name, 'It takes effect after docker compose up.')}")
    return 0


def _hand_over(path: Path, password: str) -> None:
    # Jupyter's settings use this module, too.
    from ds_docker_env.image import project

    if project.has_writer():
        project.write({path.as_posix(): f"{password}\n"})
    else:
        write(path, line(password))


def _changed(path: Path) -> bytes:
    """Return the new content of a password file, or nothing if it is correct."""
    content = _content(path)
    password = _accepted(content, path.name.removesuffix("_password"))
    return b"" if content.rstrip(b"\n") == password.encode() else line(password)


def line(password: str) -> bytes:
    """Return the content of a password file."""
    return f"{password}\n".encode()


def _content(path: Path) -> bytes:
    return path.read_bytes() if path.exists() else b""


def _accepted(content: bytes, name: str) -> str:
    """Return the password in the content of a file; raise `ProjectError` without showing it."""
    try:
        password = text_in(content).strip()
        wrong = problem(password, name)
    except UnicodeError:
        wrong = "not text"
    if wrong:
        # jupyter would wait for these services, which do not start with an invalid password.
        service = "passwords" if name in WITH_PASSWORD else "jupyter"
        asking = " ".join([f"docker compose run --rm {service} password", *[name] * (name != "jupyter")])
        raise ProjectError(f".secrets/{name}_password: {wrong}; run: {asking}")
    return password


def problem(password: str, name: str) -> str:
    """Return why a password cannot be used, or nothing.

    The entrypoint of MySQL's image puts it into SQL and an option file without escaping it:
    https://github.com/docker-library/mysql. H2O's health check does so in a configuration of curl, and browsers and
    clients disagree about the encoding of other letters in HTTP's basic authentication.
    """
    if not password:
        return "empty"
    if len(password.splitlines()) > 1:
        return "more than one line"
    if not password.isprintable():
        return "contains an unprintable character"
    if name in ("h2o", "mysql") and re.search(r"['\"\\]", password):
        return "contains a quote or a backslash"
    return "contains a character outside ASCII" if name == "h2o" and not password.isascii() else ""


def write(path: Path, content: bytes) -> None:
    """Write a secret that only its owner can read; an existing file, which containers mount, is written in place."""
    path.parent.mkdir(mode=0o700, exist_ok=True)
    path.touch(mode=0o600)
    with path.open("r+b") as file:
        file.write(content)
        file.truncate()
