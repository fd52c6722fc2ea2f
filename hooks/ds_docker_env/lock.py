"""Making the lock: production's versions first, then as much of the analysis as can live beside them."""

from __future__ import annotations

import re
import sys
import tempfile
import time
from dataclasses import dataclass, field
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
    r"error sending request|dns error|client error \(Connect\)|operation timed out|HTTP status server error"
)
_NAME = re.compile(r"[A-Za-z0-9](?:[\w.-]*[A-Za-z0-9])?")
# Seconds for all runs of uv together; the largest of 100 production files took 6.
_PATIENCE = 120


@dataclass
class Lock:
    """The text of requirements.txt, and the packages left out with the production pin that is the reason."""

    text: str = ""
    left_out: dict[str, str] = field(default_factory=dict)


def compile_command(full_python: str, *inputs: str, output: str = "requirements.txt") -> list[str]:
    """Return the arguments of uv that make a lock; they stand in its header and work in the project too."""
    return [
        *("pip", "compile", "--generate-hashes", "--python-version", full_python),
        *("--python-platform", "linux", "--output-file", output, *inputs),
    ]


def make_lock(production: Production, analysis: list[str], target: Target) -> Lock:
    """Lock production with the analysis packages, each a requirement with a floor.

    Packages that cannot live beside production are left out, except ipykernel. Raise `LockError` when production
    or ipykernel cannot be locked, `UvError` when uv fails.
    """
    with tempfile.TemporaryDirectory(prefix="ds-docker-env-") as folder:
        resolver = _Resolver(Path(folder), production, target, time.monotonic() + _PATIENCE)
        whole = resolver.resolve(analysis)
        if whole.text:
            return Lock(whole.text)
        kept = [requirement for requirement in analysis if _name(requirement) == REQUIRED]
        best = resolver.resolve(kept)
        if not best.text:
            raise LockError(*resolver.explain(kept, best.stderr))
        lock = Lock()
        for requirement in analysis:
            if requirement in kept:
                continue
            attempt = resolver.resolve([*kept, requirement])
            if attempt.text:
                kept.append(requirement)
                best = attempt
            else:
                lock.left_out[requirement] = resolver.reason(requirement, attempt.stderr)
        lock.text = best.text
        return lock


@dataclass(frozen=True)
class _Attempt:
    text: str
    stderr: str


@dataclass(frozen=True)
class _Resolver:
    folder: Path
    production: Production
    target: Target
    deadline: float

    def resolve(self, analysis: list[str]) -> _Attempt:
        """Resolve production and these packages; the text is empty when that is impossible."""
        return self._compile(analysis, self.production.requirements(), self.target)

    def reason(self, requirement: str, stderr: str) -> str:
        """Return the production pin beside which a package cannot live, found by trying the ones uv names."""
        named = [
            pin
            for pin in self._named_pins(stderr)
            if not self._compile([requirement], self.production.only(pin), self.target).text
        ]
        return named[0] if named else "production's versions"

    def explain(self, kept: list[str], stderr: str) -> list[str]:
        """Return why production, or ipykernel beside it, cannot be locked."""
        if self._compile([], self.production.requirements(), self.target).text:
            return [
                f"{self.production.source}: {kept[0]} cannot live beside {self.reason(kept[0], stderr)}; "
                "without it there is no notebook, so production must move first"
            ]
        problems = []
        for pin in self._named_pins(stderr):
            if self._alone(pin, self.target):
                continue
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

    def _alone(self, pin: str, target: Target) -> bool:
        return bool(self._compile([], self.production.only(pin), target, "--no-deps").text)

    def _named_pins(self, stderr: str) -> list[str]:
        """Return production's pins that uv's explanation mentions, in its order."""
        pins = {pin.name: str(pin) for pin in self.production.pins if pin.applies(self.target)}
        names = dict.fromkeys(canonicalize_name(name) for name in _NAME.findall(stderr))
        return [pins[name] for name in names if name in pins][:8]

    def _compile(self, analysis: list[str], production: str, target: Target, *options: str) -> _Attempt:
        for name, text in (
            ("requirements.in", "".join(f"{requirement}\n" for requirement in analysis)),
            ("production.txt", production),
            ("constraints.txt", self.production.bounding()),
        ):
            (self.folder / name).write_text(text, encoding="utf-8", newline="\n")
        output = self.folder / "requirements.txt"
        output.unlink(missing_ok=True)
        pinned = {pin.name for pin in self.production.pins}
        command = compile_command(target.full_python, "requirements.in", "production.txt")
        if self.production.indexes:
            command.insert(2, "--emit-index-url")
        done = uv.run(
            *command,
            *("--quiet", "--no-progress", "--color", "never", "--constraint", "constraints.txt"),
            # Saves uv the search for the target's Python, 0.3 s where pyenv is installed.
            *("--python", sys.executable),
            *("--custom-compile-command", " ".join(["uv", *command])),
            # uv would otherwise build ten-year-old source packages only to explain a conflict.
            *(part for name in map(_name, analysis) if name not in pinned for part in ("--only-binary", name)),
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
