"""conda's match specifications as PEP 440 specifiers.

Format: https://docs.conda.io/projects/conda-build/en/stable/resources/package-spec.html#package-match-specifications
"""

from __future__ import annotations

import re
from typing import NamedTuple

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version

_SPEC = re.compile(
    r"(?:(?P<channel>.*)::)?(?P<name>[A-Za-z0-9_][\w.-]*)\s*(?P<version>[^\[]*)(?:\[(?P<keys>.*)\])?", re.DOTALL
)
_KEY = re.compile(r"(version|channel)\s*=\s*(?:'([^']*)'|\"([^\"]*)\"|([^,\s]+))")
# Spaces next to commas, bars and operators.
_SPACE = re.compile(r"\s*([,|])\s*|([=<>!~])\s+")
# Versions, then a build after = or a space.
_WITH_BUILD = re.compile(r"(?P<version>(?=\S*[\d*])\S*[^\s=<>!~,|])(?:=|\s+=?)[^\s=<>!~,|]+")
_OPERATOR = re.compile(r"(?P<operator>==|=|!=|<=|>=|<|>|~=)?\s*(?P<version>[^\s=<>!~]+)")
_ARCHIVE = re.compile(r"(?P<name>[A-Za-z0-9_.-]+)-(?P<version>[^-/]+)-[^-/]+\.(conda|tar\.bz2)")
# The label and the platform after the name of a channel.
_BEHIND = re.compile(r"(/label/.*)?(/(noarch|(linux|osx|win)-\w+))?/?$")
_EXACT = re.compile(r"==[^,*]+")
# Numbers of a full release such as 1.26.4. With fewer, =1.26 means any 1.26.
_WHOLE = 3


class Spec(NamedTuple):
    """A conda package: its name, and its versions as a PEP 440 specifier.

    ``specifier`` is blank if any version is allowed, and ``None`` if PEP 440 cannot express it. ``shown`` is conda's
    notation without the build. ``channel`` is blank if conda chooses it.
    """

    name: str
    specifier: str | None
    shown: str
    channel: str = ""

    @property
    def exact(self) -> bool:
        """Say whether this is one version."""
        return bool(_EXACT.fullmatch(self.specifier or ""))


def parse_spec(text: str, *, installed: bool = False) -> Spec | None:
    """Return the package in a match specification, or ``None`` if it is invalid.

    In a list of ``installed`` packages, such as an export, =1.26 is 1.26 and not any 1.26.
    """
    found = _SPEC.fullmatch(text.strip())
    if found is None:
        return None
    keys = {key: next(filter(None, values), "") for key, *values in _KEY.findall(found["keys"] or "")}
    version = _SPACE.sub(r"\1\2", found["version"].strip().rstrip("=") or keys.get("version", "")).strip()
    channel = _last(found["channel"] or keys.get("channel", ""))
    name = found["name"].lower()
    build = _WITH_BUILD.fullmatch(version)
    version = build["version"] if build else version
    if len(version.split()) > 1:
        return None
    shown = f"{name}{'=' if version[:1].isalnum() else ''}{version}"
    # With a build, =1.26 is one version.
    return Spec(name, _alternatives(version, installed or bool(build)), shown, channel)


def exactly(name: str, version: str, channel: str = "") -> Spec:
    """Return a package that is installed in this version."""
    return Spec(name.lower(), _one(f"=={version}", installed=True), f"{name.lower()}={version}", _last(channel))


def of_archive(url: str) -> Spec | None:
    """Return the package that the URL of a conda archive names, or nothing."""
    path = re.split(r"[?#]", url)[0]
    folder, _, file = path.rpartition("/")
    found = _ARCHIVE.fullmatch(file)
    return exactly(found["name"], found["version"], folder) if found else None


def _last(channel: str) -> str:
    """Return the last part of a channel, because a URL may contain a login or a token."""
    plain = _BEHIND.sub("", re.sub("/t/[^/]+", "", channel))
    return plain.rpartition("/")[2].rpartition("@")[2]


def _alternatives(version: str, installed: bool) -> str | None:
    """Return the alternative with the highest bound that PEP 440 can express; production allows each of them."""
    said = [_all(alternative, installed) for alternative in version.split("|")]
    highest = max((each for each in said if each is not None), key=_bound, default=None)
    # One version of several is not a pin.
    if said[1:] and highest and _EXACT.fullmatch(highest):
        public = highest[2:].partition("+")[0]
        return f">={public},<={public}"
    return highest


def _bound(specifier: str) -> tuple[bool, Version]:
    """Return a key that sorts specifiers by their upper bounds."""
    upper = [each.version for each in SpecifierSet(specifier) if each.operator not in (">", ">=", "!=")]
    return not upper, min((Version(each.removesuffix(".*")) for each in upper), default=Version("0"))


def _all(version: str, installed: bool) -> str | None:
    """Return the exact version if there is one that fits the other bounds, or else all bounds."""
    parts = [_one(part.strip(), installed) for part in version.split(",")]
    if None in parts:
        return None
    said = ",".join(part for part in parts if part)
    exact = next(filter(_EXACT.fullmatch, filter(None, parts)), "")
    return exact if exact and SpecifierSet(said).contains(exact[2:], prereleases=True) else said


def _one(part: str, installed: bool) -> str | None:
    if part in ("", "*", "=*", "==*", ">=0"):
        return ""
    found = _OPERATOR.fullmatch(part)
    if found is None:
        return None
    operator, version = found["operator"] or "==", found["version"]
    plain = version.rstrip("*").rstrip(".")
    try:
        release = Version(plain)
    except InvalidVersion:
        return None
    if operator == "~=" and len(release.release) == 1:
        operator, version = "=", f"{plain}.*"
    begins = plain != version or (operator == "=" and not installed and len(release.release) < _WHOLE)
    if operator in ("=", "=="):
        said = f"=={plain}.*" if begins and not (release.is_prerelease or release.local) else f"=={plain}"
    else:
        said = f"!={plain}.*" if operator == "!=" and begins else f"{operator}{plain}"
    try:
        SpecifierSet(said)
    except InvalidSpecifier:
        return None
    return said
