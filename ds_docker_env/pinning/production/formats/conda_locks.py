"""The locks of conda-lock and of pixi."""

from __future__ import annotations

import yaml

from ds_docker_env.common.errors import RequirementsError
from ds_docker_env.pinning.production.formats.conda_nodes import document, items, text_under, under
from ds_docker_env.pinning.production.formats.conda_packages import Packages
from ds_docker_env.pinning.production.formats.conda_specs import exactly
from ds_docker_env.pinning.production.formats.page import Converted, Page

_PLATFORM = "linux-64"
_ENVIRONMENT = "default"


def from_conda_lock(text: str, name: str) -> Converted:
    """Take the packages for Linux that every environment has; raise `RequirementsError`.

    Format: https://conda.github.io/conda-lock/output/
    """
    remedy = f"make it again with: conda-lock --platform {_PLATFORM}"
    page, found = Page(name, remedy), False
    packages = Packages(page)
    for node in items(under(document(text, name, remedy), "package")) or ():
        if text_under(node, "platform") != _PLATFORM:
            continue
        found = True
        groups = [
            text_under(node, "category") or "main",
            *(each.value for each in items(under(node, "categories")) or ()),
        ]
        if "main" not in groups:
            continue
        line, package, version = node.start_mark.line + 1, text_under(node, "name"), text_under(node, "version")
        if text_under(node, "manager") != "pip":
            packages.add(line, exactly(package, version, _folder(text_under(node, "url"))))
        else:
            _require(page, line, package, version, text_under(node, "url"), text_under(node, "hash", "sha256"))
    if not found:
        raise RequirementsError(f"{name}: has no packages for {_PLATFORM}; {remedy}")
    return packages.converted()


def from_pixi_lock(text: str, name: str) -> Converted:
    """Take the packages for Linux of the default environment; raise `RequirementsError`.

    Format: https://pixi.sh/latest/workspace/lockfile/
    """
    remedy = f"make it again with: pixi workspace platform add {_PLATFORM}"
    page = Page(name, remedy)
    packages = Packages(page)
    root = document(text, name, remedy)
    environment = under(root, "environments", _ENVIRONMENT)
    listed = items(under(environment, "packages", _PLATFORM))
    if not listed:
        raise RequirementsError(f"{name}: has no packages for {_PLATFORM} in the environment {_ENVIRONMENT}; {remedy}")
    for index in items(under(environment, "indexes")) or ():
        page.take_from(str(index.value))
    described: dict[str, yaml.Node] = {}
    for node in items(under(root, "packages")) or ():
        for key in ("pypi", "url", "path"):
            described.setdefault(text_under(node, key), node)
    for node in listed:
        line = node.start_mark.line + 1
        if url := text_under(node, "conda"):
            packages.add_archive(line, url)
        elif url := text_under(node, "pypi"):
            package = described.get(url)
            version, digest = text_under(package, "version"), text_under(package, "sha256")
            _require(page, line, text_under(package, "name"), version, url, digest)
    return packages.converted()


def _require(page: Page, line: int, package: str, version: str, url: str, digest: str) -> None:
    """Write a package that pip installs; production's own code is left out."""
    if url.startswith(("http:", "https:")) and version:
        page.require(line, package, version=version, hashes=[f"sha256:{digest}"] if digest else ())
    else:
        page.leave_out(package, url.partition("+")[0] if "+" in url else "its own code")


def _folder(url: str) -> str:
    """Return the channel of an archive: the part before its platform."""
    return url.rpartition("/")[0].rpartition("/")[0]
