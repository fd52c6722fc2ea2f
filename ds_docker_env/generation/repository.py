"""The git repository of a project, without a commit."""

from __future__ import annotations

from pathlib import Path


def is_needed(project: Path, template: Path) -> bool:
    """Say whether a project lies in no git work tree, or only in the one that holds its template.

    git itself is not asked, because it refuses the repositories of other users.
    """
    for folder in (project, *project.parents):
        if (folder / ".git").exists():
            root = template.resolve()
            return folder != project and folder.resolve() in (root, *root.parents)
    return True


def begin(folder: Path) -> bool:
    """Make an empty repository; return whether that worked."""
    from ds_docker_env.common.sources.command import run_git

    return run_git("init", "--quiet", str(folder)) is not None
