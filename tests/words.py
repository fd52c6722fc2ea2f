"""Counts words that make English read like a translation: ``uv run tests/words.py`` lists them for each text.

The words are the headless clauses and the table of paraphrases of ``CONTRIBUTING.md``.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

TEMPLATE = Path(__file__).parents[1]
#: Words per 1,000 that a text may have; a short text may have one.
LIMIT = 5
#: Words in a sentence of a README.
LONGEST = 30

_HEADLESS = r"what|whatever|whoever|nobody|none|no"
_PARAPHRASES = (
    r"mend(?:s|ed|ing)?|(?:take|takes|taken|taking|took) \w* ?away|(?:fall|falls|fell|fallen|falling) out"
    r"|besides|(?:is|are|was|were) to be|that which|the very|to the letter|it counts|another look|all the same"
    r"|of \w+'s(?=\s*[.,;:)]|\s+(?:is|are|was|were|that|which|in|on|to|does|has)\b)"
)
_COUNTED = re.compile(rf"\b(?:{_HEADLESS}|{_PARAPHRASES})(?![\w-])", re.IGNORECASE)
_WORD = re.compile(r"[A-Za-z][\w'-]*")


class Text(NamedTuple):
    """A text that users or maintainers read, in plain words."""

    name: str
    words: str

    @property
    def length(self) -> int:
        return len(_WORD.findall(self.words))

    @property
    def counted(self) -> list[str]:
        return [match[0].lower() for match in _COUNTED.finditer(self.words)]

    @property
    def allowed(self) -> float:
        return max(1, self.length * LIMIT / 1000)


def texts() -> Iterator[Text]:
    """Yield every English page, the names of the tests, and the comments and docstrings of each directory."""
    for path in pages():
        yield Text(path.relative_to(TEMPLATE).as_posix(), prose(path.read_text(encoding="utf-8")))
    modules: dict[str, list[Path]] = {}
    folders = ("ds_docker_env", "locks", "releases", "tests")
    for path in sorted(path for folder in folders for path in TEMPLATE.glob(f"{folder}/**/*.py")):
        modules.setdefault(path.parent.relative_to(TEMPLATE).as_posix(), []).append(path)
    for folder, paths in modules.items():
        yield Text(f"{folder}: comments", "\n".join(_comments(path) for path in paths))
        if folder.startswith("tests"):
            yield Text(f"{folder}: test names", "\n".join(_test_names(path) for path in paths))


def pages() -> list[Path]:
    """Return every page in English."""
    found = [*TEMPLATE.glob("*.md"), *TEMPLATE.glob(".github/**/*.md"), *TEMPLATE.glob("docs/**/*.md")]
    found += TEMPLATE.glob("tests/golden/**/README.md")
    return sorted(path for path in found if not path.name.endswith(".pt.md"))


def prose(markdown: str) -> str:
    """Return a page without code, addresses and marks."""
    text = re.sub(r"^(```+)[\s\S]*?^\1", "", markdown, flags=re.MULTILINE)
    text = re.sub(r"<!--[\s\S]*?-->", "", text)
    text = re.sub(r"`[^`]*`", "code", text)
    text = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", text)
    text = re.sub(r"https?://\S+", "address", text)
    return re.sub(r"[*_#>]", "", text)


def sentences(markdown: str) -> list[str]:
    """Return the sentences of a page; a heading, a list's item and a table's cell end one."""
    text = re.sub(r"^( *[-*+] | *\d+\. |#+ .*$|\s*$)", "\n\n", prose(markdown), flags=re.MULTILINE)
    blocks = [block for part in text.split("\n\n") for block in re.split(r"\|", part)]
    return [" ".join(one.split()) for block in blocks for one in re.split(r"(?<=[.!?:])\s+", block) if one.strip()]


def _comments(path: Path) -> str:
    source = path.read_text(encoding="utf-8")
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    found = [token.string for token in tokens if token.type == tokenize.COMMENT]
    nodes = [n for n in ast.walk(ast.parse(source)) if isinstance(n, ast.Module | ast.ClassDef | ast.FunctionDef)]
    return prose("\n".join([*found, *(ast.get_docstring(node) or "" for node in nodes)]).replace("``", "`"))


def _test_names(path: Path) -> str:
    nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    names = [node.name for node in nodes if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")]
    return "\n".join(name.replace("_", " ") for name in names)


if __name__ == "__main__":
    for text in sorted(texts(), key=lambda one: len(one.counted) / max(one.length, 1)):
        over = " <- too many" if len(text.counted) > text.allowed else ""
        print(f"{1000 * len(text.counted) / max(text.length, 1):5.1f} {text.length:6} {text.name}{over}")
