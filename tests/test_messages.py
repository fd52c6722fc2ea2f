"""The list of messages is that of the code, and each message reads as English."""

from __future__ import annotations

import re

import pytest
from messages import AREAS, COMMAND, PAGE, TEMPLATE, files, messages, page
from words import LIMIT, Text

LONGEST = 35
MESSAGES = [message for found in messages().values() for message in found]
_VALUE = re.compile(r"\{\w+\}")
_HEADLESS = {"what", "whatever", "whoever", "nobody", "none", "no"}


def test_the_page_lists_the_messages_of_the_code() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), f"run: {COMMAND}"


def test_each_file_with_messages_has_a_subject() -> None:
    names = tuple(name for area in AREAS for name in area.files)
    assert [path for path in files() if not path.relative_to(TEMPLATE).as_posix().startswith(names)] == []


def test_messages_have_few_headless_clauses() -> None:
    text = Text("messages", _VALUE.sub("value", "\n".join(MESSAGES)))
    assert len(text.counted) <= text.allowed, f"more than {LIMIT} in 1,000 words: {_with(*_HEADLESS)}"


def test_messages_are_free_of_paraphrases() -> None:
    assert {one: found for one in MESSAGES if (found := set(Text("", one).counted) - _HEADLESS)} == {}


def test_sentences_of_a_message_have_at_most_35_words() -> None:
    sentences = [one for message in MESSAGES for one in re.split(r"(?<=[.;?!])\s", message)]
    assert [one for one in sentences if len(one.split()) > LONGEST] == []


@pytest.mark.parametrize("pattern", [r"^(what|whatever|whoever|nobody|none)\b", r"\bis no (?!longer)"])
def test_messages_avoid(pattern: str) -> None:
    assert [message for message in MESSAGES if re.search(pattern, message, re.IGNORECASE)] == []


def _with(*words: str) -> list[str]:
    return [message for message in MESSAGES if set(words) & set(Text("", message).counted)]
