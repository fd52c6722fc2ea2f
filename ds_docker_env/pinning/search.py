"""The search for a lock: all of production, and the packages of the analysis that are compatible."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from ds_docker_env.common.analysis import old_kernel
from ds_docker_env.common.errors import LockError, UnreachableError
from ds_docker_env.common.target import AMD64, MACHINES
from ds_docker_env.pinning.diagnosis import explain, foreign, missing, reason
from ds_docker_env.pinning.parity import read_lock
from ds_docker_env.pinning.production import distribution
from ds_docker_env.pinning.production.model import Pin, name_of
from ds_docker_env.pinning.resolver import Attempt, Resolver
from ds_docker_env.pinning.twins import leave_out_impossible, leave_out_missing, settle

# A notebook on production's versions needs it.
REQUIRED = "ipykernel"
# Older kernels do not declare all their requirements.
_DECLARING = SpecifierSet(">=6.5")
# The number of pins of which pairs are tried: ten pairs.
_PAIRED = 5
_TOGETHER = "pins in combination"


@dataclass
class Search:
    """A search with the packages of the ``analysis``, which have lower bounds.

    ``left_out`` says why some of them are not in the lock. ``kernel`` are the requirements of an old kernel, if
    production has one or excludes newer ones. ``contradictions`` name pins that override the requirements of others.
    Packages for another system, and unavailable ones, are noted in the production of the ``resolver``.
    """

    resolver: Resolver
    analysis: Sequence[str]
    left_out: dict[str, str] = field(default_factory=dict)
    kernel: list[str] = field(default_factory=list)
    contradictions: list[str] = field(default_factory=list)
    _possible: set[str] = field(default_factory=set)

    def run(self) -> Attempt:
        """Return the lock for x86-64; raise `LockError` when production or a kernel cannot be locked."""
        self._leave_out_unavailable()
        if self.resolver.cooldown.day:
            # Production's dependencies may be newer than the day; packages of the analysis may not.
            Search(self.resolver, []).resolve()
            self.resolver.cooldown.settled = True
        self._leave_out(self._below_floor())
        if any(pin.name == REQUIRED and not _DECLARING.contains(pin.version) for pin in self._pins):
            self.kernel = old_kernel(self.resolver.target.python)
        # The first remedy that changes something is used; cheap and certain ones come first.
        remedies = (
            self._without_twins,
            self._without_later_releases,
            self._without_conflicts,
            self._without_other_systems,
            self._with_contradictions,
            self._with_twins_settled,
            self._with_an_old_kernel,
        )
        while not (attempt := self.resolve()).text:
            if not any(remedy(attempt) for remedy in remedies):
                return self._one_by_one()
        return attempt

    @property
    def wanted(self) -> list[str]:
        """Return the requirements that are locked beside production, the kernel first."""
        return [each for each in (*self.kernel, *self.analysis) if each not in self.left_out]

    @property
    def _optional(self) -> list[str]:
        return [each for each in self.wanted if name_of(each) != REQUIRED and each not in self.kernel]

    @property
    def _pins(self) -> list[Pin]:
        """Return production's pins that apply on a processor."""
        production, target = self.resolver.production, self.resolver.target
        return [pin for pin in production.pins if any(pin.applies(target.on(machine)) for machine in MACHINES)]

    def _leave_out(self, conflicts: dict[str, str]) -> bool:
        self.left_out |= {requirement: beside(pins) for requirement, pins in conflicts.items()}
        return bool(conflicts)

    def _leave_out_unavailable(self) -> None:
        production = self.resolver.production
        try:
            production.leave_out(self._of_the_system(), distribution.WHY)
            leave_out_missing(self.resolver)
        except UnreachableError as error:
            raise production.blame_index(error) from None

    def _of_the_system(self) -> list[Pin]:
        """Return the pins of programs of production's operating system that the index does not have.

        If the file lists other packages of the system, pins that the index has only as a source count, too.
        """
        resolver = self.resolver
        programs = [pin for pin in resolver.production.pins if pin.name in distribution.PROGRAMS]
        found = {pin: resolver.available(str(pin)) for pin in programs}
        lost = [pin for pin in programs if missing(found[pin])]
        # Every virtual environment of an old Debian has pkg-resources.
        others = [line for line, name in resolver.production.left_out.items() if name != "pkg-resources"]
        if not (lost or distribution.of_the_system(others)):
            return []
        return [pin for pin in programs if pin in lost or (found[pin].text and resolver.wheels([str(pin)]).impossible)]

    def _below_floor(self) -> dict[str, str]:
        """Return the packages that production pins below their lower bounds."""
        return {
            requirement: str(pin)
            for requirement in self.analysis
            for pin in self._pins
            if pin.name == name_of(requirement)
            and not Requirement(requirement).specifier.contains(pin.version, prereleases=True)
        }

    def resolve(self) -> Attempt:
        """Resolve without production's packages from unreachable URLs."""
        production = self.resolver.production
        if urls := production.urls():
            from ds_docker_env.common.sources.web import reachable

            for url in [url for url in urls if not reachable(url)]:
                # uv would try each for 8 s.
                production.leave_out_url(url)
        while True:
            try:
                return self.resolver.resolve(self.wanted)
            except UnreachableError as error:
                if not production.leave_out_url(error.url):
                    raise production.blame_index(error) from None

    def _without_twins(self, attempt: Attempt) -> bool:
        return leave_out_impossible(self.resolver, attempt, self._possible)

    def _without_later_releases(self, attempt: Attempt) -> bool:
        """Leave out packages without a release up to the day; raise `LockError` if the kernel is one."""
        if not (day := self.resolver.cooldown.day):
            return False
        named = [each for each in self.wanted if name_of(each) in attempt.names]
        found = [each for each in named if self.resolver.together([each], []).impossible]
        if required := [each for each in found if name_of(each) == REQUIRED]:
            python = self.resolver.target.python
            raise LockError(f"{required[0]}: the index has no release for Python {python} up to {day}; use a later day")
        self.left_out |= dict.fromkeys(found, f"no compatible release up to {day}")
        return bool(found)

    def _without_conflicts(self, attempt: Attempt) -> bool:
        """Leave out packages in uv's explanation that conflict with a pin, each tried by itself."""
        named = [each for each in self._optional if name_of(each) in attempt.names]
        return self._leave_out({each: pins for each in named if (pins := reason(self.resolver, each, attempt))})

    def _without_other_systems(self, attempt: Attempt) -> bool:
        return self.resolver.production.restrict(foreign(self.resolver, self.resolver.named_pins(attempt)))

    def _with_contradictions(self, attempt: Attempt) -> bool:
        """Override requirements with pins that conflict, as production runs them."""
        contradictions = self._contradictions(attempt)
        self.contradictions += contradictions
        self._hold(list(dict.fromkeys(pin for pins in contradictions.values() for pin in pins)))
        return bool(contradictions)

    def _with_twins_settled(self, attempt: Attempt) -> bool:
        held = settle(self.resolver, self._possible)
        if held:
            self.contradictions.append(" and ".join(held))
            self._hold(held)
        return held is not None

    def _with_an_old_kernel(self, attempt: Attempt) -> bool:
        """Use an older kernel if production excludes newer ones."""
        for requirement in self.wanted if not self.kernel else ():
            if name_of(requirement) == REQUIRED and not (alone := self.resolver.resolve([requirement])).text:
                self.kernel = old_kernel(self.resolver.target.python)
                return self._leave_out({requirement: reason(self.resolver, requirement, alone) or _TOGETHER})
        return False

    def _hold(self, pins: Sequence[str]) -> None:
        """Override requirements with pins, and leave out packages of the analysis that conflict with these."""
        resolver = self.resolver
        resolver.overrides += [pin for pin in pins if pin not in resolver.overrides]
        for pin in pins:
            # Packages that conflict only with requirements that this pin overrides stay.
            held = [other for other in resolver.overrides if other != pin]
            if resolver.together(self._optional, [pin], overrides=held).impossible:
                lost = [each for each in self._optional if resolver.together([each], [pin], overrides=held).impossible]
                self._leave_out(dict.fromkeys(lost, pin))

    def _contradictions(self, attempt: Attempt) -> dict[str, list[str]]:
        """Return the conflicts between pins that uv names, each with the versions to override."""
        resolver, found = self.resolver, {}
        order = [str(pin) for pin in (*resolver.production.constraints, *resolver.production.pins)]
        for pair in combinations(sorted(resolver.named_pins(attempt)[:_PAIRED], key=order.index), 2):
            if not resolver.together([], pair, overrides=resolver.overrides).impossible:
                continue
            both = f"{pair[0]} and {pair[1]}"
            one, other = pair
            if (new := [pin for pin in pair if pin not in resolver.overrides]) and (
                resolver.excludes(one, other) or resolver.excludes(other, one)
            ):
                found[both] = new
            elif version := self._disputed(pair, attempt):
                found[f"{both} over {version}, which production does not pin"] = [version]
        return found

    def _disputed(self, pair: tuple[str, str], attempt: Attempt) -> str:
        """Return a version of the package over which two pins conflict: one that fits all pins but the second.

        pip before 20.3, which installed such files, chose this version.
        """
        resolver = self.resolver
        others = read_lock(resolver.without([pair[1]]).text, AMD64)
        pinned = {pin.name for pin in resolver.production.fixed}
        for name in attempt.names:
            version = f"{name}=={others[name].version}" if name in others.keys() - pinned else ""
            tried = not version or version in resolver.overrides
            if not tried and resolver.together([], pair, overrides=[*resolver.overrides, version]).text:
                return version
        return ""

    def _one_by_one(self) -> Attempt:
        """Add the packages one by one, for a conflict that a single pin does not explain."""
        kept: list[str] = []
        optional = self._optional
        for requirement in [*(each for each in self.wanted if each not in optional), *optional]:
            attempt = self.resolver.resolve([*kept, requirement])
            if attempt.text:
                kept.append(requirement)
                best = attempt
            elif requirement not in optional:
                raise explain(self.resolver, requirement, attempt)
            else:
                self._leave_out({requirement: _TOGETHER})
        return best


def beside(pins: str) -> str:
    """Return the reason for leaving out a package that conflicts with these pins."""
    return f"conflicts with production's {pins}"
