"""The commands of a project's container, from the words that were typed to the exit code."""

from __future__ import annotations

import argparse
import importlib
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, NoReturn

from ds_docker_env.common.errors import GenerationError
from ds_docker_env.common.logins import LOGINS
from ds_docker_env.common.output import discard
from ds_docker_env.common.redaction import excerpt, printable

FAILED, STOPPED = 2, 130
_CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"


class Command(NamedTuple):
    """A module of this package with a function ``run``, and the words for it.

    ``outcome`` is said when the command fails; ``options`` go on to another program, else there may be one source.
    """

    module: str
    purpose: str
    outcome: str
    options: str = ""


COMMANDS = {
    "audit": Command(
        "audit",
        "Look for known vulnerabilities in requirements.txt and for unsafe code in src.",
        "requirements.txt is not audited and may hold vulnerabilities",
        "Other options go to pip-audit, such as --ignore-vuln ID or --vulnerability-service osv.",
    ),
    "check": Command(
        "check",
        "Compare this image with production.txt, and production.txt with production's file.",
        "nothing was compared",
    ),
    "lock": Command(
        "lock",
        "Lock requirements.in again, with the command in the header of requirements.txt.",
        "nothing was locked",
        "Other options go to uv, such as --upgrade or --upgrade-package NAME.",
    ),
    "take-over": Command(
        "takeover",
        "Lock a newer production file with requirements.in: everything is written, or nothing.",
        "nothing was changed",
    ),
}
_SOURCE = (
    "a path in the project or mounted, an http(s) URL, git+URL@REF#PATH, or - for standard input; "
    "default: the source that production.txt names"
)


def main(name: str, arguments: Sequence[str] | None = None) -> NoReturn:
    """Run a command in the project folder as its owner; exit with its code, 2 if it fails, 130 if it is stopped."""
    if arguments is None and "AS_OWNER" not in os.environ:
        os.execvp("as-owner", ["as-owner", *sys.argv])  # noqa: S606, S607
    command = COMMANDS[name]
    signal.signal(signal.SIGINT, signal.default_int_handler)
    code, said = FAILED, ""
    try:
        options = _options(name, command, arguments)
        _settle()
        code = importlib.import_module(f"ds_docker_env.image.{command.module}").run(options)
    except GenerationError as error:
        # The container has no other netrc.
        said = error.report(f"{name}: {command.outcome}").replace("~/.netrc", LOGINS.as_posix())
    except KeyboardInterrupt:
        code, said = STOPPED, f"\n{name}: stopped; {command.outcome}"
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        advice = "; check its owner and mode" if isinstance(error, PermissionError) else ""
        said = f"{name}: {command.outcome}: {where}{error.strerror}{advice}"
    except Exception as error:
        what = printable(excerpt(f"{type(error).__name__}: {error}"))
        said = f"{name}: {command.outcome}: {what}; report this error to the template's issues"
    finally:
        try:
            sys.stdout.flush()
        except OSError:
            discard()
    if said:
        print(said, file=sys.stderr)
    sys.exit(code)


def _options(name: str, command: Command, arguments: Sequence[str] | None) -> list[str]:
    parser = argparse.ArgumentParser(prog=name, description=command.purpose, epilog=command.options, allow_abbrev=False)
    if command.options:
        return parser.parse_known_args(arguments)[1]
    parser.add_argument("source", nargs="?", help=_SOURCE)
    source = parser.parse_args(arguments).source
    return [source] if source else []


def _settle() -> None:
    """Trust the certificates that the image trusts, and use the logins that the project has."""
    if Path(_CERTIFICATES).exists():
        os.environ.setdefault("REQUESTS_CA_BUNDLE", os.environ.get("SSL_CERT_FILE", _CERTIFICATES))
    if LOGINS.exists() and LOGINS.stat().st_size:
        os.environ.setdefault("NETRC", str(LOGINS.absolute()))
