"""Questions to uv: whether production can be locked with the analysis, and which pins conflict."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from ds_docker_env.common import certificates, uv
from ds_docker_env.common.errors import RefusedError, UnreachableError, UntrustedError
from ds_docker_env.common.progress import Say, silent
from ds_docker_env.common.redaction import without_credentials
from ds_docker_env.common.settings import own_settings
from ds_docker_env.common.target import AMD64, Target
from ds_docker_env.pinning import indexes, watched
from ds_docker_env.pinning.builds import Building, Failure
from ds_docker_env.pinning.cooldown import Cooldown, time_of
from ds_docker_env.pinning.explanation import sentence
from ds_docker_env.pinning.production.model import Pin, Production, as_lines, name_of

LOCK = "requirements.txt"
# The number of pins in an explanation that are tried; the reason is among the first.
_NAMED = 8
# The progress message during the search for a reason.
_ASKING = "finding out which versions conflict"
_NAME = re.compile(r"[A-Za-z0-9](?:[\w.-]*[A-Za-z0-9])?")
_UNREACHABLE = re.compile(
    r"error sending request|dns error|client error \(Connect\)|operation timed out|HTTP status (server|client) error"
)
_NOTE = re.compile(r"^(?:warning: |Resolved \d+ package).*\n?", re.MULTILINE)
_YANKED = re.compile(r"^warning: `([^`]+)` is yanked", re.MULTILINE)
_REFUSED = re.compile(r"An index URL \((\S+)\) could not be queried due to a lack of valid authentication credentials")
_INDEX_LINES = re.compile(r"^(?:--.*\n)+", re.MULTILINE)
_MADE = re.compile(r"^# uv .*\n", re.MULTILINE)
_URL = re.compile(r"https?://[^\s`'\")]+")


@dataclass(frozen=True)
class Attempt:
    """A lock, or an empty text and uv's explanation; ``yanked`` are versions in the lock."""

    text: str
    stderr: str
    yanked: tuple[str, ...] = ()

    @property
    def impossible(self) -> bool:
        """Say whether uv did not find a lock."""
        return not self.text

    @property
    def said(self) -> str:
        """Return the sentence of uv's explanation that gives the reason."""
        return sentence(self.stderr)

    @property
    def words(self) -> str:
        """Return uv's whole output on one line, because uv wraps it."""
        return " ".join(self.stderr.split())

    @property
    def names(self) -> list[str]:
        """Return every normalised word in uv's explanation that could be a package, in its order."""
        return list(dict.fromkeys(canonicalize_name(name) for name in _NAME.findall(self.stderr)))


