"""The commands of a project's container, from the words that were typed to the exit code."""

from __future__ import annotations

import argparse
import importlib
import os
import shutil
import signal
import sys
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple, NoReturn

from ds_docker_env.common.errors import GenerationError, ProjectError, RefusedError
from ds_docker_env.common.logins import LOGINS
from ds_docker_env.common.output import discard
from ds_docker_env.common.redaction import excerpt, printable
from ds_docker_env.common.services import WITH_PASSWORD
from ds_docker_env.common.signals import STOPPED, STOPPING

FAILED = 2
_CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"


class Command(NamedTuple):
    """A module of this package with a function ``run``, and its help: the usage, and a line for each word in it.

    ``outcome`` is printed if the command fails. A command with a ``source`` or with ``paths`` may get a file: a source
    is made absolute, because commands run in the project's directory; with paths, they run where they are typed. A
    command that runs ``alone`` waits for the others that do.
    """

    module: str
    purpose: str
    outcome: str
    usage: str = ""
    options: Mapping[str, str] = MappingProxyType({})
    source: bool = False
    paths: bool = False
    alone: bool = True


_AT = "Allow releases up to the end of this day (UTC), however recent, such as 2026-03-01"
_SOURCE = {
    "SOURCE": "Production's file: a path in the project or mounted, an http(s) URL, git+URL@REF@DAY#PATH, or - for "
    "standard input (default: the source in production.txt)"
}
COMMANDS = {
    "add": Command(
        "add",
        "Add packages to requirements.in, the lock and the environment of every kernel.",
        "nothing was changed",
        "[OPTIONS] REQUIREMENT...",
        {
            "REQUIREMENT": 'A package to add, such as polars or "seaborn>=0.13"',
            "-U, --upgrade": "Upgrade the packages if they are installed",
            "-r, --requirement FILE": "Add the requirements in a file",
            "-q, --quiet": "Print only errors and warnings",
            "--at DAY": _AT,
        },
    ),
    "audit": Command(
        "audit",
        "Find known vulnerabilities in both locks and Debian's packages, and unsafe code in src.",
        "nothing was audited",
        "[OPTIONS]",
        {
            "--unfixed": "List the vulnerabilities that Debian has not fixed",
            "--no-debian": "Skip Debian's packages",
            "OTHER OPTIONS": "Options for pip-audit, such as --vulnerability-service osv",
        },
        alone=False,
    ),
    "check": Command(
        "check",
        "Compare the installed packages with production.txt, and production.txt with production's file.",
        "nothing was compared",
        "[SOURCE]",
        _SOURCE,
        source=True,
        alone=False,
    ),
    "install-lock": Command(
        "overlay",
        "Install packages of requirements.txt that the image lacks.",
        "packages of requirements.txt are missing (docker compose up --build installs them as well)",
        alone=False,
    ),
    "lock": Command(
        "lock",
        "Lock requirements.in again, with the command in the header of requirements.txt.",
        "nothing was locked",
        "[OPTIONS]",
        {"--at DAY": _AT, "OTHER OPTIONS": "Options for uv pip compile, such as --upgrade or --upgrade-package NAME"},
    ),
    "password": Command(
        "passwords",
        "Ask for a password and write it to .secrets, where JupyterLab or a service reads it.",
        "the password was not written",
        "[NAME]",
        {"NAME": f"The password: jupyter (default), {', '.join(WITH_PASSWORD)}, or one of your own, such as replica"},
        alone=False,
    ),
    "remove": Command(
        "remove",
        "Remove packages from requirements.in, the lock and the environment.",
        "nothing was changed",
        "[OPTIONS] NAME...",
        {"NAME": "A package to remove", "-q, --quiet": "Print only errors"},
    ),
    "report": Command(
        "report",
        "Execute notebooks and write an HTML report of each.",
        "not all reports are written",
        "[OPTIONS] [NOTEBOOK...]",
        {
            "NOTEBOOK": "A notebook to execute (default: all in src)",
            "-p, --parameters NAME VALUE": "Set a parameter, as papermill does",
            "-r, --parameters_raw NAME TEXT": "Set a parameter as a string",
            "-f, --parameters_file FILE": "Set parameters from a YAML file",
            "-y, --parameters_yaml YAML": "Set parameters from YAML",
            "--output-dir DIRECTORY": "Write the reports to this directory (default: beside the notebooks)",
        },
        paths=True,
        alone=False,
    ),
    "sbom": Command(
        "sbom",
        "List the packages of the image and the files that fix them, as a CycloneDX SBOM.",
        "nothing was listed",
        "[FILE]",
        {"FILE": "The file to write, such as src/data/sbom.json (default: standard output)"},
        alone=False,
    ),
    "take-over": Command(
        "takeover",
        "Lock a newer production file together with requirements.in.",
        "nothing was changed",
        "[OPTIONS] [SOURCE]",
        {
            **_SOURCE,
            "--at DAY": "Use the file and all packages as of the end of this day (UTC), such as 2026-03-01",
            "--dry-run": "Print the changes without writing them",
        },
        source=True,
    ),
}


