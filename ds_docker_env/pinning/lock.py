"""Making the lock: production's versions first, then as much of the analysis as can live beside them."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import combinations
from pathlib import Path

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from ds_docker_env.common.analysis import old_kernel
from ds_docker_env.common.errors import LockError, UnreachableError
from ds_docker_env.common.progress import Say, silent
from ds_docker_env.common.target import AMD64, ARM64, MACHINES, Target, machines
from ds_docker_env.pinning.build_requirements import BuildRequirements
from ds_docker_env.pinning.builds import Building
from ds_docker_env.pinning.cooldown import Cooldown, time_of
from ds_docker_env.pinning.diagnosis import Obstacle, compiled, explain, foreign, obstacle, reason
from ds_docker_env.pinning.parity import read_lock
from ds_docker_env.pinning.processors import for_both
from ds_docker_env.pinning.production import distribution
from ds_docker_env.pinning.production.model import Pin, Production, name_of
from ds_docker_env.pinning.resolver import Attempt, Resolver
from ds_docker_env.pinning.twins import leave_out_impossible, leave_out_missing, settle
from ds_docker_env.pinning.wheels import Offer, build_requirements, foreign_sources, offers

# Without it there is no notebook on production's versions at all.
REQUIRED = "ipykernel"
# Kernels before it do not say all that they need.
_SAYS_ALL = SpecifierSet(">=6.5")
# Named pins of which pairs are tried: ten pairs.
_PAIRED = 5


@dataclass
class Lock:
    """The text of requirements.txt, and what a person should know of it.

    ``left_out`` names packages with the production pin that is the reason; ``kernel`` are the requirements of an old
    kernel, if production has one or admits no other; ``overrides`` are locked against what other
    packages ask of them, and ``contradictions`` say why; ``compiled`` names pins without a wheel for this Python, and
    the Pythons that have one, ``compiled_on`` the packages without one for a processor, or for both;
    ``building`` is what uv has to be told about awkward packages; ``yanked`` are versions that their authors have
    withdrawn; ``obstacle`` is why the lock is for x86-64 only; ``fresh`` are lines about releases that are too new;
    ``build_requirements`` are for what has no wheel.
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
    """Lock production with the analysis packages, each a requirement with a floor, for both processors if possible.

    Packages that cannot live beside production are left out, except ipykernel, of which the newest that can is taken.
    ``wheels_only`` names packages that are never built from source unless production pins them: uv would build
    ten-year-old ones only to explain a conflict.
    Versions in the lock ``before`` stay if they can, and those in build-requirements.txt, ``built_with``; ``say`` is
    told each step. With a ``day`` the index is as it was then.
    What turns out to be for Windows or macOS only, or behind a URL that cannot be reached, is noted in ``production``.
    Raise `LockError` when production or ipykernel cannot be locked, `UvError` when uv fails.
    """
    with tempfile.TemporaryDirectory(prefix="ds-docker-env-") as folder:
        # A person on arm64 gets the same lock.
        resolver = Resolver(Path(folder), production, set(wheels_only), target.on(AMD64), say=say)
        resolver.before, resolver.building.settings = before, settings
        resolver.cooldown = Cooldown.of(before, {pin.name for pin in production.fixed}, settings, day)
        if day:
            # A package of the analysis that is newer is left out, and one that production needs is not.
            _resolve(resolver, [])
            resolver.cooldown.settled = True
        lock = Lock(building=resolver.building, overrides=resolver.overrides)
        try:
            production.leave_out(_of_the_system(resolver), distribution.WHY)
            leave_out_missing(resolver)
        except UnreachableError as error:
            raise production.blame_index(error) from None
        conflicts = _below_floor(production, analysis, target)
        kept, possible = _without(analysis, conflicts, lock), set[str]()
        if any(pin.name == REQUIRED and not _SAYS_ALL.contains(pin.version) for pin in production.pins):
            kept = _with_old_kernel(kept, lock, target)
        while not (attempt := _resolve(resolver, kept)).text:
            if leave_out_impossible(resolver, attempt, possible):
                continue
            if later := _later(resolver, kept, attempt):
                lock.left_out |= later
                conflicts = {}
            elif conflicts := _conflicts(resolver, _without_kernel(kept, lock), attempt):
                pass
            elif elsewhere := foreign(resolver, resolver.named_pins(attempt)):
                for pin, marker in elsewhere.items():
                    production.restrict([pin], marker)
            elif contradictions := _contradictions(resolver, attempt):
                new = list(dict.fromkeys(pin for pins in contradictions.values() for pin in pins))
                lock.contradictions += contradictions
                resolver.overrides += new
                conflicts = _conflicts_with(resolver, _without_kernel(kept, lock), new)
            elif (held := settle(resolver, possible)) is not None:
                lock.contradictions += [f"{' and '.join(held)} exclude each other"] * bool(held)
                resolver.overrides += [pin for pin in held if pin not in resolver.overrides]
                conflicts = _conflicts_with(resolver, _without_kernel(kept, lock), held) if held else {}
            elif not lock.kernel and (conflicts := _newer_kernel(resolver, kept)):
                kept = _with_old_kernel(kept, lock, target)
            else:
                attempt = _one_by_one(resolver, kept, lock)
                break
            kept = _without(kept, conflicts, lock)
        kept = [each for each in (*lock.kernel, *analysis) if each not in lock.left_out]
        _complete(lock, attempt, resolver, kept)
        offered = offers(resolver, lock.text)
        if elsewhere := foreign_sources(resolver, offered[AMD64]):
            for pin, marker in elsewhere.items():
                production.restrict([pin], marker)
            return make_lock(production, analysis, wheels_only, target, before, settings, say, built_with, day)
        lock.compiled = compiled(resolver, offered[AMD64])
        lock.fresh = fresh(resolver.cooldown, offered)
        built = {
            MACHINES[machine]: {
                f"{name}=={offer.version}"
                for name, offer in offered[machine].items()
                if offer.source and machine not in offer.wheels
            }
            for machine in machines(lock.text)
        }
        everywhere = set.intersection(*built.values())
        lock.compiled_on = {name: sorted(packages - everywhere) for name, packages in built.items()}
        lock.compiled_on[" and ".join(built)] = sorted(everywhere - lock.compiled.keys())
        lock.build_requirements = build_requirements(resolver, lock.text, built_with, offered)
        return lock


