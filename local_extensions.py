"""What this template adds to cookiecutter's Jinja."""

from __future__ import annotations

import atexit
import contextlib
import importlib
import json
import logging
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping, MutableMapping
from pathlib import Path
from threading import Thread
from types import TracebackType
from typing import Any

import click
import cookiecutter
from cookiecutter.config import USER_CONFIG_PATH, get_user_config
from cookiecutter.exceptions import CookiecutterException, FailedHookException, OutputDirExistsException
from jinja2 import Environment, TemplateError, pass_environment
from jinja2.ext import Extension

# Before it there are no --keep-project-on-failure and no questions in words. It calls itself 2.1.2.dev0.
OLDEST = "2.2.0"
if [int(number) for number in re.findall(r"\d+", cookiecutter.__version__)] < [2, 1, 2]:
    raise ImportError(
        f"this template needs cookiecutter {OLDEST} or newer, and this is {cookiecutter.__version__}: "
        "upgrade it, or run it as `uvx cookiecutter`"
    )

ROOT = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(ROOT, "hooks"))

from ds_docker_env import configuration, refusals, staging  # noqa: E402
from ds_docker_env.base_image import Base, by_digest, require_name  # noqa: E402
from ds_docker_env.errors import AnswerError, GenerationError, ProjectError  # noqa: E402
from ds_docker_env.services import services_of  # noqa: E402
from ds_docker_env.updating import looked_at, recall, under_cruft  # noqa: E402

# The guard needs some thousandths.
_SECONDS = 20
# The name of the folder that the template is in.
_FOLDER = "{{cookiecutter.project_slug}}"


class Finding(Thread):
    """Looking for the digest of a base image. Not a future, whose import takes longer than all else here."""

    def __init__(self, name: str, dockerfile: str, *, ask: bool) -> None:
        super().__init__()
        self._asked = name, dockerfile, ask
        self.base = Base(name, "it was not asked for")

    def run(self) -> None:
        name, dockerfile, ask = self._asked
        self.base = by_digest(name, dockerfile, ask=ask)


# What is asked beside the hooks, by the image's name.
_BASES: dict[str, Finding] = {}
# Where the paths lead that were typed under cruft, which keeps what is in the context in a file for git.
_LOCATIONS: dict[str, str] = {}


class TemplateExtension(Extension):
    """Add ``template_root``, the folder of this repository, and filters: see below, and `services_of`.

    cookiecutter's own ``_repo_dir`` is relative or absent under pytest-cookies and cruft.
    """

    def __new__(cls, environment: Environment) -> Any:
        """Begin anew if the code has changed: cruft renders two commits of the template in one process."""
        if _stamps(_LOADED) == _LOADED:
            return super().__new__(cls)
        for name in _our_modules():
            del sys.modules[name]
        importlib.invalidate_caches()
        return importlib.import_module(__name__).TemplateExtension(environment)

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        environment.globals["template_root"] = ROOT
        environment.filters["absolute_location"] = absolute_location
        environment.filters["base_image"] = base_image
        environment.filters["checked"] = checked
        environment.filters["for_hooks"] = for_hooks
        environment.filters["place"] = place
        environment.filters["services"] = services_of
        logging.getLogger("cookiecutter.hooks").addFilter(without_traceback)

    def preprocess(self, source: str, name: str | None, filename: str | None = None) -> str:
        """Make the project in a folder beside its place: cookiecutter has just looked up what that folder is called."""
        return "{{ cookiecutter | place }}" if source == _FOLDER else source


def absolute_location(answer: Any) -> str:
    """Make a path absolute, seen from where the command was typed; leave all other answers as they are.

    Hooks run in the generated project, where a relative path would mean something else. For cruft `for_hooks` does it.
    """
    location = str(answer).strip()
    if not location or "://" in location or location.startswith(("git+", "image:")):
        return location
    absolute = os.path.abspath(os.path.expanduser(location))
    if not under_cruft():
        return absolute
    _LOCATIONS[location] = absolute
    return location


@pass_environment
def base_image(environment: Environment, answers: Mapping[str, Any]) -> Base:
    """Return what FROM says, which `place` has begun to ask for."""
    name = _base_name(environment, answers)
    if name not in _BASES:
        return by_digest(name)
    _BASES[name].join()
    return _BASES[name].base


@pass_environment
def checked(environment: Environment, answers: Mapping[str, Any]) -> str:
    """Stop cookiecutter with one message if an answer is wrong, before it makes a folder of that name.

    A failing hook would come after the folder (``../x`` would be outside).
    """
    _checked_base_name(environment, answers, _configuration_problems())
    return "yes"


def for_hooks(answers: Mapping[str, Any]) -> dict[str, Any]:
    """Return the answers with what is known in this process only."""
    location = answers["__production_requirements"]
    known = {"__production_requirements": _LOCATIONS.get(location, location), "__compared": bool(looked_at())}
    return {**answers, **known}


