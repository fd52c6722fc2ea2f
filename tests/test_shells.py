"""Every command of the pages works as it stands in bash, zsh, PowerShell 5.1 and 7, and cmd.

A block ``sh`` and the lines of a ``console`` after ``$`` are for all of them. Where shells differ there is a block for
bash and zsh, one for PowerShell and, if it differs again, one for cmd. bash and zsh read the commands themselves.
PowerShell and cmd are a list of rules, because these shells are not on a package registry.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from typing import NamedTuple

import pytest
from offers import TEMPLATE
from pages import HOW_TO, REFERENCE
from rendered.test_readme import RICHEST
from rendering import Renderer

from ds_docker_env.generation.checks import LANGUAGES

PROGRAMS = ("aws", "cd", "cosign", "docker", "git", "pip", "pipx", "podman", "uv", "uvx")
FENCE = re.compile(r"^( *)```(.*)\n((?:.*\n)*?)\1```$", re.MULTILINE)
SPAN = re.compile(r"`([^`]+)`")
QUOTED = re.compile(r'"[^"$`!\\]*"')
UNQUOTED = {
    r"&&|\|\|": ("PowerShell 5.1", "has no && and no ||"),
    r"^[A-Za-z_]\w*=": ("PowerShell and cmd", "have no NAME=value before a command"),
    r"\\$|\^$|`$": ("bash, PowerShell and cmd", "continue a line each in another way"),
    r"<": ("PowerShell", "has no <"),
    r">": ("PowerShell 5.1", "writes UTF-16 with >"),
    # These three commands read ASCII, and accept the carriage return that PowerShell adds.
    r"\|(?! docker (compose [^|]*( -|image\.statement)$|login [^|]*--password-stdin ))": (
        "PowerShell before 7.4",
        "changes bytes in a pipe",
    ),
    r"'": ("cmd", "keeps single quotes"),
    r"\$": ("cmd", "has no $"),
    r"%.*%": ("cmd", "replaces what is between two %"),
    r"~": ("cmd", "keeps ~"),
    r",": ("PowerShell", "takes a comma for a list; quote the word"),
    r"[*?\[\]]": ("zsh", "takes *, ? and [ for names of files; quote the word"),
    r"(^|\s)=": ("zsh", "replaces a word that begins with ="),
    r"(^|\s)-[A-Za-z]\w*[.:]": ("PowerShell", "splits an option of one dash at . and :"),
    r"(^|\s)[@{]": ("PowerShell", "takes @ and { at the beginning of a word for its own"),
    r"(^|\s)#": ("cmd", "has no comments"),
    r"[;()!\\^`{}\"]|(?<!&)&(?!&)": ("one shell or another", "takes it for its own"),
}
POWERSHELL = {
    r"&&|\|\||\?\?|\?\.": ("PowerShell 5.1", "has no &&, ||, ?? and ?."),
    r"(?<!2)>": ("PowerShell 5.1", "writes UTF-16 with >"),
    r"<": ("PowerShell", "has no <"),
    r"\\$": ("PowerShell", "continues a line with `"),
    r"^(curl|wget|rm|cp|mv|export|set|sudo)\b": ("PowerShell", "has another program or none of this name"),
}
SHELLS = {"bash": ("bash", "--norc"), "zsh": ("zsh", "-f")}
PAGES = {
    path.relative_to(TEMPLATE).as_posix(): path.read_text(encoding="utf-8")
    for path in [*TEMPLATE.glob("README*.md"), *sorted(HOW_TO.glob("*.md")), *sorted(REFERENCE.glob("*.md"))]
}


class Block(NamedTuple):
    """Code in a page, with its language and the number of its first line; a span in a text is ``sh``."""

    line: int
    language: str
    text: str

    def commands(self) -> Iterator[tuple[int, str]]:
        """Yield each command, with the number of its line."""
        for number, line in enumerate(self.text.splitlines(), self.line):
            if self.language == "sh" or line.strip().startswith("$ "):
                yield number, line.strip().removeprefix("$ ")


def blocks(page: str) -> list[Block]:
    found = [Block(page.count("\n", 0, hit.start()) + 2, hit[2], hit[3]) for hit in FENCE.finditer(page)]
    text = FENCE.sub(lambda hit: "\n" * hit[0].count("\n"), page)
    spans = [(text.count("\n", 0, hit.start()) + 1, " ".join(hit[1].split())) for hit in SPAN.finditer(text)]
    return found + [Block(line, "sh", span) for line, span in spans if re.match(rf"({'|'.join(PROGRAMS)}) ", span)]


def problems(page: str) -> list[str]:
    """Return a message with line number for each command that fails in a shell."""
    found = blocks(page)
    refused = [
        f"{number}: {shell}: {reason}: {line}"
        for block in found
        for number, line in block.commands()
        for shell, reason in refusals(line)
    ]
    for block in found:
        if block.language in ("", "text") and re.search(rf"^(\$ )?({'|'.join(PROGRAMS)}) ", block.text, re.MULTILINE):
            refused.append(f"{block.line}: all shells: the language of this block is missing")
        if block.language == "bat" and not re.fullmatch(r"(set \w+=[\w.:/\\-]+\n)+", block.text):
            refused.append(f"{block.line}: cmd: only settings differ from those of all shells")
        if block.language == "powershell":
            refused += [
                f"{number}: {shell}: {reason}: {line}"
                for number, line in enumerate(block.text.splitlines(), block.line)
                for pattern, (shell, reason) in POWERSHELL.items()
                if re.search(pattern, re.sub(r"\"[^\"]*\"|'[^']*'", "Q", line))
            ]
    forms = [block for block in found if block.language in ("bash", "powershell")]
    pairs = zip(forms[::2], [*forms[1::2], Block(0, "none", "")], strict=False)
    return refused + [
        f"{bash.line}: PowerShell: no block for it comes next, or none for bash comes before"
        for bash, powershell in pairs
        if (bash.language, powershell.language) != ("bash", "powershell")
    ]


def refusals(line: str) -> Iterator[tuple[str, str]]:
    """Yield each shell in which a command fails, and the reason."""
    bare = QUOTED.sub("Q", line)
    program = bare.partition(" ")[0]
    if program not in PROGRAMS and "=" not in program:
        yield "one system or another", f"has no {program or 'such line'}"
    yield from (found for pattern, found in UNQUOTED.items() if re.search(pattern, bare))
    if re.search(r"\"[^\"]*%[^\"]*%", line):
        yield UNQUOTED["%.*%"]


@pytest.mark.parametrize("name", PAGES)
def test_every_command_of_a_page_works_in_every_shell(name: str) -> None:
    assert [f"{name}:{problem}" for problem in problems(PAGES[name])] == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_command_of_a_projects_readme_works_in_every_shell(language: str) -> None:
    readme = Renderer()("README.md", _language=language, **RICHEST)
    assert len([command for block in blocks(readme) for command in block.commands()]) >= 15
    assert problems(readme) == []


REFUSED = {
    "docker build . && docker compose up": "PowerShell 5.1",
    "PORT=1 docker compose up": "PowerShell and cmd",
    "docker run \\": "bash, PowerShell and cmd",
    "docker load <image.tar": "PowerShell",
    "docker save churn >image.tar": "PowerShell 5.1",
    "docker save churn | docker load": "PowerShell before 7.4",
    "docker image inspect --format '{{.Id}}'": "cmd",
    "docker run --volume $PWD:/project churn": "cmd",
    'docker run --volume "$PWD:/project" churn': "cmd",
    "docker run --volume %CD%:/project churn": "cmd",
    'docker run --volume "%CD%:/project" churn': "cmd",
    "docker run --volume ~/api:/api churn": "cmd",
    "uvx cookiecutter . services=redis,mysql": "PowerShell",
    "uv tool install dvc[s3]": "zsh",
    "git log =a": "zsh",
    "docker run churn java -Dcom.example=1": "PowerShell",
    "docker run churn @options": "PowerShell",
    "docker compose up # starts": "cmd",
    "docker compose up; docker compose down": "one shell or another",
    "sed s/a/b/ Dockerfile": "one system or another",
}


@pytest.mark.parametrize("line", REFUSED)
def test_a_command_that_fails_in_a_shell_is_named_with_its_line_and_the_shell(line: str) -> None:
    found = problems(f"# Title\n\n```sh\ndocker compose up\n{line}\n```\n")
    assert [problem for problem in found if problem.startswith(f"5: {REFUSED[line]}: ")], found
    assert all(problem.startswith("5: ") for problem in found)


@pytest.mark.parametrize(
    ("page", "problem"),
    {
        "```\ndocker compose up\n```\n": "2: all shells: the language of this block is missing",
        "```bash\nexport A=1\n```\n": "2: PowerShell: no block for it comes next",
        "Run `docker compose up && docker\nps`.\n": "1: PowerShell 5.1: has no && and no ||",
        "- x\n\n  ```console\n  $ rm a\n  a, b\n  ```\n": "4: one system or another: has no rm",
        "```bash\na=1\n```\n```powershell\n$a = git log && git tag\n```\n": "5: PowerShell 5.1: has no &&",
        "```bat\nexport A=1\n```\n": "2: cmd: only settings differ",
    }.items(),
)
def test_other_blocks_and_code_spans_are_checked_too(page: str, problem: str) -> None:
    [found] = problems(page)
    assert found.startswith(problem)


@pytest.mark.parametrize("shell", SHELLS)
def test_bash_and_zsh_pass_each_program_the_words_on_the_page(shell: str) -> None:
    """Functions in place of the programs print their arguments."""
    if sys.platform == "win32" or (not shutil.which(shell) and os.environ.get("DS_DOCKER_ENV_SKIP_NOTHING") != "1"):
        pytest.skip(f"{shell} is not on offer here")
    every = [block for page in PAGES.values() for block in blocks(page)]
    for block in every:
        if block.language == "bash":
            subprocess.run([*SHELLS[shell], "-n", "-c", block.text], check=True)
    # Commands that break a rule could have an effect, so they do not run.
    typed = [line for block in every for _, line in block.commands() if not [*refusals(line)]]
    assert len(typed) > 60
    programs = "".join(f'{name}() {{ printf "%s\\n" {name} "$@"; }}\n' for name in PROGRAMS)
    script = programs + "".join(f"{line}\necho\n" for line in typed)
    said = subprocess.run([*SHELLS[shell], "-c", script], capture_output=True, encoding="utf-8", check=True)
    words = [shlex.split(line.rpartition(" | ")[2]) for line in typed]
    assert [each.splitlines() for each in said.stdout.split("\n\n")] == [*words, []]