def fresh(cooldown: Cooldown, offered: Mapping[str, Mapping[str, Offer]]) -> list[str]:
    """Return the lines of a cooldown about a lock of which the indexes offer this."""
    limit = time_of(cooldown.limit)
    named = {*cooldown.forced, *(cooldown.pins if cooldown.day else ())}
    known = {name: offer for each in offered.values() for name, offer in each.items() if name in named}
    taken = [name for name, offer in known.items() if limit and offer.uploaded and offer.uploaded >= limit]
    return cooldown.lines([f"{name} {known[name].version}" for name in sorted(taken)])


def _complete(lock: Lock, amd64: Attempt, resolver: Resolver, analysis: list[str]) -> None:
    """Make the lock for x86-64 one for both processors, or note what is in the way."""
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


def _resolve(resolver: Resolver, analysis: list[str]) -> Attempt:
    """Resolve without the packages of production's that come from a URL which cannot be reached."""
    if urls := resolver.production.urls():
        from ds_docker_env.common.sources.web import reachable

        for url in [url for url in urls if not reachable(url)]:
            # uv would try each for 8 s.
            resolver.production.leave_out_url(url)
    while True:
        try:
            return resolver.resolve(analysis)
        except UnreachableError as error:
            if not resolver.production.leave_out_url(error.url):
                raise resolver.production.blame_index(error) from None


def _later(resolver: Resolver, analysis: list[str], attempt: Attempt) -> dict[str, str]:
    """Return why packages are left out that the index did not have yet; raise `LockError` if ipykernel is one."""
    if not (day := resolver.cooldown.day):
        return {}
    named = [each for each in analysis if name_of(each) in attempt.names]
    found = [each for each in named if resolver.together([each], []).impossible]
    if required := [each for each in found if name_of(each) == REQUIRED]:
        raise LockError(
            f"{required[0]}: the index has no release up to {day} for Python {resolver.target.python}; name a later day"
        )
    return dict.fromkeys(found, f"the index has no release of it up to {day} that fits here")


def _conflicts(resolver: Resolver, analysis: list[str], attempt: Attempt) -> dict[str, str]:
    """Return which packages that uv's explanation names cannot live beside which pin, each tried by itself."""
    named = [each for each in analysis if name_of(each) in attempt.names]
    return {requirement: pins for requirement in named if (pins := reason(resolver, requirement, attempt))}


