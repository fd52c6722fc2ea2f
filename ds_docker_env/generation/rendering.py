"""All uses of internals of cookiecutter (tested with 2.2.0 to 2.7.1) and of cruft (tested with 2.16.0).

cookiecutter: the options of its command, its configuration, its exceptions, the logger of its hooks, and the order in
which it asks, names and renders. cruft: the parameters of its functions, and its two renderings in one process.
"""

from __future__ import annotations

import atexit
import contextlib
import importlib
import inspect
import json
import logging
import os
import re
import shutil
import signal
import sys
import traceback
from collections.abc import Iterable, Mapping, MutableMapping
from pathlib import Path
from threading import Thread
from types import FrameType, ModuleType, TracebackType
from typing import TYPE_CHECKING, Any

import click
import cookiecutter
from cookiecutter.config import USER_CONFIG_PATH, get_user_config
from cookiecutter.exceptions import CookiecutterException, FailedHookException, OutputDirExistsException
from jinja2 import Environment, TemplateError, pass_environment

from ds_docker_env.common.errors import AnswerError, GenerationError, ProjectError
from ds_docker_env.generation import checks
from ds_docker_env.generation.answers import Answers
from ds_docker_env.generation.base_image import Base, find, found, require_name
from ds_docker_env.generation.release import commit
from ds_docker_env.generation.services import images_of, services_of
from ds_docker_env.generation.staging import Staging

# The first version with --keep-project-on-failure and prompts. Its version string is 2.1.2.dev0.
OLDEST = "2.2.0"
if [int(number) for number in re.findall(r"\d+", cookiecutter.__version__)] < [2, 1, 2]:
    raise ImportError(
        f"this template needs cookiecutter {OLDEST} or newer, but this is {cookiecutter.__version__}; "
        "upgrade it, or run: uvx cookiecutter"
    )

if TYPE_CHECKING:
    from ds_docker_env.generation.wheel import Wheel

_ROOT = Path(__file__).parents[2]
# Answers that change more in a project than cruft updates.
_MORE = ("production_requirements", "python_version", "debian_release", "dvc_s3_url", "services")
# The absolute paths of locations that were typed under cruft, which stores the context in a file for git.
_LOCATIONS: dict[str, str] = {}
# The project, if a hidden directory is used.
_CHOSEN: list[Staging] = []


class _Looking(Thread):
    """Asks git for the template's commit, and imports the wheel's module, in the background."""

    commit = ""

    def run(self) -> None:
        from ds_docker_env.generation import wheel  # noqa: F401

        self.commit = commit()


_LOOKING: list[_Looking] = []


def absolute_location(answer: Any) -> str:
    """Make a path absolute, relative to the working directory of the command; return other answers unchanged.

    Hooks run in the generated project, where a relative path has another meaning. For cruft `for_hooks` does this.
    """
    location = str(answer).strip()
    if not location or "://" in location or location.startswith(("git+", "image:")):
        return location
    absolute = os.path.abspath(os.path.expanduser(location))
    if not _under_cruft():
        return absolute
    _LOCATIONS[location] = absolute
    return location


@pass_environment
def checked(environment: Environment, answers: Mapping[str, Any]) -> str:
    """Stop cookiecutter with one message if an answer is invalid.

    A hook would be too late: cookiecutter makes the directory before, and ``../x`` would be outside.
    """
    _checked_base_name(environment, answers, _problems_of_configuration())
    return "yes"


@pass_environment
def place(environment: Environment, answers: MutableMapping[str, Any]) -> str:
    """Return the directory to render into, or stop with an error.

    Checks the answers again, because a replay skips the questions. cruft and pytest-cookies expect the project where it
    was rendered, so for them this is its final place.
    """
    _LOOKING.append(_Looking())
    _LOOKING[-1].start()
    _CHOSEN.clear()
    compared = _looked_at()
    if compared:
        _recall(answers, compared)
    base = _checked_base_name(environment, answers)
    slug = str(answers["project_slug"])
    asked = _options()
    if not asked:
        _find(base, answers, Path(compared["project_dir"]) if compared else None, ask=not compared)
        return slug
    output = Path(asked["output_dir"]).absolute()
    target = output / slug
    try:
        if asked["accept_hooks"] == "no":
            raise ProjectError("--accept-hooks: the hooks of this template make the locks and secrets; accept them")
        if target.exists() and not asked["overwrite_if_exists"]:
            raise OutputDirExistsException(f'Error: "{Path(asked["output_dir"], slug)}" directory already exists')
        if asked["keep_project_on_failure"] and not target.exists():
            _find(base, answers, target)
            return slug
        staging = Staging.begin(target, only_missing=asked["skip_if_file_exists"])
    except GenerationError as error:
        raise _stopped(error) from None
    except OSError as error:
        raise _stopped(ProjectError.of(error, target)) from None
    _watch(staging)
    _find(base, answers, target)
    _CHOSEN.append(staging)
    return staging.folder.relative_to(output).as_posix()


