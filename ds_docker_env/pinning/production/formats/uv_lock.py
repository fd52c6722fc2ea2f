"""uv.lock, as far as what the project needs in production."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import parse_qs

from packaging.markers import InvalidMarker
from packaging.utils import canonicalize_name

from ds_docker_env.common.errors import RequirementsError
from ds_docker_env.pinning.production.formats.conditions import ALWAYS, NEVER, Condition, both, either, parse, render
from ds_docker_env.pinning.production.formats.page import Converted, Page
from ds_docker_env.pinning.production.formats.reading import entry_lines, read_toml, table, tables, text_of, texts
from ds_docker_env.pinning.production.formats.vcs import vcs_url

_REMEDY = "make the file with: uv export --no-dev --no-emit-project -o requirements.txt"
_OWN = ("editable", "virtual", "directory")
# So often a package's marker may change while all paths to it are followed; then it is kept whatever the marker says.
_CHANGES = 40
# Looks at a package that another may mean; the largest real locks need a tenth of it.
_LOOKS = 100_000

# A package by its position, with nothing or one of its extras.
Node = tuple[int, str]


def from_uv_lock(text: str, name: str) -> Converted:
    """Take what the project needs without its extras and groups; raise `RequirementsError`.

    A package is needed if any path to it applies. Without a project in the lock everything is taken.
    """
    lock = read_toml(text, name, _REMEDY)
    if lock.get("version") != 1 or (lock.get("package") and not tables(lock["package"])):
        raise RequirementsError(f"{name}: is no uv.lock of version 1, which is the only one known here; {_REMEDY}")
    packages = tables(lock.get("package"))
    lines = entry_lines(text, "package", len(packages))
    graph = _Graph(packages, name)
    page = Page(name, _REMEDY)
    page.for_python(text_of(lock, "requires-python"))
    roots = _roots(lock, packages)
    try:
        needed = graph.reached((root, "") for root in roots)
        optional = graph.reached(
            (root, extra) for root in roots for extra in ("", *table(packages[root].get("optional-dependencies")))
        )
        for number, (package, line) in enumerate(zip(packages, lines, strict=True)):
            condition = needed.get((number, ""), NEVER)
            if condition == ALWAYS:
                condition = graph.fork(number)
            if condition != NEVER:
                _take(package, render(condition), line, page)
            elif (number, "") in optional:
                page.leave_out(f"{text_of(package, 'name')}=={text_of(package, 'version')}", "optional")
    except InvalidMarker as error:
        raise RequirementsError(f"{name}: holds no valid marker ({str(error).splitlines()[0]}); {_REMEDY}") from None
    return page.converted()


class _Graph:
    """Who needs whom, and when."""

    def __init__(self, packages: list[dict[str, Any]], name: str) -> None:
        self._packages = packages
        self._name = name
        self._looks = 0
        self._named: dict[str, list[int]] = {}
        for number, package in enumerate(packages):
            self._named.setdefault(canonicalize_name(text_of(package, "name")), []).append(number)

    def reached(self, roots: Iterable[Node]) -> dict[Node, Condition]:
        """Return what is reached from the roots and the condition for each."""
        found = dict.fromkeys(roots, ALWAYS)
        changes: dict[Node, int] = {}
        waiting = deque(found)
        while waiting:
            node = waiting.popleft()
            for target, marker in self._needs(node):
                before = found.get(target, NEVER)
                after = either(before, both(found[node], parse(marker)))
                if after == before:
                    continue
                changes[target] = changes.get(target, 0) + 1
                found[target] = after if changes[target] <= _CHANGES else ALWAYS
                waiting.append(target)
        return found

    def fork(self, number: int) -> Condition:
        """Return when this one of several versions is meant, as far as it does not follow from who needs it."""
        package = self._packages[number]
        markers = texts(package.get("resolution-markers"))
        if not markers or len(self._named[canonicalize_name(text_of(package, "name"))]) == 1:
            return ALWAYS
        condition = NEVER
        for marker in markers:
            condition = either(condition, parse(marker))
        return condition

    def _needs(self, node: Node) -> Iterator[tuple[Node, str]]:
        number, extra = node
        package = self._packages[number]
        if extra:
            needs = tables(table(package.get("optional-dependencies")).get(extra))
        else:
            needs = tables(package.get("dependencies"))
        for need in needs:
            for target in self._meant(need):
                for wanted in ("", *texts(need.get("extra"))):
                    yield (target, wanted), text_of(need, "marker")

    def _meant(self, need: dict[str, Any]) -> list[int]:
        """Return the package that is meant, or all of that name if the lock does not say which."""
        named = self._named.get(canonicalize_name(text_of(need, "name")), [])
        self._looks += len(named)
        if self._looks > _LOOKS:
            raise RequirementsError(f"{self._name}: its packages need each other in too many ways; {_REMEDY}")
        meant = [
            number
            for number in named
            if all(self._packages[number].get(key) == need[key] for key in ("version", "source") if key in need)
        ]
        return meant or named


def _roots(lock: dict[str, Any], packages: list[dict[str, Any]]) -> list[int]:
    """Return the project; in a workspace without one its members; in a script's lock everything."""
    members = texts(table(lock.get("manifest")).get("members"))
    project = [
        number
        for number, package in enumerate(packages)
        if any(table(package.get("source")).get(kind) == "." for kind in _OWN)
    ]
    return (
        project
        or [number for number, package in enumerate(packages) if text_of(package, "name") in members]
        or list(range(len(packages)))
    )


def _take(package: dict[str, Any], marker: str, line: int, page: Page) -> None:
    source = table(package.get("source"))
    name = text_of(package, "name")
    url = ""
    if "virtual" in source:
        return
    if own := [kind for kind in (*_OWN, "path") if kind in source]:
        page.leave_out(name, f"{'file' if own[0] == 'path' else 'directory'} {source[own[0]]}")
        return
    if "git" in source:
        address, _, commit = text_of(source, "git").partition("#")
        address, _, query = address.partition("?")
        url = vcs_url(address, commit, "".join(parse_qs(query).get("subdirectory", [])[:1]))
    elif "url" in source:
        subdirectory = text_of(source, "subdirectory")
        url = text_of(source, "url") + (f"#subdirectory={subdirectory}" if subdirectory else "")
    else:
        page.take_from(text_of(source, "registry"))
    page.require(
        line,
        name,
        version=text_of(package, "version"),
        url=url,
        marker=marker,
        hashes=[text_of(file, "hash") for key in ("sdist", "wheels") for file in tables(package.get(key))],
    )
