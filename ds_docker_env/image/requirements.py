"""Edits requirements.in and keeps its comments and order, because people also edit it."""

from __future__ import annotations

import re

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from ds_docker_env.common.analysis import left_out, package_name, without_comment
from ds_docker_env.common.errors import RequirementsError

_LOCAL = re.compile(r"[./~]|-e\b|file:")
_CONFLICT = re.compile(r"^(?:<{7}|={7}|>{7})", re.MULTILINE)
_REPOSITORY = re.compile(r"(?:\S+ ?@ ?)?(?:git|hg|svn|bzr)\+")


def requirement_of(text: str) -> Requirement:
    """Read a requirement as a person types it; raise `RequirementsError` if it cannot be locked with a hash."""
    if _LOCAL.match(text):
        raise RequirementsError(f"{text}: a file or directory has no version to lock; put your modules in src")
    if _REPOSITORY.match(text):
        raise RequirementsError(
            f"{text}: a repository cannot be locked by hash; use a release, or a wheel: NAME @ https://..."
        )
    try:
        wanted = Requirement(text)
    except InvalidRequirement as error:
        problem = str(error).partition("\n")[0]
        raise RequirementsError(f'{text}: not a requirement ({problem}); write it as "name>=1.0"') from None
    wanted.name = canonicalize_name(wanted.name)
    return wanted


def is_bare(wanted: Requirement) -> bool:
    """Say whether a requirement is a name and nothing else."""
    return not (wanted.specifier or wanted.marker or wanted.url or wanted.extras)


def find(text: str, name: str) -> str:
    """Return the line of a package without its comment, or nothing; also of lines that a lock left out."""
    return next((wanted for line in text.splitlines() if package_name(wanted := _requirement(line)) == name), "")


def with_requirement(text: str, wanted: Requirement) -> str:
    """Return requirements.in with a requirement: on the line of its package if there is one, else at the end.

    Extras are added to the line's; versions, markers and URLs replace the line's. Raise
    `RequirementsError` for a line that only a person can edit.
    """
    lines = _lines(text, wanted.name)
    for number, line in enumerate(lines):
        before = _requirement(line)
        if package_name(before) == wanted.name:
            lines[number] = (
                before + _comment(line) if _covered(before, wanted) else f"{_merged(before, wanted)}{_comment(line)}"
            )
            break
    else:
        lines.append(str(wanted))
    return "".join(f"{line}\n" for line in lines)


def without(text: str, name: str) -> str:
    """Return requirements.in without a package; raise `RequirementsError` as `with_requirement` does."""
    return "".join(f"{line}\n" for line in _lines(text, name) if package_name(_requirement(line)) != name)


def _lines(text: str, name: str) -> list[str]:
    """Return the lines if each line of the package is only a requirement."""
    if _CONFLICT.search(text):
        raise RequirementsError("requirements.in: contains a merge conflict; resolve it")
    lines = text.splitlines()
    for number, line in enumerate(lines, 1):
        if package_name(wanted := _requirement(line)) == name:
            try:
                Requirement(wanted)
            except InvalidRequirement:
                raise RequirementsError(
                    f"requirements.in:{number}: {wanted}: has options or is not a requirement; edit it, then run lock"
                ) from None
    return lines


def _requirement(line: str) -> str:
    return left_out(line) or without_comment(line)


def _comment(line: str) -> str:
    found = re.search(r"\s+#.*", line)
    return found[0] if found and not left_out(line) else ""


def _covered(before: str, wanted: Requirement) -> bool:
    """Say whether a line asks for all that is wanted, so that it stays as a person wrote it."""
    return not (wanted.specifier or wanted.marker or wanted.url or wanted.extras - Requirement(before).extras)


def _merged(before: str, wanted: Requirement) -> Requirement:
    former = Requirement(before)
    former.extras |= wanted.extras
    if wanted.specifier or wanted.url:
        former.specifier, former.url = wanted.specifier, wanted.url
    former.marker = wanted.marker or former.marker
    return former
