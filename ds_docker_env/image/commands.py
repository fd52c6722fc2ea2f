"""The commands of a project's container, from the words that were typed to the exit code."""

from __future__ import annotations

import argparse
import importlib
import os
import shlex
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, NoReturn

from ds_docker_env.common.errors import GenerationError, RefusedError
from ds_docker_env.common.logins import LOGINS
from ds_docker_env.common.output import discard
from ds_docker_env.common.redaction import excerpt, printable
from ds_docker_env.common.signals import STOPPED, STOPPING

FAILED = 2
_CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"


class Command(NamedTuple):
    """A module of this package with a function ``run``, and the words for it.

    ``outcome`` is said when the command fails. One with ``options`` hands all words on to the module; another one
    with a ``source`` takes that word alone. One whose words are ``paths`` runs in the working directory, others in that
    of the project. One that runs ``alone`` waits for others that do.
    """

    module: str
    purpose: str
    outcome: str
    options: str = ""
    source: bool = False
    paths: bool = False
    alone: bool = True


_SOURCE = (
    "a path in the project or mounted, an http(s) URL, git+URL@REF@DAY#PATH, or - for standard input; "
    "default: the source that production.txt names"
)
COMMANDS = {
    "add": Command(
        "add",
        "Add packages to requirements.in, the lock and the environment, at once for every kernel.",
        "nothing was changed",
        'Other words are requirements, such as polars or "seaborn>=0.13", and options of pip: -U or --upgrade takes '
        "newer versions of packages that are here, -r FILE adds the requirements in a file, -q prints nothing; "
        "--at DAY, such as 2026-03-01, takes releases up to that day, however recent.",
    ),
    "audit": Command(
        "audit",
        "Look for known vulnerabilities in both locks and in Debian's packages, and for unsafe code in src.",
        "nothing was audited",
        "--unfixed lists what Debian has not fixed, --no-debian omits its packages. Other options go to pip-audit, "
        "such as --vulnerability-service osv.",
        alone=False,
    ),
    "check": Command(
        "check",
        "Compare what is installed with production.txt, and production.txt with production's file.",
        "nothing was compared",
        source=True,
        alone=False,
    ),
    "install-lock": Command(
        "overlay",
        "Install packages of requirements.txt that the image lacks.",
        "packages of requirements.txt are missing, which docker compose up --build installs, too",
        alone=False,
    ),
    "lock": Command(
        "lock",
        "Lock requirements.in again, with the command in the header of requirements.txt.",
        "nothing was locked",
        "--at DAY, such as 2026-03-01, takes releases up to that day, however recent. Other options go to uv, "
        "such as --upgrade or --upgrade-package NAME.",
    ),
    "password": Command(
        "passwords",
        "Ask for a password and write it into .secrets, where JupyterLab or a service reads it.",
        "no password was written",
        "The argument names another password: mysql, postgres, or a secret of your own, such as replica.",
        alone=False,
    ),
    "remove": Command(
        "remove",
        "Remove packages from requirements.in, the lock and the environment.",
        "nothing was changed",
        "Other words are names of packages.",
    ),
    "report": Command(
        "report",
        "Execute notebooks, all of src unless some are named, and write an HTML report of each.",
        "not all reports are written",
        "Other words are notebooks and options: -p NAME VALUE sets a parameter, -r NAME TEXT one that stays text, "
        "-f FILE.yaml and -y YAML set many, all as papermill does; --output-dir DIRECTORY takes the reports.",
        paths=True,
        alone=False,
    ),
    "sbom": Command(
        "sbom",
        "List the packages of the image and the files that fix them, in the format of CycloneDX.",
        "nothing was listed",
        "The argument is the file to write, such as src/data/sbom.json; default: standard output.",
        alone=False,
    ),
    "take-over": Command(
        "takeover",
        "Lock a newer production file with requirements.in: everything is written, or nothing.",
        "nothing was changed",
        f"The argument is production's file: {_SOURCE}. --at DAY, such as 2026-03-01, takes this file and all other "
        "packages as they were at the end of that day in UTC. --dry-run writes nothing.",
        source=True,
    ),
}


def main(name: str, arguments: Sequence[str] | None = None) -> NoReturn:
    """Run a command in the project folder; exit with its code, 2 if it fails, 130 if it is stopped."""
    command = COMMANDS[name]
    for number in STOPPING:
        signal.signal(number, signal.default_int_handler)
    code, said = FAILED, ""
    try:
        options = _options(name, command, arguments)
        code = _run(command, options)
    except GenerationError as error:
        # The container has no other netrc.
        said = error.report(f"{name}: {command.outcome}").replace("~/.netrc", LOGINS.as_posix())
        if isinstance(error, RefusedError) and _in_notebook():
            words = shlex.join(sys.argv[1:] if arguments is None else arguments)
            said += f"\n  a notebook gets no logins; on the host, run: docker compose run --rm jupyter {name} {words}"
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
    if command.source:
        parser.add_argument("source", nargs="?", help=_SOURCE)
    source = vars(parser.parse_args(arguments)).get("source")
    return [source] if source else []


def _run(command: Command, options: Sequence[str]) -> int:
    from ds_docker_env.image import overlay, project

    run = importlib.import_module(f"ds_docker_env.image.{command.module}").run
    if not command.paths:
        options = [os.path.abspath(each) if command.source and os.path.exists(each) else each for each in options]
        os.chdir(project.root())
    _settle()
    os.environ.update(project.logins())
    if command.alone or project.half_replaced():
        with overlay.alone():
            return int(run(options))
    return int(run(options))


def _in_notebook() -> bool:
    from ds_docker_env.image import project

    return project.has_writer() and "NETRC" not in os.environ


def _settle() -> None:
    """Trust the certificates that the image trusts."""
    if Path(_CERTIFICATES).exists():
        os.environ.setdefault("REQUESTS_CA_BUNDLE", os.environ.get("SSL_CERT_FILE", _CERTIFICATES))