@dataclass
class Resolver:
    """Runs uv for one production file in one directory.

    Packages in ``wheels_only`` are never built from source unless production pins them. ``overrides`` are pins that
    override the requirements of other packages. Versions in the lock ``before`` stay if possible. ``building`` learns
    how to build sources, and ``cooldown`` which packages are exempt. ``say`` gets each step. ``answers`` caches
    answers to earlier questions.
    """

    folder: Path
    production: Production
    wheels_only: set[str]
    target: Target
    overrides: list[str] = field(default_factory=list)
    building: Building = field(default_factory=Building)
    cooldown: Cooldown = field(default_factory=Cooldown)
    before: str = ""
    say: Say = silent
    answers: dict[str, Attempt] = field(default_factory=dict, repr=False)

    def resolve(self, analysis: Sequence[str]) -> Attempt:
        """Resolve production with these packages; raise `UvError`, `UnreachableError`, `RefusedError`."""
        return self._compile(analysis, self.production.requirements(), overrides=self.overrides, step="resolving")

    def together(self, analysis: Sequence[str], pins: Sequence[str], overrides: Sequence[str] = ()) -> Attempt:
        """Ask whether these packages and these pins are compatible, without the rest of production."""
        return self._ask(analysis, self.production.only(pins), overrides=overrides)

    def excludes(self, one: str, other: str) -> bool:
        """Say whether one pin excludes another, apart from the requirements of the other one."""
        pin = next(pin for pin in self.production.fixed if str(pin) == other)
        described = replace(self, building=replace(self.building, undescribed={**self.building.undescribed, pin: ""}))
        return described.together([], [one, other], overrides=self.overrides).impossible

    def available(self, pin: str, python: str = "") -> Attempt:
        """Ask whether an index has this pin for a Python; ignore its dependencies and its marker."""
        return self._ask([], self.production.only([_unmarked(pin)]), "--no-deps", target=self._running(python))

    def installable(self, pin: str, platform: str = "") -> Attempt:
        """Ask whether this pin can be installed with its dependencies on a platform."""
        return self._ask([], self.production.only([_unmarked(pin)]), platform=platform)

    def wheels(self, pins: Sequence[str], python: str = "") -> Attempt:
        """Look for a wheel of each of these pins for a Python."""
        wheels = ("--no-deps", "--only-binary", ":all:")
        return self._ask([], self.production.only(map(_unmarked, pins)), *wheels, target=self._running(python))

    def files(self, pins: Sequence[str], python: str = "") -> Attempt:
        """Ask for the files of these pins on the indexes, for every platform, in pylock.toml."""
        described = {Pin(name_of(pin), str(Requirement(pin).specifier), (), "", frozenset(), ""): "" for pin in pins}
        # With empty metadata, uv neither downloads nor builds these pins.
        building = Building(own_settings(self.building.settings), undescribed=described)
        asking = replace(self, wheels_only=set(), before="", building=building, target=self.target.on(AMD64))
        lines = as_lines(self.production.indexes)
        return asking._ask(pins, lines, "--no-deps", every=True, target=asking._running(python))

    def exist(self, requirements: Sequence[str]) -> Attempt:
        """Ask whether the indexes have each of these for this Python; ignore dependencies."""
        described = {Pin(name_of(each), "", (), "", frozenset(), ""): "" for each in requirements}
        building = Building(own_settings(self.building.settings), undescribed=described)
        asking = replace(self, wheels_only=set(), before="", building=building)
        return asking._ask([], self.production.only(requirements), "--no-deps")

    def build_requirements(self, requirements: Collection[str], before: str) -> Attempt:
        """Lock build requirements from wheels only; versions ``before`` stay if possible."""
        wheels = ("--only-binary", ":all:", "--no-annotate")
        return replace(self, before=before)._ask([*requirements], as_lines(self.production.indexes), *wheels)

    def newest(self, names: Sequence[str], *options: str) -> Attempt:
        """Ask for the newest version of each of these packages; ignore dependencies."""
        return self._ask(names, self.production.only([]), "--no-deps", *options)

    def without(self, pins: Sequence[str], *options: str) -> Attempt:
        """Resolve production by itself, without these pins."""
        others = [pin for pin in map(str, self.production.pins) if pin not in pins]
        production = self.production.only([*others, *self.production.unpinned])
        return self._ask([], production, *options, overrides=self.overrides)

    def _running(self, python: str) -> Target:
        return self.target._replace(python=python or self.target.python)

    def named_pins(self, attempt: Attempt) -> list[str]:
        """Return production's pins that uv's explanation mentions, in its order."""
        known = [*self.production.constraints, *self.production.pins]
        pins = {pin.name: str(pin) for pin in known if pin.applies(self.target)}
        return [pins[name] for name in attempt.names if name in pins][:_NAMED]

    def _ask(self, analysis: Sequence[str], production: str, *options: str, **further: Any) -> Attempt:
        """Return an answer of `_compile`; repeat a question only if uv's settings have changed since."""

        def question() -> str:
            return repr((self, analysis, production, options, further))

        if known := self.answers.get(question()):
            return known
        attempt = self._compile(analysis, production, *options, **further, step=_ASKING)
        self.answers[question()] = attempt
        return attempt

    def _compile(
        self,
        analysis: Sequence[str],
        production: str,
        *options: str,
        overrides: Sequence[str] = (),
        target: Target | None = None,
        platform: str = "",
        every: bool = False,
        step: str,
    ) -> Attempt:
        target = target or self.target
        output = "pylock.toml" if every else LOCK
        command = compile_command(
            target.full_python,
            "" if every else platform or target.platform,
            *(["--emit-index-url"] if self.production.indexes else []),
            *(["--overrides", "overrides.txt"] if overrides else []),
            # uv prefers new versions of the packages in the first file, so production's open packages come first.
            *("production.txt", "requirements.in"),
            output=output,
        )
        files = {
            "requirements.in": as_lines(analysis),
            "production.txt": production,
            "constraints.txt": self.production.constraints_text(),
            "overrides.txt": as_lines(overrides),
        }
        while True:
            attempt = self._run(command, files, options, self.folder / output, step)
            failure = None if attempt.text else Failure.find(attempt.stderr)
            if failure is None or not self._learn(failure, target):
                return attempt

    def _learn(self, failure: Failure, target: Target) -> bool:
        """Find a workaround for a source that does not build; say whether to try again."""
        if any(pin.name == failure.name for pin in self.production.fixed):
            learned = self.building.learn(failure, self.production.fixed, target)
            # A conda package that does not build may be left out.
            twin = failure.unbuilt and failure.name in map(name_of, self.production.twins)
            return learned and not (twin and self.building.forget([failure.name]))
        another = failure.name not in self.wheels_only
        self.wheels_only |= {failure.name}
        return another

    def _run(
        self,
        command: list[str],
        files: Mapping[str, str],
        options: Sequence[str],
        output: Path,
        step: str,
    ) -> Attempt:
        kept = indexes.keep(self.building.render(), files["production.txt"])
        # Packages that were left out since are not exempt.
        self.cooldown.pins = {pin.name for pin in self.production.fixed}
        for name, text in {**files, "uv.toml": kept.settings}.items():
            (self.folder / name).write_text(text, encoding="utf-8", newline="\n")
        while True:
            output.unlink(missing_ok=True)
            if self.before:
                output.write_text(self.before, encoding="utf-8", newline="\n")
            done = watched.run(
                *command,
                *("--no-progress", "--color", "never"),
                # Without this, uv searches for the target's Python, which takes 0.3 s with pyenv.
                *("--python", os.path.realpath(sys.executable)),
                *("--custom-compile-command", header(" ".join(["uv", *command]), self.cooldown.noted)),
                *(f"--only-binary={name}" for name in sorted(self.wheels_only - self.production.built())),
                *self.cooldown.options,
                *self._cache(),
                *options,
                folder=self.folder,
                say=self.say,
                step=step,
                environment=kept.environment,
            )
            # Questions do not exempt packages from the cooldown.
            if not self.cooldown.learn(done.stderr, force=bool(done.returncode) and step != _ASKING):
                break
        written = output.exists() and not done.returncode
        attempt = Attempt(
            _with_plain_indexes(output.read_text(encoding="utf-8")) if written else "",
            without_credentials(_NOTE.sub("", done.stderr).rstrip("\n")),
            tuple(_YANKED.findall(done.stderr)),
        )
        if done.returncode:
            check_reached(attempt.stderr)
        return attempt

    def _cache(self) -> list[str]:
        """Separate the builds of an old setuptools: from uv's usual cache, later locks would not learn its bound."""
        bound = self.building.setuptools
        return ["--cache-dir", str(uv.cache() / f"ds-docker-env-{bound.replace('<', '-before-')}")] if bound else []


