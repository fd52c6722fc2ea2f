"""The formats of production's file; one module for each kind of lock, which becomes pip requirements."""

from __future__ import annotations

import re
from collections.abc import Callable

from ds_docker_env.common.errors import RequirementsError
from ds_docker_env.pinning.production.formats.page import Converted

_PYLOCK = re.compile(r"pylock(\.[^.]+)?\.toml")
_PYLOCK_PACKAGES = re.compile(r"^\[\[packages\]\]", re.MULTILINE)
_PACKAGES = re.compile(r"^\[\[package\]\]", re.MULTILINE)
_POETRY = re.compile(r"^content-hash\s*=", re.MULTILINE)
_UV = re.compile(r"^version = \d+$", re.MULTILINE)
_UV_SOURCE = re.compile(r"^source = \{ (registry|git|url|path|directory|editable|virtual) = ", re.MULTILINE)
_JSON = re.compile(r"\s*(\{|\[\s*[{\]])")
_CONDA = re.compile(r"^dependencies:(\s|$)", re.MULTILINE)
_CONDA_LOCK = re.compile(r"^- (name|category): \S+\n(  .*\n)*?  manager: (conda|pip)$", re.MULTILINE)
_EXPLICIT = re.compile(r"^@EXPLICIT[ \t]*$", re.MULTILINE)
_CONDA_TABLE = re.compile(r"^# packages in environment at |^[# \t]*Name[ \t]+Version[ \t]+Build\b", re.MULTILINE)
# Lines of `conda list --export`, which pip refuses; lines of other settings files do not match.
_CONDA_SPEC = re.compile(r"[a-z0-9_][a-z0-9_.-]*={1,2}(\d[^\s=<>!~]*=[^\s=]+|\d+\.[^\s=<>!~]+)")
_CONDA_JSON = re.compile(r"\s*\[\s*\{[^{}]*\"build_string\"")
_PIXI_LOCK = re.compile(r"\Aversion: \d+\n(platforms:\n(- .*\n|  .*\n)*)?environments:\n")
_YAML = re.compile(r"^[\w.-]+:(\s|$)", re.MULTILINE)


def as_requirements(text: str, name: str) -> Converted:
    """Return a lock as pip requirements, each on the line of its entry, or another file unchanged.

    ``name`` is the path or URL that messages show; its last component and the content tell the format.
    Raise `RequirementsError` for a broken lock, and for a file without versions, with the command that makes one.
    """
    last = re.split(r"[/\\#]", re.split(r"\?", name)[0])[-1].lower()
    try:
        return _convert(text.replace("\r\n", "\n"), name, last) or Converted(text, ())
    except RecursionError:
        raise RequirementsError(f"{name}: is nested too deeply; make the file again with: pip freeze") from None


def _convert(text: str, name: str, last: str) -> Converted | None:
    # Import a module only if needed, because most files are plain requirements.
    if _CONDA_JSON.match(text):
        from ds_docker_env.pinning.production.formats.conda_lists import from_json

        return from_json(text, name)
    if last == "pipfile.lock" or _JSON.match(text):
        from ds_docker_env.pinning.production.formats.pipfile_lock import from_pipfile_lock

        return from_pipfile_lock(text, name)
    if _PYLOCK.fullmatch(last) or _PYLOCK_PACKAGES.search(text):
        from ds_docker_env.pinning.production.formats.pylock import from_pylock

        return from_pylock(text, name)
    if last == "poetry.lock" or (_PACKAGES.search(text) and _POETRY.search(text)):
        from ds_docker_env.pinning.production.formats.poetry_lock import from_poetry_lock

        return from_poetry_lock(text, name)
    if last == "uv.lock" or (_UV.search(text) and _UV_SOURCE.search(text)):
        from ds_docker_env.pinning.production.formats.uv_lock import from_uv_lock

        return from_uv_lock(text, name)
    if convert := _of_conda(text, last):
        return convert(text, name)
    from ds_docker_env.pinning.production.formats.refused import refuse

    refuse(text, name, last)
    if _CONDA.search(text) or (last.endswith((".yml", ".yaml")) and _YAML.search(text)):
        from ds_docker_env.pinning.production.formats.conda import from_conda_environment

        return from_conda_environment(text, name)
    return None


def _of_conda(text: str, last: str) -> Callable[[str, str], Converted] | None:
    """Return the reader of a lock or a list of conda's tools, if this is one."""
    if last == "pixi.lock" or _PIXI_LOCK.match(text):
        from ds_docker_env.pinning.production.formats.conda_locks import from_pixi_lock

        return from_pixi_lock
    if last in ("conda-lock.yml", "conda-lock.yaml") or _CONDA_LOCK.search(text):
        from ds_docker_env.pinning.production.formats.conda_locks import from_conda_lock

        return from_conda_lock
    if _EXPLICIT.search(text):
        from ds_docker_env.pinning.production.formats.conda_lists import from_explicit

        return from_explicit
    if _CONDA_TABLE.search(text):
        from ds_docker_env.pinning.production.formats.conda_lists import from_table

        return from_table
    entries = [entry for line in text.split("\n") if (entry := line.partition("#")[0].strip())]
    # Only names of conda packages begin with _.
    of_conda = "==" not in "".join(entries) or any(entry.startswith("_") for entry in entries)
    if entries and of_conda and all(map(_CONDA_SPEC.fullmatch, entries)):
        from ds_docker_env.pinning.production.formats.conda_lists import from_export

        return from_export
    return None


__all__ = ["Converted", "as_requirements"]
