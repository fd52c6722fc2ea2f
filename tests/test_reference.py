"""The pages of docs/reference agree with the code."""

from __future__ import annotations

import re
import sys

import pytest
from offers import CONTEXT, QUESTIONS
from pages import REFERENCE
from reference import pages, table
from rendering import PROJECT

from ds_docker_env.common.signals import STOPPED


@pytest.mark.parametrize("name", ["commands.md", "files.md", "questions.md", "settings.md"])
def test_a_page_of_the_reference_has_the_tables_of_the_code(name: str) -> None:
    path = REFERENCE / name
    assert path.read_text(encoding="utf-8") == pages()[path], "renew it: uv run tests/reference.py"


@pytest.mark.parametrize("name", ["files.md", "settings.md"])
def test_each_file_and_setting_has_a_description(name: str) -> None:
    blank = re.findall(r"^\| (`[^`]+`) (?=.*\| \|$)", (REFERENCE / name).read_text(encoding="utf-8"), re.MULTILINE)
    assert not blank, f"docs/reference/{name}: fill the last column of {', '.join(blank)}"


def test_each_question_and_rendered_file_is_in_its_page() -> None:
    questions, files = ((REFERENCE / name).read_text(encoding="utf-8") for name in ("questions.md", "files.md"))
    names = [*QUESTIONS, "_language", "_base_image", "_package_index", "_template_url"]
    assert re.findall(r"^\| `(\w+)` ", questions, re.MULTILINE) == [name for name in CONTEXT if name in names]
    rendered = {path.relative_to(PROJECT).as_posix() for path in PROJECT.rglob("*") if path.is_file()}
    assert [name for name in sorted(rendered) if f"| `{name}` |" not in files] == []


def test_a_renewed_table_keeps_its_descriptions_and_shows_which_are_missing() -> None:
    former = "| file | with | content |\n| --- | --- | --- |\n| `a` | x | the first \\| letter |\n| `gone` | x | it |\n"
    assert table(("file", "with", "content"), [("`a`",), ("`b`",)], former) == (
        "| file | with | content |\n| --- | --- | --- |\n| `a` | x | the first \\| letter |\n| `b` | | |\n"
    )


@pytest.mark.skipif(sys.platform == "win32", reason="the commands run in the image, on Linux")
def test_the_page_of_commands_has_their_exit_codes() -> None:
    from ds_docker_env.image import audit, check, commands, report

    page = (REFERENCE / "commands.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| (\d+) \|", page, re.MULTILINE) == ["0", "1", "2", "130"]
    assert {check.EQUAL, audit.CLEAN, report.SUCCEEDED} == {0}
    assert {check.DIFFERENT, audit.TODO, report.A_CELL_FAILED} == {1}
    assert ({audit.FAILED, commands.FAILED}, STOPPED) == ({2}, 130)
