"""The pages of docs/how-to, for tests that follow them."""

from __future__ import annotations

import re

from offers import TEMPLATE

HOW_TO = TEMPLATE / "docs" / "how-to"
REFERENCE = TEMPLATE / "docs" / "reference"


def page(name: str) -> str:
    return (HOW_TO / name).read_text(encoding="utf-8")


def cells() -> dict[str, str]:
    """Return the cell that connects to each service, by the heading above it."""
    sections = re.findall(r"^## (.+)\n([\s\S]*?)(?=^## |\Z)", page("connect-services.md"), re.MULTILINE)
    found = {heading: re.search(r"^```python\n([\s\S]*?)\n```$", text, re.MULTILINE) for heading, text in sections}
    return {heading: match[1] for heading, match in found.items() if match}