@pass_environment
def base_image(environment: Environment, answers: Mapping[str, Any]) -> Base:
    """Return the reference for FROM; `place` began the search."""
    return found(_base_name(environment, answers))


@pass_environment
def service_image(environment: Environment, answers: Mapping[str, Any], name: str) -> str:
    """Return the image of a service, with a digest unless `_base_image` has one: then registries are not asked."""
    return name if "@" in _base_name(environment, answers) else found(name).reference


@pass_environment
def images(environment: Environment, answers: Mapping[str, Any]) -> list[Base]:
    """Return the base image and the images of services, for the summary."""
    base = base_image(environment, answers)
    return [base, *(found(name) for name in _service_images(_base_name(environment, answers), answers))]


def for_hooks(answers: Mapping[str, Any]) -> dict[str, Any]:
    """Return the answers, with facts that only this process knows."""
    location = answers["__production_requirements"]
    known = {"__production_requirements": _LOCATIONS.get(location, location), "__compared": bool(_looked_at())}
    # If this process packs the wheel, hooks do not need the commit.
    return {**answers, **known, "__commit": "" if _CHOSEN else _commit()}


def wheel(answers: Mapping[str, Any]) -> Wheel:
    """Return the wheel with the image's commands, and write it if `place` has chosen the directory."""
    from ds_docker_env.generation.wheel import pack

    packed = pack(Answers.of({**for_hooks(answers), "__commit": _commit()}))
    for staging in _CHOSEN:
        try:
            (staging.folder / packed.name).write_bytes(packed.content)
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(staging.target)) from None
    return packed


def _commit() -> str:
    """Return the template's commit; `place` began to ask for it."""
    if not _LOOKING:
        return commit()
    _LOOKING[-1].join()
    return _LOOKING[-1].commit


def without_traceback(record: logging.LogRecord) -> bool:
    """Omit cookiecutter's traceback; the hook has printed the reason."""
    record.exc_info = None
    return True


def our_modules(extension: str) -> list[str]:
    """Return the names of the loaded modules of the template."""
    return [name for name in sys.modules if name == extension or name.partition(".")[0] == "ds_docker_env"]


def stamps(modules: Iterable[str]) -> dict[str, tuple[int, int] | None]:
    """Return modification time and size of each module's file."""
    found: dict[str, tuple[int, int] | None] = {}
    for name in modules:
        found[name] = None
        with contextlib.suppress(OSError):
            stat = Path(str(sys.modules[name].__file__)).stat()
            found[name] = stat.st_mtime_ns, stat.st_size
    return found


def load_anew(extension: str) -> ModuleType:
    """Import the template's extension and its modules again from their files."""
    # Python compares a cached file by size and second, so the cache of another commit may pass for this one.
    for folder in (_ROOT / "ds_docker_env").rglob("__pycache__"):
        shutil.rmtree(folder, ignore_errors=True)
    for name in our_modules(extension):
        del sys.modules[name]
    importlib.invalidate_caches()
    return importlib.import_module(extension)


def _options() -> dict[str, Any]:
    """Return the options of cookiecutter's command, empty under another program."""
    from cookiecutter import cli

    context = click.get_current_context(silent=True)
    return context.params if context and context.command is cli.main else {}


def _problems_of_configuration() -> list[str]:
    """Return a problem for each answer that cookiecutter would ignore or misread."""
    asked = _options()
    if not asked:
        return []
    questions = json.loads((_ROOT / "cookiecutter.json").read_text(encoding="utf-8"))
    configured = get_user_config(asked["config_file"], asked["default_config"])["default_context"]
    path = asked["config_file"] or os.environ.get("COOKIECUTTER_CONFIG") or USER_CONFIG_PATH
    for note in checks.misspelt(configured, questions, path):
        print(note, file=sys.stderr)
    unknown = checks.unknown(asked["extra_context"] or {}, questions)
    return unknown + checks.unusable(configured, questions, path) if asked["no_input"] else unknown


