"""pylock.toml, https://packaging.python.org/en/latest/specifications/pylock-toml/."""

from __future__ import annotations

from collections.abc import Mapping

from packaging.pylock import Package, Pylock, PylockUnsupportedVersionError, PylockValidationError

from ds_docker_env.common.errors import RequirementsError
from ds_docker_env.pinning.production.formats.page import Converted, Page
from ds_docker_env.pinning.production.formats.reading import entry_lines, read_toml
from ds_docker_env.pinning.production.formats.vcs import vcs_url

_REMEDY = "make the file again, or use the output of: pip freeze"


def from_pylock(text: str, name: str) -> Converted:
    """Take the packages of the default groups, without extras; raise `RequirementsError`."""
    try:
        lock = Pylock.from_dict(read_toml(text, name, _REMEDY))
    except PylockUnsupportedVersionError as error:
        raise RequirementsError(f"{name}: {error}; use the output of: pip freeze") from None
    except PylockValidationError as error:
        where = _where(error, text, name)
        raise RequirementsError(f"{where}: invalid pylock.toml ({error}); {_REMEDY}") from None
    groups = frozenset(lock.default_groups or ())
    page = Page(name, _REMEDY)
    page.for_python(str(lock.requires_python or ""))
    for package, line in zip(lock.packages, entry_lines(text, "packages", len(lock.packages)), strict=True):
        marker = page.installed_if(line, str(package.marker or ""), groups)
        if marker is not None:
            _take(package, marker, line, page)
    return page.converted()


def _take(package: Package, marker: str, line: int, page: Page) -> None:
    version = str(package.version or "")
    url = ""
    hashes: list[Mapping[str, str]] = []
    if package.directory:
        page.leave_out(package.name, f"directory {package.directory.path}")
        return
    if package.vcs:
        vcs = package.vcs
        url = vcs_url(vcs.url or "", vcs.commit_id, vcs.subdirectory or "", vcs.type)
        if not url:
            page.leave_out(package.name, f"repository {vcs.path or vcs.url}")
            return
    elif package.archive:
        archive = package.archive
        if not archive.url:
            page.leave_out(package.name, f"file {archive.path}")
            return
        url = archive.url + (f"#subdirectory={archive.subdirectory}" if archive.subdirectory else "")
        hashes = [archive.hashes]
    else:
        hashes = [package.sdist.hashes] if package.sdist else []
        hashes += [wheel.hashes for wheel in package.wheels or ()]
        page.take_from(package.index or "")
    page.require(
        line,
        package.name,
        version=version,
        url=url,
        marker=marker,
        hashes=[f"{kind}:{digest}" for file in hashes for kind, digest in file.items()],
    )


def _where(error: PylockValidationError, text: str, name: str) -> str:
    """Return the file and the line of the package that the error is about, if it is about one."""
    context = error.context or ""
    number = context.removeprefix("packages[").partition("]")[0]
    if not context.startswith("packages[") or not number.isdigit():
        return name
    lines = entry_lines(text, "packages", text.count("[[packages]]"))
    return f"{name}:{lines[int(number)]}" if int(number) < len(lines) else name
