"""The list of all messages, made from the code; ``tests/reference.py`` writes it into docs/reference/messages.md.

A message is a string of the code with two words in a row. Patterns, texts of files, and texts that the code only
searches for are not messages.
"""

from __future__ import annotations

import ast
import json
import re
import textwrap
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

TEMPLATE = Path(__file__).parents[1]
PAGE = TEMPLATE / "docs" / "reference" / "messages.md"
COMMAND = "uv run tests/reference.py"
_CODE = "ds_docker_env/"
_COMMANDS = f"{_CODE}image/files/"
_COMPOSE = "{{cookiecutter.project_slug}}/docker-compose.yml"
_INTRODUCTION = f"""\
# Messages

All messages of the template and of a project's commands, by subject. `{{name}}` stands for a value, `…` for a text that
varies. Search for words that are not a name, a path or a version.

An error has the form `where: problem; fix`: the file, line, question or command, the problem, and how to fix it. A
message can be made from parts, such as the reason or the fix, which follow the messages of their subject.

`{COMMAND}` makes this page from the code.
"""


class Area(NamedTuple):
    """A subject that users know, with the page that tells more, and the files whose messages belong to it."""

    title: str
    more: str
    files: tuple[str, ...]


AREAS = (
    Area(
        "Answers to the questions",
        "[questions](questions.md)",
        ("cookiecutter.json", f"{_CODE}generation/checks.py", f"{_CODE}generation/services.py"),
    ),
    Area(
        "Generating a project",
        "[README](../../README.md)",
        ("hooks/", "local_extensions.py", f"{_CODE}generation/", f"{_CODE}common/errors.py", f"{_CODE}common/"),
    ),
    Area(
        "Production's file",
        "[production's file](../how-to/production-file.md), [conda](../how-to/conda.md)",
        (
            f"{_CODE}common/sources/",
            f"{_CODE}common/decoding.py",
            f"{_CODE}common/day.py",
            f"{_CODE}pinning/production/",
        ),
    ),
    Area(
        "Locking",
        "[packages](../how-to/packages.md), [private indexes](../how-to/private-indexes.md)",
        (
            f"{_CODE}pinning/",
            f"{_CODE}common/analysis.py",
            f"{_CODE}common/settings.py",
            f"{_CODE}common/target.py",
            f"{_CODE}common/uv.py",
            f"{_CODE}image/lock.py",
        ),
    ),
    Area(
        "Starting a clone, and passwords",
        "[services](../how-to/connect-services.md)",
        (
            _COMPOSE,
            f"{_CODE}common/clone.py",
            f"{_CODE}image/certificate.py",
            f"{_CODE}image/passwords.py",
            f"{_CODE}image/setup.py",
        ),
    ),
    Area(
        "Building the image",
        "[packages](../how-to/packages.md), [the base image](../how-to/base-image.md)",
        (f"{_CODE}image/build/",),
    ),
    Area(
        "The running container and its notebooks",
        "[limits](../how-to/limits.md), [data with DVC](../how-to/data-with-dvc.md)",
        (_COMMANDS, f"{_CODE}image/kernels.py", f"{_CODE}image/profile.py"),
    ),
    Area(
        "The image's commands",
        "[commands](commands.md)",
        (f"{_CODE}image/",),
    ),
    Area(
        "add, remove, and packages of the lock",
        "[packages](../how-to/packages.md)",
        (
            f"{_CODE}image/add.py",
            f"{_CODE}image/change.py",
            f"{_CODE}image/overlay.py",
            f"{_CODE}image/remove.py",
            f"{_CODE}image/requirements.py",
            f"{_CODE}pinning/refusal.py",
        ),
    ),
    Area(
        "check and take-over",
        "[take over production's changes](../how-to/take-over.md)",
        (
            f"{_CODE}image/check.py",
            f"{_CODE}image/comparison.py",
            f"{_CODE}image/hold.py",
            f"{_CODE}image/meaning.py",
            f"{_CODE}image/needs.py",
            f"{_CODE}image/releases.py",
            f"{_CODE}image/takeover.py",
            f"{_CODE}image/verdict.py",
        ),
    ),
    Area(
        "audit, sbom and signed images",
        "[audit](../how-to/audit.md), [verification](../how-to/verify.md)",
        (
            f"{_CODE}image/accepted.py",
            f"{_CODE}image/advisories.py",
            f"{_CODE}image/audit.py",
            f"{_CODE}image/sbom.py",
            f"{_CODE}image/statement.py",
            f"{_CODE}image/tracker.py",
        ),
    ),
    Area("report", "[reports](../how-to/reports.md)", (f"{_CODE}image/report.py", f"{_CODE}image/offline.py")),
)

