"""The site of these pages: ``uv run --only-group docs sphinx-build --fail-on-warning docs SITE``.

The pages are plain Markdown, which GitHub shows, too. Two things are added here: links to files outside of ``docs``
lead to the repository, and the decisions are in the navigation below their table.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

_DOCS = Path(__file__).parent
_REPOSITORY = json.loads((_DOCS.parent / "cookiecutter.json").read_text(encoding="utf-8"))["_template_url"]
_LINK = re.compile(r"(\]\()((?:\.\./)+[^)#\s]*)")
_DECISIONS = "\n```{toctree}\n:hidden:\n:glob:\n\n0*\n```\n"

project = "ds-docker-env"
html_title = "ds-docker-env"
extensions = ["myst_parser"]
exclude_patterns = ["_build"]
# Anchors of headings as GitHub makes them.
myst_heading_anchors = 4
nitpicky = True
# Cells may begin with ! or %, which Python does not have.
suppress_warnings = ["misc.highlighting_failure"]

# An option keeps its two dashes.
smartquotes = False

html_theme = "furo"
html_copy_source = False
html_theme_options = {"source_repository": _REPOSITORY, "source_branch": "main", "source_directory": "docs/"}

# Addresses of examples, and of what runs on the reader's machine.
linkcheck_ignore = [r"https?://(localhost|127\.0\.0\.1)", r"https?://([\w-]+\.)*example\.com"]
linkcheck_anchors_ignore_for_url = [r"https://github\.com/"]


def adapt(_: object, name: str, content: list[str]) -> None:
    """Change the text of a page before Sphinx reads it."""
    folder = (_DOCS / name).parent

    def absolute(link: re.Match[str]) -> str:
        target = Path(os.path.normpath(folder / link[2]))
        inside = target.is_relative_to(_DOCS)
        return link[0] if inside else f"{link[1]}{_REPOSITORY}/blob/main/{target.relative_to(_DOCS.parent).as_posix()}"

    content[0] = _LINK.sub(absolute, content[0]) + _DECISIONS * (name == "decisions/README")


def setup(app: Any) -> None:
    """Connect this file to Sphinx."""
    app.connect("source-read", adapt)