def check_reached(said: str) -> None:
    """Raise `RefusedError`, `UntrustedError` or `UnreachableError` if uv says that it could not use an index."""
    if refused := _REFUSED.search(said):
        raise RefusedError(
            f"the index {refused[1]} requires a valid login; add it to ~/.netrc: "
            f"machine {urlsplit(refused[1]).hostname} login NAME password PASSWORD",
            url=refused[1],
        )
    if _UNREACHABLE.search(said):
        url = _URL.search(said)
        if url and certificates.untrusted(said):
            raise UntrustedError(f"the certificate of {url[0]} is not trusted; {certificates.ADVICE}", url=url[0])
        raise UnreachableError(
            f"the package index cannot be reached; check the network and uv's settings; uv says: {sentence(said)}",
            url=url[0] if url else "",
        )


def compile_command(full_python: str, platform: str, *inputs: str, output: str = LOCK) -> list[str]:
    """Return the arguments of uv that make a lock; they are in its header and also work in the project.

    Without a ``platform``, the lock is universal.
    """
    return [
        *("pip", "compile", "--generate-hashes", "--python-version", full_python),
        *(["--python-platform", platform] if platform else ["--universal"]),
        *("--output-file", output, *inputs),
    ]


def header(command: str, limit: str = "") -> str:
    """Return the header of a lock: the command, uv's version, and the time of the index."""
    limit = limit or os.environ.get("UV_EXCLUDE_NEWER", "")
    if not time_of(limit):
        limit = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    return f"{command}\n# {uv.version()}, index as of {limit}"


def same_versions(one: str, other: str) -> bool:
    """Say whether two locks differ only in uv's version and the time of the index."""
    return re.sub(_MADE, "", one, count=1) == re.sub(_MADE, "", other, count=1)


def _unmarked(pin: str) -> str:
    """Return a pin without its marker, because uv also finds a lock for pins that do not apply."""
    return pin.partition(" ; ")[0]


def _with_plain_indexes(lock: str) -> str:
    """Remove the logins from the index lines, which uv takes from its own settings."""

    def plain(lines: re.Match[str]) -> str:
        return as_lines(dict.fromkeys(without_credentials(line) for line in lines[0].splitlines()))

    return _INDEX_LINES.sub(plain, lock)
