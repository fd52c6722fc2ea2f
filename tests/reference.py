"""The tables of docs/reference that come from code: ``uv run tests/reference.py`` renews them after a change.

They stand between ``<!-- NAME -->`` and ``<!-- end -->``. The other text of a page, and the last columns of its tables,
are written by hand and stay. A new row has blank cells there, for you to fill.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import messages
from golden import PROJECTS, RICHEST, golden
from offers import CONTEXT, QUESTIONS
from pages import REFERENCE
from rendered.test_layout import DEFAULT
from rendering import Renderer

from ds_docker_env.common.services import SERVICES
from ds_docker_env.generation.checks import LANGUAGES
from ds_docker_env.generation.release import WHEEL
from ds_docker_env.image.commands import COMMANDS

_BLOCK = re.compile(r"(?<=^<!-- )(?!end\b)(\w+)( -->\n\n)(.*?)(?=^<!-- end -->$)", re.MULTILINE | re.DOTALL)
_RULE = ("---",) * 5
Row = tuple[str, ...]


def pages() -> dict[Path, str]:
    """Return the text that each page with a generated table should have, and the list of messages."""
    found = {
        path: _BLOCK.sub(lambda block: f"{block[1]}{block[2]}{BLOCKS[block[1]](block[3])}\n", text)
        for path in sorted(REFERENCE.glob("*.md"))
        if _BLOCK.search(text := path.read_text(encoding="utf-8"))
    }
    return {**found, messages.PAGE: messages.page()}


def table(header: Row, rows: Iterable[Row], former: str) -> str:
    """Return a table of these rows; the columns that they do not fill are those of the former table."""
    cells = [_cells(line) for line in former.splitlines()]
    kept = {cell[0]: cell for cell in cells if len(cell) == len(header)}
    filled = [(*row, *kept.get(row[0], ("",) * len(header))[len(row) :]) for row in rows]
    lines = (header, _RULE[: len(header)], *filled)
    return "".join(f"|{'|'.join(f' {cell} ' if cell else ' ' for cell in line)}|\n" for line in lines)


def _cells(line: str) -> Row:
    return tuple(cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1])


def _questions(former: str) -> str:
    rows = [(f"`{name}`", CONTEXT["__prompts__"].get(name, ""), _answers(name)) for name in QUESTIONS]
    return table(("question", "asks for", "default", "details"), rows, former)


def _private(former: str) -> str:
    names = [name for name in CONTEXT if re.match(r"_[a-z]", name) and isinstance(CONTEXT[name], str)]
    return table(("name", "default", "meaning"), [(f"`{name}`", _answers(name)) for name in names], former)


def _answers(name: str) -> str:
    """Return the default answer, and the other choices."""
    answers = CONTEXT[name] if isinstance(CONTEXT[name], list) else [CONTEXT[name]]
    if "|" in answers[0]:
        return f"from {', '.join(f'`{other}`' for other in re.findall(r'cookiecutter.([a-z_]+)', answers[0]))}"
    choices = {"services": SERVICES, "_language": LANGUAGES}.get(name, answers)
    first, *others = [f"`{answer}`" if answer else "blank" for answer in dict.fromkeys([answers[0], *choices])]
    return f"{first}; also {', '.join(others)}" if others else first


def _commands(_: str) -> str:
    texts = []
    for name, command in COMMANDS.items():
        usage = f"```text\n{name} {command.usage}".rstrip() + "\n```\n"
        rows = [(f"`{words}`", meaning) for words, meaning in command.options.items()]
        options = table(("argument", "meaning"), rows, "") if rows else ""
        texts.append("\n".join(filter(None, (f"## {name}\n", f"{command.purpose}\n", usage, options))))
    return "\n".join(texts)


def _always(former: str) -> str:
    return _files(("file", "content", "changed by"), lambda name: name in golden("default") or name in DEFAULT, former)


def _chosen(former: str) -> str:
    header = ("file", "with", "content", "changed by")
    return _files(header, lambda name: name not in golden("default") and name not in DEFAULT, former)


def _files(header: Row, wanted: Callable[[str], bool], former: str) -> str:
    secrets = re.findall(r"file: .*?(\.secrets/\w+(?:\.pem)?)", golden("richest")["docker-compose.yml"])
    names = {*DEFAULT, *secrets, *(name for project in PROJECTS for name in golden(project))}
    files = {name.replace(WHEEL, "ds_docker_env-*.whl") for name in names if wanted(name) and not _folder(name, names)}
    return table(header, [(f"`{name}`",) for name in sorted(files, key=str.lower)], former)


def _folder(name: str, names: set[str]) -> bool:
    """Say whether a name is that of a directory with files, which have rows of their own."""
    return name.endswith("/") and any(other.startswith(name) and other != name for other in names)


def _settings(former: str) -> str:
    compose = Renderer()("docker-compose.yml", **RICHEST | {"services": ",".join(SERVICES)})
    found = re.findall(r"\$\{([A-Z0-9_]+)(?::([-?])([^}]*))?\}|^ +- ([A-Z_]+)$", compose, re.MULTILINE)
    defaults: dict[str, str] = {}
    for name, kind, default, passed in found:
        defaults.setdefault(name or passed, f"`{default}`" if kind == "-" else "" if passed else "required")
    return table(("variable", "default", "meaning"), [(f"`{name}`", text) for name, text in defaults.items()], former)


BLOCKS: dict[str, Callable[[str], str]] = {
    "questions": _questions,
    "private": _private,
    "commands": _commands,
    "always": _always,
    "chosen": _chosen,
    "settings": _settings,
}

if __name__ == "__main__":
    for path, text in pages().items():
        path.write_text(text, encoding="utf-8", newline="\n")