def _conflicts_with(resolver: Resolver, analysis: list[str], pins: list[str]) -> dict[str, str]:
    """Return which packages ask for something else than these pins."""
    return {
        requirement: pin
        for pin in pins
        if resolver.together(analysis, [pin]).impossible
        for requirement in analysis
        if resolver.together([requirement], [pin]).impossible
    }


def _of_the_system(resolver: Resolver) -> list[Pin]:
    """Return the pins of programs of production's operating system that the index does not have.

    If the file lists any other package of the system, so are those of which the index has only the source.
    """
    programs = [pin for pin in resolver.production.pins if pin.name in distribution.PROGRAMS]
    missing = [pin for pin in programs if resolver.available(str(pin)).impossible]
    if not (missing or distribution.of_the_system(resolver.production.left_out)):
        return []
    return [pin for pin in programs if pin in missing or resolver.wheels([str(pin)]).impossible]


def _contradictions(resolver: Resolver, attempt: Attempt) -> dict[str, list[str]]:
    """Return what production's pins disagree about, of those uv names, and the versions to hold against it."""
    found = {}
    order = [str(pin) for pin in (*resolver.production.constraints, *resolver.production.pins)]
    for pair in combinations(sorted(resolver.named_pins(attempt)[:_PAIRED], key=order.index), 2):
        if not resolver.together([], pair, overrides=resolver.overrides).impossible:
            continue
        both = f"{pair[0]} and {pair[1]} exclude each other"
        one, other = pair
        if (new := [pin for pin in pair if pin not in resolver.overrides]) and (
            resolver.excludes(one, other) or resolver.excludes(other, one)
        ):
            found[both] = new
        elif version := _disputed(resolver, pair, attempt):
            found[f"{both} over {version}, which production does not pin"] = [version]
    return found


def _disputed(resolver: Resolver, pair: tuple[str, str], attempt: Attempt) -> str:
    """Return a version of the package over which two pins fall out: one that suits all but the later in the file.

    So did pip choose when it still installed such files, before its release 20.3.
    """
    others = read_lock(resolver.without([pair[1]]).text, AMD64)
    pinned = {pin.name for pin in resolver.production.fixed}
    for name in attempt.names:
        version = f"{name}=={others[name].version}" if name in others.keys() - pinned else ""
        if version and resolver.together([], pair, overrides=[version]).text:
            return version
    return ""


def _one_by_one(resolver: Resolver, candidates: list[str], lock: Lock) -> Attempt:
    """Add the packages singly, for a conflict that no pin explains by itself."""
    kept: list[str] = []
    free = _without_kernel(candidates, lock)
    for requirement in [*(each for each in candidates if each not in free), *free]:
        attempt = resolver.resolve([*kept, requirement])
        if attempt.text:
            kept.append(requirement)
            best = attempt
        elif requirement not in free:
            raise explain(resolver, requirement, attempt)
        else:
            lock.left_out[requirement] = beside("versions taken together")
    return best


def _below_floor(production: Production, analysis: list[str], target: Target) -> dict[str, str]:
    """Return the packages of which production pins a version below the floor, which needs no resolver to see."""
    pins = [pin for pin in production.pins if any(pin.applies(target.on(machine)) for machine in MACHINES)]
    return {
        requirement: str(pin)
        for requirement in analysis
        for pin in pins
        if pin.name == name_of(requirement)
        and not Requirement(requirement).specifier.contains(pin.version, prereleases=True)
    }


def _newer_kernel(resolver: Resolver, analysis: list[str]) -> dict[str, str]:
    """Return the kernel that the analysis asks for, and the pins beside which it cannot live."""
    for requirement in analysis:
        if name_of(requirement) == REQUIRED and not (attempt := resolver.resolve([requirement])).text:
            return {requirement: reason(resolver, requirement, attempt) or "versions taken together"}
    return {}


def _with_old_kernel(analysis: list[str], lock: Lock, target: Target) -> list[str]:
    lock.kernel = old_kernel(target.python)
    return [*lock.kernel, *analysis]


def _without_kernel(analysis: list[str], lock: Lock) -> list[str]:
    return [each for each in analysis if name_of(each) != REQUIRED and each not in lock.kernel]


def _without(analysis: list[str], conflicts: dict[str, str], lock: Lock) -> list[str]:
    lock.left_out |= {requirement: beside(pins) for requirement, pins in conflicts.items()}
    return [requirement for requirement in analysis if requirement not in lock.left_out]


def beside(pins: str) -> str:
    """Return why a package is left out that these pins exclude."""
    return f"it cannot live beside production's {pins}"
