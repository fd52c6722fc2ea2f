from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
import yaml
from conftest import ANSWERS, Generated
from offers import QUESTIONS, UNPAIRED

from ds_docker_env.common.errors import AnswerError
from ds_docker_env.common.target import DEBIAN_RELEASES
from ds_docker_env.generation import checks

Run = Callable[..., Generated]

REFUSED = {
    "an empty slug": ("project_slug", ""),
    "a slug with upper case": ("project_slug", "Churn"),
    "a slug with spaces": ("project_slug", "churn 2026"),
    "a slug that climbs": ("project_slug", ".."),
    "a slug with a slash": ("project_slug", "a/b"),
    "a slug that ends with a dash": ("project_slug", "churn-"),
    "a slug with three underscores": ("project_slug", "a___b"),
    "a slug that Windows reserves": ("project_slug", "con"),
    "a slug of 300 characters": ("project_slug", "a" * 300),
    "a blank title": ("project_name", " "),
    "a title of two lines": ("project_name", "a\nb"),
    "a control character": ("question", "a\x1b[31mb"),
    "a ticket that is not a URL": ("ticket_url", "DS-1"),
    "a ticket that runs code": ("ticket_url", "javascript:alert(1)"),
    "a ticket with a password": ("ticket_url", "https://me:canary@example.com/1"),
    "a token behind a semicolon": ("production_requirements", "https://example.com/r.txt?ref=main;token=canary"),
    "a token that a server never gets": ("production_requirements", "https://example.com/r.txt#access_token=canary"),
    "a password in production's URL": ("production_requirements", "https://me:canary@a.test/r"),
    "a kind of URL that is not known": ("production_requirements", "ftp://a.test/r"),
    "a path that does not exist": ("production_requirements", "no/such/file.txt"),
    "a path that is a directory": ("production_requirements", "."),
    "an index with a password": ("_package_index", "https://me:canary@example.com/simple/"),
    "an index with a token": ("_package_index", "https://canary@example.com/simple/"),
    "an index that is not a URL": ("_package_index", "packages.example.com"),
    "an index of two lines": ("_package_index", "https://example.com/\nRUN true"),
    "an index with a variable": ("_package_index", "https://example.com/$HOME"),
}


@pytest.mark.parametrize(("question", "answer"), REFUSED.values(), ids=REFUSED)
def test_it_refuses(question: str, answer: str) -> None:
    answers = {**ANSWERS, "project_slug": "a", question: answer}
    with pytest.raises(AnswerError) as refused:
        checks.check({**answers, "__production_requirements": answers["production_requirements"]})
    [problem] = refused.value.problems
    assert problem.startswith(f"{question}: ")
    assert "canary" not in problem


@pytest.mark.skipif(not UNPAIRED, reason="every Python on offer has an image for every Debian")
def test_a_missing_pair_names_the_valid_ones() -> None:
    for python, debian in UNPAIRED:
        pair = {"python_version": python, "debian_release": debian}
        with pytest.raises(AnswerError, match=f"for Python {python} choose {' or '.join(DEBIAN_RELEASES[python])}$"):
            checks.check({**ANSWERS, "project_slug": "a", "__production_requirements": "", **pair})


def test_invalid_answers_are_reported_together_without_a_traceback_and_leave_nothing(
    cookiecutter: Run, tmp_path: Path
) -> None:
    wrong = {"project_slug": "../escaped", "ticket_url": "DS-1", "production_requirements": "no/such/file.txt"}
    refused = cookiecutter(**wrong)
    assert refused.exit_code == 1
    assert refused.stderr.startswith("ds-docker-env: nothing was generated; fix these 3 problems first:\n")
    assert all(f"\n  {question}: " in refused.stderr for question in wrong)
    assert "Traceback" not in refused.stdout + refused.stderr
    assert list((tmp_path / "output").iterdir()) == []
    assert not (tmp_path / "escaped").exists()


def test_a_title_without_a_letter_needs_a_slug_of_its_own(bake: Run) -> None:
    assert "\n  project_slug: '' cannot name" in bake(project_name="🐳").stderr


# The first and the last character are hostile, too.
HOSTILE = (
    "a: b # c - d !!python/object: e 🐳 שלום مرحبا é {{ 7*7 }} {% raw %} {# c #} "
    "$(touch /tmp/ds-docker-env-was-here) `id` ; rm -rf x & | > < <script>alert(1)</script> [bold] &amp; ${HOME} "
    + "x" * 10_000
    + " \"double\" 'single' `back` a\"\"\"b'''c"
    + r" C:\new\table\x41 ends with \\"
)


def test_a_typed_answer_is_rendered_verbatim(cookiecutter: Run) -> None:
    answers = {"project_slug": "analysis", **dict.fromkeys(("project_name", "question", "data"), HOSTILE)}
    typed = [answers.get(name, "") for name in QUESTIONS]
    generated = cookiecutter(typed="\n".join([*typed, ""]))
    assert generated.exit_code == 0, generated.stderr
    readme = generated.read("README.md")
    notebook = nbformat.read(generated.project / "src" / "analysis.ipynb", as_version=4)
    nbformat.validate(notebook)
    assert readme.startswith(f"# {HOSTILE}\n\n**Question.** {HOSTILE}\n\n**Data.** {HOSTILE}\n")
    assert notebook.cells[0].source == f"# {HOSTILE}\n\n**Question.** {HOSTILE}\n\n**Data.** {HOSTILE}"
    assert yaml.safe_load(generated.read("docker-compose.yml"))["services"]["setup"]["command"].endswith(" analysis")
    assert not Path("/tmp/ds-docker-env-was-here").exists()


def test_an_answer_of_several_lines_keeps_them(bake: Run) -> None:
    question = "Who leaves?\n\n- and when\n- and why"
    generated = bake(question=question)
    assert f"**Question.** {question}\n" in generated.read("README.md")
    notebook = nbformat.read(generated.project / "src" / "analysis.ipynb", as_version=4)
    assert notebook.cells[0].source.endswith(f"\n\n**Question.** {question}")
