"""Making the lock: production's versions first, then as much of the analysis as can live beside them."""

from __future__ import annotations

import re
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from ds_docker_env import uv
from ds_docker_env.errors import LockError, UvError, without_credentials
from ds_docker_env.production import Production
from ds_docker_env.target import PYTHON_VERSIONS, Target

# Without it there is no notebook on production's versions at all.
REQUIRED = "ipykernel"
_UNREACHABLE = re.compile(
    r"error sending request|dns error|client error \(Connect\)|operation timed out|HTTP status (server|client) error"
)
# Pins to look at in one explanation, singly and in pairs; the reason is among the first.
_NAMED, _PAIRED = 8, 5
_NAME = re.compile(r"[A-Za-z0-9](?:[\w.-]*[A-Za-z0-9])?")
# Seconds for all runs of uv together; the largest of 100 production files took 6.
_PATIENCE = 120


@dataclass
class Lock:
    """The text of requirements.txt, and what a person should know of it.

    ``left_out`` names packages with the production pin that is the reason; ``contradicting`` are production's pins that
    exclude each other. Production runs them all the same, so they are locked against what each asks of the others.
    """

    text: str = ""
    left_out: dict[str, str] = field(default_factory=dict)
    contradicting: list[str] = field(default_factory=list)


def compile_command(full_python: str, *inputs: str, output: str = "requirements.txt") -> list[str]:
    """Return the arguments of uv that make a lock; they stand in its header and work in the project too."""
    return [
        *("pip", "compile", "--generate-hashes", "--python-version", full_python),
        *("--python-platform", "linux", "--output-file", output, *inputs),
    ]


def make_lock(production: Production, analysis: list[str], wheels_only: set[str], target: Target) -> Lock:
    """Lock production with the analysis packages, each a requirement with a floor.

    Packages that cannot live beside production are left out, except ipykernel. ``wheels_only`` names packages that are
    never built from source unless production pins them: uv would build ten-year-old ones only to explain a conflict.
    Raise `LockError` when production or ipykernel cannot be locked, `UvError` when uv fails.
    """
    with tempfile.TemporaryDirectory(prefix="ds-docker-env-") as folder:
        deadline = time.monotonic() + _PATIENCE
        resolver = _Resolver(Path(folder), production, wheels_only, target, deadline)
        lock, kept = Lock(), list(analysis)
        while not (attempt := resolver.resolve(kept)).text:
            if conflicts := resolver.conflicts(kept, attempt.stderr):
                lock.left_out |= conflicts
                kept = [requirement for requirement in kept if requirement not in conflicts]
            elif contradicting := resolver.contradictions(attempt.stderr):
                resolver.overrides += contradicting
                lock.left_out |= (conflicts := resolver.conflicts_with(kept, contradicting))
                kept = [requirement for requirement in kept if requirement not in conflicts]
            else:
                attempt = _one_by_one(resolver, kept, lock)
                break
        if not any(_name(requirement) == REQUIRED for requirement in kept):
            raise LockError(*resolver.explain([REQUIRED], attempt.stderr))
        lock.text, lock.contradicting = attempt.text, resolver.overrides
        return lock


def _one_by_one(resolver: _Resolver, candidates: list[str], lock: Lock) -> _Attempt:
    """Add the packages singly, for a conflict that no pin explains by itself."""
    kept = [requirement for requirement in candidates if _name(requirement) == REQUIRED]
    best = resolver.resolve(kept)
    if not best.text:
        raise LockError(*resolver.explain(kept, best.stderr))
    for requirement in candidates:
        if requirement in kept:
            continue
        attempt = resolver.resolve([*kept, requirement])
        if attempt.text:
            kept.append(requirement)
            best = attempt
        else:
            lock.left_out[requirement] = "versions taken together"
    return best


@dataclass(frozen=True)
class _Attempt:
    text: str
    stderr: str


