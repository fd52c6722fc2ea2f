"""Making the lock: production's versions first, then as much of the analysis as can live beside them."""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from ds_docker_env.diagnosis import compiled, explain, reason
from ds_docker_env.errors import LockError, UnreachableError
from ds_docker_env.production import Production
from ds_docker_env.resolver import Attempt, Resolver
from ds_docker_env.target import Target

# Without it there is no notebook on production's versions at all.
REQUIRED = "ipykernel"
# Seconds for all runs of uv together; the largest of 100 production files took 6.
_PATIENCE = 120
# Named pins of which pairs are tried: ten pairs.
_PAIRED = 5


@dataclass
class Lock:
    """The text of requirements.txt, and what a person should know of it.

    ``left_out`` names packages with the production pin that is the reason; ``contradicting`` are production's pins that
    exclude each other. Production runs them all the same, so they are locked against what each asks of the others.
    ``compiled`` names pins without a wheel for this Python, and the Pythons that have one.
    """

    text: str = ""
    left_out: dict[str, str] = field(default_factory=dict)
    contradicting: list[str] = field(default_factory=list)
    compiled: dict[str, list[str]] = field(default_factory=dict)


def make_lock(production: Production, analysis: list[str], wheels_only: set[str], target: Target) -> Lock:
    """Lock production with the analysis packages, each a requirement with a floor.

    Packages that cannot live beside production are left out, except ipykernel. ``wheels_only`` names packages that are
    never built from source unless production pins them: uv would build ten-year-old ones only to explain a conflict.
    What turns out to be for Windows only, or behind a URL that cannot be reached, is noted in ``production``.
    Raise `LockError` when production or ipykernel cannot be locked, `UvError` when uv fails.
    """
    with tempfile.TemporaryDirectory(prefix="ds-docker-env-") as folder:
        resolver = Resolver(Path(folder), production, wheels_only, target, time.monotonic() + _PATIENCE)
        lock, kept = Lock(), list(analysis)
        while not (attempt := _resolve(resolver, kept)).text:
            conflicts = _conflicts(resolver, kept, attempt)
            if conflicts:
                pass
            elif foreign := _windows_only(resolver, attempt):
                production.restrict(foreign, 'sys_platform == "win32"')
            elif contradicting := _contradictions(resolver, attempt):
                resolver.overrides += contradicting
                conflicts = _conflicts_with(resolver, kept, contradicting)
            else:
                attempt = _one_by_one(resolver, kept, lock)
                break
            lock.left_out |= conflicts
            kept = [requirement for requirement in kept if requirement not in conflicts]
        if not any(_name(requirement) == REQUIRED for requirement in kept):
            raise LockError(*explain(resolver, REQUIRED, attempt))
        lock.text, lock.contradicting, lock.compiled = attempt.text, resolver.overrides, compiled(resolver)
        return lock


def _resolve(resolver: Resolver, analysis: list[str]) -> Attempt:
    """Resolve without the packages of production's that come from a URL which cannot be reached."""
    while True:
        try:
            return resolver.resolve(analysis)
        except UnreachableError as error:
            if not resolver.production.leave_out_url(error.url):
                raise resolver.production.blame_index(error) from None


def _conflicts(resolver: Resolver, analysis: list[str], attempt: Attempt) -> dict[str, str]:
    """Return which packages that uv's explanation names cannot live beside which pin, each tried by itself."""
    candidates = [requirement for requirement in analysis if _name(requirement) in attempt.names]
    reasons = {
        requirement: reason(resolver, requirement, attempt)
        for requirement in candidates
        if _name(requirement) != REQUIRED
    }
    return {requirement: pins for requirement, pins in reasons.items() if pins}


def _conflicts_with(resolver: Resolver, analysis: list[str], pins: list[str]) -> dict[str, str]:
    """Return which packages ask for something else than these pins."""
    return {
        requirement: pin
        for pin in pins
        if not resolver.together(analysis, [pin])
        for requirement in analysis
        if not resolver.together([requirement], [pin])
    }


def _windows_only(resolver: Resolver, attempt: Attempt) -> list[str]:
    """Return the pins, of those in uv's explanation, that exist for Windows and not for Linux."""
    missing = [pin for pin in resolver.named_pins(attempt) if not resolver.available(pin)]
    return [pin for pin in missing if resolver.available(pin, platform="windows")]


def _contradictions(resolver: Resolver, attempt: Attempt) -> list[str]:
    """Return the pins, of those in uv's explanation, that exclude each other though each can be had."""
    pairs = combinations(resolver.named_pins(attempt)[:_PAIRED], 2)
    excluding = [pair for pair in pairs if not resolver.together([], pair)]
    pins = dict.fromkeys(pin for pair in excluding for pin in pair)
    return [pin for pin in pins if pin not in resolver.overrides and resolver.available(pin)]


def _one_by_one(resolver: Resolver, candidates: list[str], lock: Lock) -> Attempt:
    """Add the packages singly, for a conflict that no pin explains by itself."""
    kept = [requirement for requirement in candidates if _name(requirement) == REQUIRED]
    best = resolver.resolve(kept)
    if not best.text:
        raise LockError(*explain(resolver, kept[0], best))
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


def _name(requirement: str) -> str:
    return canonicalize_name(Requirement(requirement).name)
