"""The project reads as English, and its READMEs in short sentences."""

from __future__ import annotations

import pytest
from words import LIMIT, LONGEST, TEMPLATE, Text, pages, sentences, texts


@pytest.mark.parametrize("text", [*texts()], ids=lambda text: text.name)
def test_a_text_has_few_headless_clauses_and_paraphrases(text: Text) -> None:
    assert len(text.counted) <= text.allowed, f"more than {LIMIT} in 1,000 words: {', '.join(sorted(text.counted))}"


@pytest.mark.parametrize("page", [page for page in pages() if page.name == "README.md"], ids=str)
def test_sentences_of_a_readme_have_at_most_30_words(page: object) -> None:
    markdown = (TEMPLATE / str(page)).read_text(encoding="utf-8")
    assert [one for one in sentences(markdown) if len(one.split()) > LONGEST] == []


@pytest.mark.parametrize("page", [page.name for page in TEMPLATE.glob("README*.md")])
def test_a_readme_of_the_template_has_at_most_100_lines(page: str) -> None:
    assert len((TEMPLATE / page).read_text(encoding="utf-8").splitlines()) <= 100