@dataclass
class _Resolver:
    folder: Path
    production: Production
    wheels_only: set[str]
    target: Target
    deadline: float
    overrides: list[str] = field(default_factory=list)

    def resolve(self, analysis: list[str]) -> _Attempt:
        """Resolve production and these packages; the text is empty when that is impossible."""
        return self._compile(analysis, self.production.requirements(), self.target, overrides=self.overrides)

    def conflicts(self, analysis: list[str], stderr: str) -> dict[str, str]:
        """Return which packages that uv's explanation names cannot live beside which pin, each tried by itself."""
        named = {canonicalize_name(name) for name in _NAME.findall(stderr)}
        candidates = [requirement for requirement in analysis if _name(requirement) in named - {REQUIRED}]
        reasons = {requirement: self.reason(requirement, stderr) for requirement in candidates}
        return {requirement: reason for requirement, reason in reasons.items() if reason}

    def reason(self, requirement: str, stderr: str) -> str:
        """Return the pins, of those in uv's explanation, beside which a package cannot live, or nothing."""
        named = self._named_pins(stderr)
        for pins in [[pin] for pin in named] + [named]:
            if pins and not self._compile([requirement], self.production.only(pins), self.target).text:
                return " and ".join(pins)
        return ""

    def conflicts_with(self, analysis: list[str], pins: list[str]) -> dict[str, str]:
        """Return which packages ask for something else than these pins."""
        return {
            requirement: pin
            for pin in pins
            if not self._compile(analysis, self.production.only([pin]), self.target).text
            for requirement in analysis
            if not self._compile([requirement], self.production.only([pin]), self.target).text
        }

    def contradictions(self, stderr: str) -> list[str]:
        """Return the pins, of those in uv's explanation, that exclude each other though each can be had."""
        pairs = combinations(self._named_pins(stderr)[:_PAIRED], 2)
        excluding = [pair for pair in pairs if not self._compile([], self.production.only(pair), self.target).text]
        pins = dict.fromkeys(pin for pair in excluding for pin in pair)
        return [pin for pin in pins if pin not in self.overrides and self._alone(pin, self.target)]

    def explain(self, kept: list[str], stderr: str) -> list[str]:
        """Return why production, or ipykernel beside it, cannot be locked."""
        if self._compile([], self.production.requirements(), self.target).text:
            pins = self.reason(kept[0], stderr) or "these versions"
            return [
                f"{self.production.source}: {kept[0]} cannot live beside {pins}; "
                "without it there is no notebook, so production must move first"
            ]
        problems = []
        for pin in self._impossible_pins(stderr):
            fitting = [version for version in PYTHON_VERSIONS if self._alone(pin, Target(version, self.target.debian))]
            where = next(known.where for known in self.production.pins if str(known) == pin)
            if fitting:
                problems.append(
                    f"{where}: {pin} does not run on Python {self.target.python}; "
                    f"it does on {', '.join(fitting)}: choose production's python_version"
                )
            else:
                problems.append(
                    f"{where}: {pin} cannot be had for Linux from the package index; uv says: {_short(stderr)}"
                )
        return problems or [
            f"{self.production.source}: these versions cannot be locked together; uv says: {_short(stderr)}"
        ]

    def _impossible_pins(self, stderr: str) -> list[str]:
        """Return the pins that cannot be had at all: uv names one, so go on without it until it names none."""
        impossible: list[str] = []
        while found := [pin for pin in self._named_pins(stderr) if not self._alone(pin, self.target)]:
            impossible += found
            others = [pin for pin in map(str, self.production.pins) if pin not in impossible]
            attempt = self._compile([], self.production.only([*others, *self.production.unpinned]), self.target)
            if attempt.text:
                break
            stderr = attempt.stderr
        return impossible

    def _alone(self, pin: str, target: Target) -> bool:
        return bool(self._compile([], self.production.only([pin]), target, "--no-deps").text)

    def _named_pins(self, stderr: str) -> list[str]:
        """Return production's pins that uv's explanation mentions, in its order."""
        known = [*self.production.constraints, *self.production.pins]
        pins = {pin.name: str(pin) for pin in known if pin.applies(self.target)}
        names = dict.fromkeys(canonicalize_name(name) for name in _NAME.findall(stderr))
        return [pins[name] for name in names if name in pins][:_NAMED]

    def _compile(
        self, analysis: list[str], production: str, target: Target, *options: str, overrides: Sequence[str] = ()
    ) -> _Attempt:
        for name, text in (
            ("requirements.in", "".join(f"{requirement}\n" for requirement in analysis)),
            ("production.txt", production),
            ("constraints.txt", self.production.bounding()),
            ("overrides.txt", "".join(f"{pin}\n" for pin in overrides)),
        ):
            (self.folder / name).write_text(text, encoding="utf-8", newline="\n")
        output = self.folder / "requirements.txt"
        output.unlink(missing_ok=True)
        command = compile_command(
            target.full_python,
            *(["--emit-index-url"] if self.production.indexes else []),
            *(["--overrides", "overrides.txt"] if overrides else []),
            *("requirements.in", "production.txt"),
        )
        pinned = {pin.name for pin in (*self.production.pins, *self.production.constraints)}
        done = uv.run(
            *command,
            *("--quiet", "--no-progress", "--color", "never", "--constraint", "constraints.txt"),
            # Saves uv the search for the target's Python, 0.3 s where pyenv is installed.
            *("--python", sys.executable),
            *("--custom-compile-command", " ".join(["uv", *command])),
            *(part for name in sorted(self.wheels_only - pinned) for part in ("--only-binary", name)),
            *options,
            folder=self.folder,
            seconds=self.deadline - time.monotonic(),
        )
        said = without_credentials(done.stderr)
        if done.returncode and _UNREACHABLE.search(said):
            raise UvError(
                f"the package index cannot be reached; check the network and uv's settings; uv says: {_short(said)}"
            )
        return _Attempt(output.read_text(encoding="utf-8") if output.exists() and not done.returncode else "", said)


def _name(requirement: str) -> str:
    return canonicalize_name(Requirement(requirement).name)


def _short(stderr: str) -> str:
    text = " ".join(stderr.split())
    return text if len(text) <= 600 else f"{text[:600]}..."
