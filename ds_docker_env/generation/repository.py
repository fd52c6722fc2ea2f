"""The git repository of a project, without a commit."""

from __future__ import annotations

from pathlib import Path


def is_needed(project: Path, template: Path) -> bool:
    """Say whether a project is outside of all git work trees, apart from the template's.

    This does not ask git, which refuses repositories of other users.
    """
    for folder in (project, *project.parents):
        if (folder / ".git").exists():
            root = template.resolve()
            return folder != project and folder.resolve() in (root, *root.parents)
    return True


def begin(folder: Path) -> bool:
    """Initialize an empty repository; return whether that worked."""
    from ds_docker_env.common.sources.command import run_git

    return run_git("init", "--quiet", str(folder)) is not None
