"""Write the address of the template, ``_template_url``, into all pages: ``uv run tests/addresses.py``."""

from __future__ import annotations

import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from offers import CONTEXT, TEMPLATE

ORIGINAL = "org/ds-docker-env"
# The page about forks names the original, too.
_LEFT_OUT = TEMPLATE / "docs" / "how-to" / "forking.md"


def pages() -> dict[Path, str]:
    """Return the text that each page with the address should have; the changelog keeps its addresses."""
    found = [*TEMPLATE.glob("README*.md"), *TEMPLATE.glob(".github/*.md"), *TEMPLATE.glob("docs/**/*.md")]
    texts = {path: path.read_text(encoding="utf-8") for path in sorted(found) if path != _LEFT_OUT}
    return {path: addressed(text, CONTEXT["_template_url"]) for path, text in texts.items() if ORIGINAL in text}


def addressed(text: str, url: str) -> str:
    """Return a text with this address in place of the original's."""
    on_github = re.fullmatch(r"https://github\.com/([^/]+/[^/]+)", url)
    text = text.replace(f"https://github.com/{ORIGINAL}", url)
    return text.replace(ORIGINAL, on_github[1]) if on_github else text.replace(f"gh:{ORIGINAL}", url)


if __name__ == "__main__":
    for path, text in pages().items():
        path.write_text(text, encoding="utf-8", newline="\n")