def main(name: str, arguments: Sequence[str] | None = None) -> NoReturn:
    """Run a command; exit with its code, with 2 if it fails, and with 130 if it is stopped."""
    command = COMMANDS[name]
    for number in STOPPING:
        signal.signal(number, signal.default_int_handler)
    code, said = FAILED, ""
    try:
        options = sys.argv[1:] if arguments is None else arguments
        if {"-h", "--help"} & set(options):
            print(usage(name))
            code = 0
        else:
            code = _run(command, options)
    except GenerationError as error:
        # The only netrc in the container.
        said = error.report(f"{name}: {command.outcome}").replace("~/.netrc", LOGINS.as_posix())
        if isinstance(error, RefusedError) and _in_notebook():
            from ds_docker_env.image.project import on_host

            host = on_host(name, *options)
            said += f"\n  logins are not available in a notebook; on the host, run: {host}"
    except KeyboardInterrupt:
        code, said = STOPPED, f"\n{name}: stopped; {command.outcome}"
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        advice = "; check its owner and mode" if isinstance(error, PermissionError) else ""
        said = f"{name}: {command.outcome}: {where}{error.strerror}{advice}"
    except Exception as error:
        what = printable(excerpt(f"{type(error).__name__}: {error}"))
        said = f"{name}: {command.outcome}: {what}; report it in the template's issues"
    finally:
        try:
            sys.stdout.flush()
        except OSError:
            discard()
    if said:
        print(said, file=sys.stderr)
    sys.exit(code)


def usage(name: str) -> str:
    """Return the help of a command."""
    command = COMMANDS[name]
    width = max(map(len, command.options), default=0) + 2
    indent = " " * (width + 2)
    columns = max(shutil.get_terminal_size().columns, width + 40)
    options = [
        textwrap.fill(meaning, columns, initial_indent=f"  {words:<{width}}", subsequent_indent=indent)
        for words, meaning in command.options.items()
    ]
    return "\n".join([f"Usage: {name} {command.usage}".rstrip(), "", command.purpose, "", *options]).rstrip()


def parser(name: str) -> argparse.ArgumentParser:
    """Return a parser for the words of a command, which `main` has not given if they ask for help."""
    line = f"{name} {COMMANDS[name].usage}"
    return argparse.ArgumentParser(prog=name, usage=line, add_help=False, allow_abbrev=False)


def _run(command: Command, options: Sequence[str]) -> int:
    from ds_docker_env.image import overlay, project
    from ds_docker_env.image.template import template

    run = importlib.import_module(f"ds_docker_env.image.{command.module}").run
    if not command.paths:
        options = [os.path.abspath(each) if command.source and os.path.exists(each) else each for each in options]
        os.chdir(project.root())
    if command.source and not (project.root() / project.PRODUCTION).exists() and not template().production:
        raise ProjectError(
            f"{project.PRODUCTION}: this project has no production file; generate it again with production_requirements"
        )
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