def _checked_base_name(environment: Environment, answers: Mapping[str, Any], problems: Iterable[str] = ()) -> str:
    """Return the base image's name; stop if an answer is invalid or there are ``problems``."""
    if _options() or _under_cruft():
        sys.excepthook = _without_traceback
    try:
        # cruft does not compare locks, and production's file may be on another machine.
        checks.check({**answers, "__production_requirements": ""} if _looked_at() else answers)
        name = _base_name(environment, answers)
        require_name(name)
    except GenerationError as error:
        raise _stopped(AnswerError(*problems, *error.problems)) from None
    if problems:
        raise _stopped(AnswerError(*problems))
    return name


def _base_name(environment: Environment, answers: Mapping[str, Any]) -> str:
    """Return the image's name. It is rendered here, as a replay would keep the name for other answers."""
    try:
        return environment.from_string(str(answers["_base_image"])).render(cookiecutter=answers)
    except TemplateError as error:
        raise AnswerError(f"_base_image: {answers['_base_image']!r} cannot be rendered ({error})") from None


def _service_images(base: str, answers: Mapping[str, Any]) -> list[str]:
    return [] if "@" in base else images_of(services_of(str(answers["services"])))


def _find(base: str, answers: Mapping[str, Any], project: Path | None, *, ask: bool = True) -> None:
    """Begin to look for the digests of all images."""
    for name in (base, *_service_images(base, answers)):
        find(name, project, ask=ask)


def _watch(staging: Staging) -> None:
    """Clean up after an error, Ctrl-C, and signals that end the process."""

    def stop(number: int, _: FrameType | None) -> None:
        sys.exit(128 + number)

    def tidied(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
        shutil.rmtree(staging.folder, ignore_errors=True)
        _without_traceback(kind, error, traceback)

    atexit.register(staging.leave)
    sys.excepthook = tidied
    for name in ("SIGTERM", "SIGHUP"):  # Windows lacks SIGHUP
        number = getattr(signal, name, None)
        if number and signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, stop)


def _without_traceback(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    """Print an error without a traceback, such as a file that cookiecutter cannot write."""
    if isinstance(error, OSError):
        print(ProjectError.of(error, Path.cwd()).report(), file=sys.stderr)
    elif isinstance(error, CookiecutterException):  # which cruft does not catch
        print(error, file=sys.stderr)
    else:
        sys.__excepthook__(kind, error, traceback)


def _stopped(error: GenerationError) -> FailedHookException:
    print(error.report(), file=sys.stderr)
    return FailedHookException("Nothing was generated.")


def _under_cruft() -> bool:
    return "cruft" in sys.modules


def _looked_at() -> Mapping[str, Any]:
    """Return the arguments of cruft's running function if it only compares, otherwise an empty mapping.

    Its renderings are compared with the project, or discarded. cruft does not document these functions, but other
    programs also call them by name.
    """
    if _under_cruft():
        cruft = sys.modules["cruft"]
        looking = {inspect.unwrap(function).__code__ for function in (cruft.diff, cruft.link, cruft.update)}
        for frame, _ in traceback.walk_stack(None):
            if frame.f_code in looking:
                return frame.f_locals
    return {}


def _recall(answers: MutableMapping[str, Any], asked: Mapping[str, Any]) -> None:
    """Take private answers, such as ``_base_image``, from the project; print the next step for changed answers."""
    state = json.loads(Path(asked["project_dir"], ".cruft.json").read_text(encoding="utf-8"))
    before = state["context"]["cookiecutter"]
    if not asked.get("refresh_private_variables"):
        own = {name for name, answer in answers.items() if name.startswith("_") and isinstance(answer, str)}
        answers.update({name: before[name] for name in own & before.keys() if name not in ("_commit", "_template")})
    changed = [name for name in _MORE if name in before and before[name] != answers[name]]
    if changed:
        print(
            f"ds-docker-env: {', '.join(changed)}: cruft does not update locks and passwords; after the update, "
            "run cookiecutter --overwrite-if-exists with these answers",
            file=sys.stderr,
        )