# Two words, perhaps with values between them, and the beginning of a whole message: its place, a label or a sentence.
_PROSE = re.compile(r"(?<![\w<$./-])[A-Za-z][a-z'-]+[,;:.]? (?:(?:[a-z]|\{\w+\})[,;:]? )*[a-z][a-z'-]+(?![\w(])")
_WHOLE = re.compile(r"[A-Z{#-]|(?!run|try)[\w./{}:-]+: ")
# Programs and files have their own texts in strings, too.
_SEARCHES = {"startswith", "endswith", "split", "rsplit", "partition", "rpartition", "replace", "removeprefix", "index"}
_SHELL = re.compile(r'said="([^"]+)"|echo "([^"]+)" >&2')
_REQUIRED = re.compile(r":\?([^}]+)\}")


def page() -> str:
    """Return the page."""
    return "\n".join([_INTRODUCTION, *(_section(area, found) for area, found in messages().items() if found)])


def messages() -> dict[Area, list[str]]:
    """Return the messages of each area, each one once."""
    known: set[str] = set()
    found: dict[Area, list[str]] = {area: [] for area in AREAS}
    for path in files():
        for message in _said_in(path):
            if message not in known:
                known.add(message)
                found[area_of(path)].append(message)
    return found


def files() -> list[Path]:
    """Return the files that can say something to a person."""
    modules = [*TEMPLATE.glob("hooks/*.py"), TEMPLATE / "local_extensions.py", *TEMPLATE.glob(f"{_CODE}*/**/*.py")]
    scripts = [path for path in TEMPLATE.glob(f"{_COMMANDS}commands/*") if _is_shell(path)]
    return [TEMPLATE / "cookiecutter.json", *sorted(modules), TEMPLATE / _COMPOSE, *sorted(scripts)]


def area_of(path: Path) -> Area:
    """Return the area that names a file, or the nearest directory above it."""
    name = path.relative_to(TEMPLATE).as_posix()
    return max(AREAS, key=lambda area: max((len(one) for one in area.files if name.startswith(one)), default=-1))


def is_whole(message: str) -> bool:
    """Say whether a message is complete, not a part of others."""
    return bool(_WHOLE.match(message))


def _section(area: Area, found: list[str]) -> str:
    parts = [f"## {area.title}", "", f"More on this: {area.more}.", ""]
    parts += [_item(message) for message in found if is_whole(message)]
    if some := [_item(message) for message in found if not is_whole(message)]:
        parts += ["", "Parts of these messages:", "", *some]
    return "\n".join([*parts, ""])


def _item(message: str) -> str:
    marks = "``" if "`" in message else "`"
    text = f"- {marks}{message}{marks}"
    return textwrap.fill(text, 120, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)


def _said_in(path: Path) -> Iterator[str]:
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".json":
        yield from json.loads(text)["__prompts__"].values()
    elif path.suffix == ".py":
        yield from _Module.of(path).messages()
    elif path.suffix == ".yml":
        yield from _REQUIRED.findall(text)
    else:
        for one, other in _SHELL.findall(text):
            yield re.sub(r"\$\{?(\w+)(?::[^}]*\})?\}?", _variable, re.sub(r"\$\([^)]*\)", "…", one or other))


def _variable(match: re.Match[str]) -> str:
    return f"{{{match[1].lower()}}}"


def _is_shell(path: Path) -> bool:
    return path.read_text(encoding="utf-8").startswith("#!/bin/sh")


class _Constant(NamedTuple):
    """A string with a name in capitals."""

    node: ast.AST
    text: str