@pass_environment
def place(environment: Environment, answers: MutableMapping[str, Any]) -> str:
    """Return the folder to render into, which a guard watches over, or stop if there can be none.

    Checks the answers again, because a replay skips the questions. cruft and pytest-cookies look for the project where
    it was rendered: for them this is its place.
    """
    compared = looked_at()
    if compared:
        for note in recall(answers, compared):
            print(note, file=sys.stderr)
    base = _checked_base_name(environment, answers)
    slug = str(answers["project_slug"])
    asked = _asked()
    if not asked:
        _find(base, Path(compared["project_dir"]) if compared else None, ask=not compared)
        return slug
    output = Path(asked["output_dir"]).absolute()
    target = output / slug
    try:
        if asked["accept_hooks"] == "no":
            raise ProjectError("--accept-hooks: the hooks of this template make the locks and the secrets; accept them")
        if target.is_symlink() and not target.exists():
            raise ProjectError(f"{target}: is a link to nothing; take it away")
        if target.exists() and not asked["overwrite_if_exists"]:
            raise OutputDirExistsException(f'Error: "{Path(asked["output_dir"], slug)}" directory already exists')
        stage = staging.Staging.beginning(target, only_missing=asked["skip_if_file_exists"])
        _require_writable(stage.folder.parent)
    except GenerationError as error:
        raise _stopped(error) from None
    except OSError as error:
        raise _stopped(ProjectError.of(error, target)) from None
    _find(base, target)
    if asked["keep_project_on_failure"] and stage.mode == staging.NEW:
        return slug
    _watch(stage)
    return stage.folder.relative_to(output).as_posix()


def without_traceback(record: logging.LogRecord) -> bool:
    """Leave cookiecutter's traceback of itself out, as the hook has said what is wrong."""
    record.exc_info = None
    return True


def _configuration_problems() -> list[str]:
    """Return why answers on the command line, or in the person's configuration, cannot be taken as they are."""
    asked = _asked()
    if not asked:
        return []
    questions = json.loads(Path(ROOT, "cookiecutter.json").read_text(encoding="utf-8"))
    configured = get_user_config(asked["config_file"], asked["default_config"])["default_context"]
    path = asked["config_file"] or os.environ.get("COOKIECUTTER_CONFIG") or USER_CONFIG_PATH
    given = asked["extra_context"] or {}
    for note in configuration.misspelt(configured, questions, path):
        print(note, file=sys.stderr)
    problems = configuration.unknown(given, questions)
    if asked["no_input"]:
        problems += configuration.unusable(configured, questions, path)
    return problems


def _checked_base_name(environment: Environment, answers: Mapping[str, Any], problems: Iterable[str] = ()) -> str:
    """Return the image's name if all answers are as they should be, and there are no problems before."""
    if _asked() or under_cruft():
        sys.excepthook = _without_traceback
    try:
        # Of what cruft compares production is no part, and its file may be on somebody else's machine.
        refusals.check({**answers, "__production_requirements": ""} if looked_at() else answers)
        name = _base_name(environment, answers)
        require_name(name)
    except GenerationError as error:
        raise _stopped(AnswerError(*problems, *error.problems)) from None
    if problems:
        raise _stopped(AnswerError(*problems))
    return name


def _base_name(environment: Environment, answers: Mapping[str, Any]) -> str:
    """Return the image's name, made of the answers only here, or a replay would keep that of other answers."""
    try:
        return environment.from_string(str(answers["_base_image"])).render(cookiecutter=answers)
    except TemplateError as error:
        raise AnswerError(f"_base_image: {answers['_base_image']!r} cannot be rendered ({error})") from None


def _find(name: str, project: Path | None, *, ask: bool = True) -> None:
    """Begin to look for the digest of the base image: in a project that there is already, then in the registry."""
    dockerfile = ""
    if project:
        with contextlib.suppress(OSError):
            dockerfile = (project / "Dockerfile").read_text(encoding="utf-8", errors="replace")
    _BASES[name] = Finding(name, dockerfile, ask=ask)
    _BASES[name].start()


def _asked() -> dict[str, Any]:
    """Return the options of cookiecutter's own command; under anything else there are none."""
    from cookiecutter import cli

    context = click.get_current_context(silent=True)
    return context.params if context and context.command is cli.main else {}


def _our_modules() -> list[str]:
    return [name for name in sys.modules if name == __name__ or name.partition(".")[0] == "ds_docker_env"]


def _stamps(names: Iterable[str]) -> dict[str, tuple[int, int] | None]:
    """Return what tells the files of modules from changed ones."""
    stamps: dict[str, tuple[int, int] | None] = {}
    for name in names:
        stamps[name] = None
        with contextlib.suppress(OSError):
            stat = Path(str(sys.modules[name].__file__)).stat()
            stamps[name] = stat.st_mtime_ns, stat.st_size
    return stamps


def _without_traceback(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    """Say what cookiecutter, which writes without looking, cannot write."""
    if isinstance(error, OSError):
        print(ProjectError.of(error, Path.cwd()).report(), file=sys.stderr)
    elif isinstance(error, CookiecutterException):  # which cruft does not catch
        print(error, file=sys.stderr)
    else:
        sys.__excepthook__(kind, error, traceback)


def _require_writable(folder: Path) -> None:
    existing = next(parent for parent in (folder, *folder.parents) if parent.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        raise ProjectError(f"{existing}: is no folder that you may write into; name another one with --output-dir")


def _watch(stage: staging.Staging) -> None:
    """Start the guard."""
    # In a session of its own, it is not killed along with cookiecutter.
    guard = subprocess.Popen(
        [sys.executable, "-I", "-S", staging.__file__, str(stage.folder)],
        stdin=subprocess.PIPE,
        start_new_session=True,
        creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
    )

    def released() -> None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            guard.communicate(timeout=_SECONDS)

    def tidied(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
        shutil.rmtree(stage.folder, ignore_errors=True)
        _without_traceback(kind, error, traceback)

    atexit.register(released)
    sys.excepthook = tidied


def _stopped(error: GenerationError) -> FailedHookException:
    print(error.report(), file=sys.stderr)
    return FailedHookException("Nothing was generated.")


_LOADED = _stamps(_our_modules())
