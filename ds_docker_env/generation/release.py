"""The version and the commit of this template."""

from __future__ import annotations

from pathlib import Path

# Between two releases that of the next one with ".dev0"; releases/prepare.py writes it.
VERSION = "2026.12.0.dev0"
# The wheel with the commands of a project's image.
WHEEL = f"ds_docker_env-{VERSION}-py3-none-any.whl"

# git and GitHub replace it in an archive: https://git-scm.com/docs/gitattributes#_creating_an_archive
_ARCHIVED = "$Format:%H$"
_TRACKED = "cookiecutter.json"
_ROOT = Path(__file__).parents[2]


def commit() -> str:
    """Return the commit of a clone, with ``-dirty`` if files were changed, or of an archive, or ``unknown``."""
    from ds_docker_env.common.sources.command import run_git

    if not _ARCHIVED.startswith("$"):
        return _ARCHIVED
    here = ("-c", "core.fsmonitor=false", "-C", str(_ROOT), "--no-optional-locks")
    # Otherwise git would answer for a repository that contains the template's directory, and run its monitor.
    if not (_ROOT / ".git").exists() and run_git(*here, "ls-files", "--error-unmatch", _TRACKED) is None:
        return "unknown"
    return run_git(*here, "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*") or "unknown"


def former_wheels(project: Path) -> list[str]:
    """Return the names of the wheels that earlier versions of this template packed into a project."""
    packed = [path.name for pattern in ("ds_docker_env-*.whl", "parity.pyz") for path in project.glob(pattern)]
    return [name for name in packed if name != WHEEL]