class _Module(NamedTuple):
    """A module, with the parent of each node."""

    lines: list[str]
    tree: ast.Module
    parents: dict[ast.AST, ast.AST]

    @classmethod
    @cache
    def of(cls, path: Path) -> _Module:
        source = path.read_text(encoding="utf-8")
        tree = ast.parse(source)
        parents = {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
        return cls(source.splitlines(), tree, parents)

    def messages(self) -> Iterator[str]:
        """Yield the messages in the order of the file; constants only if they are not within others."""
        constants = self.constants()
        strings = [node for node in ast.walk(self.tree) if self._is_message(node) and node not in _inserted()]
        for node in sorted(strings, key=lambda one: (one.lineno, one.col_offset)):  # type: ignore[attr-defined]
            text = _text(node, constants).lstrip(",;: \n")
            message = " ".join(text.split())
            if "\n" not in text and _PROSE.search(message):
                yield message

    def constants(self) -> dict[str, _Constant]:
        """Return the strings with a name in capitals, also those of modules that this one imports."""
        found: dict[str, _Constant] = {}
        for node in self.tree.body:
            if isinstance(node, ast.ImportFrom) and node.module:
                known = _constants_of(node.module)
                found |= {alias.name: known[alias.name] for alias in node.names if alias.name in known}
                for alias in node.names:
                    known = _constants_of(f"{node.module}.{alias.name}")
                    found |= {f"{alias.name}.{name}": value for name, value in known.items()}
            elif isinstance(node, ast.Assign):
                for name, value in _assigned(node):
                    if isinstance(name, ast.Name) and name.id.isupper() and _is_string(value):
                        found[name.id] = _Constant(value, _text(value, found))
        return found

    def inserted(self) -> Iterator[ast.AST]:
        """Yield the constants that other strings contain."""
        constants = self.constants()
        holes = (node.value for node in ast.walk(self.tree) if isinstance(node, ast.FormattedValue))
        yield from (constants[name].node for name in map(ast.unparse, holes) if name in constants)

    def _is_message(self, node: ast.AST) -> bool:
        """Say whether a string is a whole one, and not a docstring, a pattern or a text to look for."""
        parent = self.parents.get(node)
        while isinstance(parent, ast.Tuple):
            parent = self.parents[parent]
        if not _is_string(node) or isinstance(parent, ast.Expr | ast.JoinedStr | ast.FormattedValue | ast.Compare):
            return False
        if isinstance(parent, ast.Dict) and node in parent.keys:
            return False
        if isinstance(parent, ast.Call) and isinstance(parent.func, ast.Attribute) and parent.func.attr in _SEARCHES:
            return False
        return not re.match(r"(?i)f?[rb]f?[\"']", self.lines[node.lineno - 1][node.col_offset :])  # type: ignore[attr-defined]


@cache
def _inserted() -> set[ast.AST]:
    return {node for path in files() if path.suffix == ".py" for node in _Module.of(path).inserted()}


@cache
def _constants_of(module: str) -> dict[str, _Constant]:
    path = TEMPLATE / f"{module.replace('.', '/')}.py"
    return _Module.of(path).constants() if path.is_file() else {}


def _assigned(node: ast.Assign) -> Iterator[tuple[ast.expr, ast.expr]]:
    for target in node.targets:
        if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
            yield from zip(target.elts, node.value.elts, strict=False)
        else:
            yield target, node.value


def _is_string(node: ast.AST) -> bool:
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))


def _text(node: ast.AST, constants: dict[str, _Constant]) -> str:
    """Return the text of a string, with a name in braces or an ellipsis for each value that is not a constant."""
    if isinstance(node, ast.JoinedStr):
        return "".join(_text(value, constants) for value in node.values)
    if isinstance(node, ast.Constant):
        return str(node.value)
    if not isinstance(node, ast.FormattedValue):
        return "…"
    constant = constants.get(ast.unparse(node.value))
    name = _name(node.value).strip("_").lower()
    return constant.text if constant else f"{{{name}}}" if name else "…"


def _name(node: ast.expr) -> str:
    """Return the name of the value in an expression, or nothing."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return node.attr
    if isinstance(node, ast.Subscript):
        key = node.slice
        return key.value if isinstance(key, ast.Constant) and isinstance(key.value, str) else _name(node.value)
    if isinstance(node, ast.BoolOp):
        return _name(node.values[0])
    if isinstance(node, ast.BinOp):
        return _name(node.left)
    if isinstance(node, ast.GeneratorExp | ast.ListComp):
        return _name(node.generators[0].iter)
    if isinstance(node, ast.Starred):
        return _name(node.value)
    if not isinstance(node, ast.Call):
        return ""
    if isinstance(node.func, ast.Name) and (node.func.id == "len" or node.func.id.startswith("_")):
        return "number" if node.func.id == "len" else node.func.id
    given = [argument for argument in node.args if not isinstance(argument, ast.Constant)]
    if not given:
        return _name(node.func.value if isinstance(node.func, ast.Attribute) else node.func)
    return _name(given[-1] if _name(node.func) in ("map", "sub") else given[0])
