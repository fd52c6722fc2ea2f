from __future__ import annotations

import pytest
from addresses import ORIGINAL, addressed, pages
from offers import TEMPLATE


def test_each_page_has_the_address_of_the_template() -> None:
    old = [path.relative_to(TEMPLATE).as_posix() for path, text in pages().items() if text != path.read_text("utf-8")]
    assert not old, f"{', '.join(old)}: another address than _template_url; run: uv run tests/addresses.py"


@pytest.mark.parametrize(
    "url, shown",
    {
        "https://github.com/acme/analyses": "gh:acme/analyses https://github.com/acme/analyses/issues",
        "https://git.example.com/analyses": "https://git.example.com/analyses https://git.example.com/analyses/issues",
    }.items(),
)
def test_a_page_gets_the_address_of_a_fork(url: str, shown: str) -> None:
    assert addressed(f"gh:{ORIGINAL} https://github.com/{ORIGINAL}/issues", url) == shown
