"""What this template adds to cookiecutter's Jinja."""

from __future__ import annotations

import logging
import os
import re
import shutil
import sys
from collections.abc import Iterable, Mapping, MutableMapping
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any

import cookiecutter
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
sys.path.insert(0, ROOT)

from ds_docker_env.common.errors import AnswerError, GenerationError, ProjectError  # noqa: E402
from ds_docker_env.generation import checks, configuration, updating  # noqa: E402
from ds_docker_env.generation.answers import Answers  # noqa: E402
from ds_docker_env.generation.base_image import Base, find, found, require_name  # noqa: E402
from ds_docker_env.generation.services import services_of  # noqa: E402
from ds_docker_env.generation.staging import NEW, Staging  # noqa: E402
from ds_docker_env.generation.wheel import Wheel, pack  # noqa: E402

# The name of the folder that the template is in.
_FOLDER = "{{cookiecutter.project_slug}}"
# Where the paths lead that were typed under cruft, which keeps what is in the context in a file for git.
_LOCATIONS: dict[str, str] = {}


class TemplateExtension(Extension):
    """Add ``template_root``, the folder of this repository, and filters: see below, and `services_of`.

    cookiecutter's own ``_repo_dir`` is relative or absent under pytest-cookies and cruft.
    """

    def __new__(cls, environment: Environment) -> Any:
        """Begin anew if the code has changed: cruft renders two commits of the template in one process."""
        if updating.stamps(_LOADED) == _LOADED:
            return super().__new__(cls)
        return updating.load_anew(__name__).TemplateExtension(environment)

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        environment.globals["template_root"] = ROOT
        environment.filters["absolute_location"] = absolute_location
        environment.filters["base_image"] = base_image
        environment.filters["checked"] = checked
        environment.filters["for_hooks"] = for_hooks
        environment.filters["place"] = place
        environment.filters["services"] = services_of
        environment.filters["wheel"] = wheel
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
    if not updating.under_cruft():
        return absolute
    _LOCATIONS[location] = absolute
    return location


@pass_environment
def base_image(environment: Environment, answers: Mapping[str, Any]) -> Base:
    """Return what FROM says, which `place` has begun to ask for."""
    return found(_base_name(environment, answers))


@pass_environment
def checked(environment: Environment, answers: Mapping[str, Any]) -> str:
    """Stop cookiecutter with one message if an answer is wrong, before it makes a folder of that name.

    A failing hook would come after the folder (``../x`` would be outside).
    """
    _checked_base_name(environment, answers, configuration.problems(Path(ROOT, "cookiecutter.json")))
    return "yes"


def for_hooks(answers: Mapping[str, Any]) -> dict[str, Any]:
    """Return the answers with what is known in this process only."""
    location = answers["__production_requirements"]
    known = {"__production_requirements": _LOCATIONS.get(location, location), "__compared": bool(updating.looked_at())}
    return {**answers, **known}


@pass_environment
def place(environment: Environment, answers: MutableMapping[str, Any]) -> str:
    """Return the folder to render into, which a guard watches over, or stop if there can be none.

    Checks the answers again, because a replay skips the questions. cruft and pytest-cookies look for the project where
    it was rendered: for them this is its place.
    """
    compared = updating.looked_at()
    if compared:
        for note in updating.recall(answers, compared):
            print(note, file=sys.stderr)
    base = _checked_base_name(environment, answers)
    slug = str(answers["project_slug"])
    asked = configuration.options()
    if not asked:
        find(base, Path(compared["project_dir"]) if compared else None, ask=not compared)
        return slug
    output = Path(asked["output_dir"]).absolute()
    target = output / slug
    try:
        if asked["accept_hooks"] == "no":
            raise ProjectError("--accept-hooks: the hooks of this template make the locks and the secrets; accept them")
        if target.exists() and not asked["overwrite_if_exists"]:
            raise OutputDirExistsException(f'Error: "{Path(asked["output_dir"], slug)}" directory already exists')
        stage = Staging.beginning(target, only_missing=asked["skip_if_file_exists"])
    except GenerationError as error:
        raise _stopped(error) from None
    except OSError as error:
        raise _stopped(ProjectError.of(error, target)) from None
    find(base, target)
    if asked["keep_project_on_failure"] and stage.mode == NEW:
        return slug
    stage.watch()
    sys.excepthook = partial(_tidied, stage)
    return stage.folder.relative_to(output).as_posix()


def wheel(answers: Mapping[str, Any]) -> Wheel:
    """Return the wheel of the image's commands."""
    return pack(Answers.of(answers))


def without_traceback(record: logging.LogRecord) -> bool:
    """Leave cookiecutter's traceback of itself out, as the hook has said what is wrong."""
    record.exc_info = None
    return True


def _checked_base_name(environment: Environment, answers: Mapping[str, Any], problems: Iterable[str] = ()) -> str:
    """Return the image's name if all answers are as they should be, and there are no problems before."""
    if configuration.options() or updating.under_cruft():
        sys.excepthook = _without_traceback
    try:
        # Of what cruft compares production is no part, and its file may be on somebody else's machine.
        checks.check({**answers, "__production_requirements": ""} if updating.looked_at() else answers)
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


def _without_traceback(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    """Say what cookiecutter, which writes without looking, cannot write."""
    if isinstance(error, OSError):
        print(ProjectError.of(error, Path.cwd()).report(), file=sys.stderr)
    elif isinstance(error, CookiecutterException):  # which cruft does not catch
        print(error, file=sys.stderr)
    else:
        sys.__excepthook__(kind, error, traceback)


def _tidied(stage: Staging, kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    shutil.rmtree(stage.folder, ignore_errors=True)
    _without_traceback(kind, error, traceback)


def _stopped(error: GenerationError) -> FailedHookException:
    print(error.report(), file=sys.stderr)
    return FailedHookException("Nothing was generated.")


_LOADED = updating.stamps(updating.our_modules(__name__))
