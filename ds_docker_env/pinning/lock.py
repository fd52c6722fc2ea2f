"""The lock: production's versions, and the packages of the analysis that are compatible with them."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from ds_docker_env.common.errors import UnreachableError
from ds_docker_env.common.progress import Say, silent
from ds_docker_env.common.target import AMD64, ARM64, MACHINES, Target, machines
from ds_docker_env.pinning.build_requirements import BuildRequirements
from ds_docker_env.pinning.builds import Building
from ds_docker_env.pinning.cooldown import Cooldown, time_of
from ds_docker_env.pinning.diagnosis import Obstacle, compiled, obstacle
from ds_docker_env.pinning.processors import for_both
from ds_docker_env.pinning.production.model import Production
from ds_docker_env.pinning.resolver import Attempt, Resolver
from ds_docker_env.pinning.search import Search
from ds_docker_env.pinning.wheels import Offer, build_requirements, foreign_sources, offers, sources


@dataclass
class Lock:
    """The text of requirements.txt, and facts for the summary.

    ``left_out`` maps packages to the production pin that excludes them. ``kernel`` are the requirements of an old
    kernel, if production has one or excludes newer ones. ``overrides`` are versions that override the requirements of
    other packages, and ``contradictions`` the conflicts behind them. ``compiled`` maps pins without a wheel for this
    Python to the Pythons with one; ``compiled_on`` maps processors to packages without a wheel. ``building`` has
    workarounds for sources. ``yanked`` are withdrawn versions. ``obstacle`` is why the lock is for x86-64 only.
    ``fresh`` are lines about releases that are too new. ``build_requirements`` are for packages without a wheel.
    """

    text: str = ""
    left_out: dict[str, str] = field(default_factory=dict)
    kernel: list[str] = field(default_factory=list)
    overrides: list[str] = field(default_factory=list)
    contradictions: list[str] = field(default_factory=list)
    compiled: dict[str, list[str]] = field(default_factory=dict)
    compiled_on: dict[str, list[str]] = field(default_factory=dict)
    building: Building = field(default_factory=Building)
    yanked: tuple[str, ...] = ()
    obstacle: Obstacle | None = None
    fresh: list[str] = field(default_factory=list)
    build_requirements: BuildRequirements = field(default_factory=BuildRequirements)


def make_lock(
    production: Production,
    analysis: list[str],
    wheels_only: set[str],
    target: Target,
    before: str = "",
    settings: str = "",
    say: Say = silent,
    built_with: str = "",
    day: str = "",
) -> Lock:
    """Lock production with the analysis packages, which have lower bounds, for both processors if possible.

    Packages that conflict with production are left out, except ipykernel: its newest compatible version is used.
    Packages in ``wheels_only`` are never built from source unless production pins them, because uv would build
    ten-year-old ones only to explain a conflict. Versions in the lock ``before`` and in build-requirements.txt,
    ``built_with``, stay if possible. ``say`` gets each step. With a ``day``, the index is as it was then.
    Packages for Windows or macOS only, or from an unreachable URL, are noted in ``production``.
    Raise `LockError` if production or ipykernel cannot be locked, `UvError` if uv fails.
    """
    with tempfile.TemporaryDirectory(prefix="ds-docker-env-") as folder:
        # Users on arm64 get the same lock.
        resolver = Resolver(Path(folder), production, set(wheels_only), target.on(AMD64), say=say)
        resolver.before, resolver.building.settings = before, settings
        resolver.cooldown = Cooldown.of(before, (), settings, day)
        search = Search(resolver, analysis)
        attempt = search.run()
        lock = Lock(
            left_out=search.left_out,
            kernel=search.kernel,
            overrides=resolver.overrides,
            contradictions=search.contradictions,
            building=resolver.building,
        )
        _complete(lock, attempt, resolver, search.wanted)
        offered = offers(resolver, lock.text)
        if elsewhere := foreign_sources(resolver, offered[AMD64]):
            production.restrict(elsewhere)
            return make_lock(production, analysis, wheels_only, target, before, settings, say, built_with, day)
        lock.compiled = compiled(resolver, offered[AMD64])
        lock.fresh = fresh(resolver.cooldown, offered)
        built = {MACHINES[machine]: set(sources(offered, machine)) for machine in machines(lock.text)}
        everywhere = set.intersection(*built.values())
        lock.compiled_on = {name: sorted(packages - everywhere) for name, packages in built.items()}
        lock.compiled_on[" and ".join(built)] = sorted(everywhere - lock.compiled.keys())
        lock.build_requirements = build_requirements(resolver, lock.text, built_with, offered)
        return lock


def fresh(cooldown: Cooldown, offered: Mapping[str, Mapping[str, Offer]]) -> list[str]:
    """Return the lines of a cooldown about a lock, from the upload times of its packages."""
    limit = time_of(cooldown.limit)
    named = {*cooldown.forced, *(cooldown.pins if cooldown.day else ())}
    known = {name: offer for each in offered.values() for name, offer in each.items() if name in named}
    taken = [name for name, offer in known.items() if limit and offer.uploaded and offer.uploaded >= limit]
    return cooldown.lines([f"{name} {known[name].version}" for name in sorted(taken)])


def _complete(lock: Lock, amd64: Attempt, resolver: Resolver, analysis: list[str]) -> None:
    """Extend the lock for x86-64 to both processors, or note the obstacle."""
    lock.yanked = amd64.yanked
    arm64 = replace(resolver, target=resolver.target.on(ARM64))

    def solve(preferred: str) -> Attempt:
        arm64.before = preferred
        try:
            attempt = arm64.resolve(analysis)
        except UnreachableError as error:
            raise resolver.production.blame_index(error) from None
        lock.yanked = tuple(dict.fromkeys([*lock.yanked, *attempt.yanked]))
        return attempt

    def why(attempt: Attempt) -> str:
        lock.obstacle = obstacle(arm64, analysis, amd64.text, attempt)
        return lock.obstacle.why

    lock.text = for_both(amd64.text, resolver.before, solve, why)
