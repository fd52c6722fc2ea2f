from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
import yaml
from conftest import Generated
from offers import QUESTIONS, UNPAIRED

from ds_docker_env.common.target import DEBIAN_RELEASES

Bake = Callable[..., Generated]
Run = Callable[..., Generated]

REFUSED = {
    "an empty slug": ({"project_slug": ""}, "project_slug"),
    "a slug with upper case": ({"project_slug": "Churn"}, "project_slug"),
    "a slug with spaces": ({"project_slug": "churn 2026"}, "project_slug"),
    "a slug that climbs": ({"project_slug": ".."}, "project_slug"),
    "a slug that leaves the folder": ({"project_slug": "../../elsewhere"}, "project_slug"),
    "a slug with a slash": ({"project_slug": "a/b"}, "project_slug"),
    "a slug that ends with a dash": ({"project_slug": "churn-"}, "project_slug"),
    "a slug with three underscores": ({"project_slug": "a___b"}, "project_slug"),
    "a slug that Windows reserves": ({"project_slug": "con"}, "project_slug"),
    "a slug of 300 characters": ({"project_slug": "a" * 300}, "project_slug"),
    "a title without a letter": ({"project_name": "🐳"}, "project_slug"),
    "a blank title": ({"project_name": " ", "project_slug": "a"}, "project_name"),
    "a title of two lines": ({"project_name": "a\nb", "project_slug": "a"}, "project_name"),
    "a control character": ({"question": "a\x1b[31mb"}, "question"),
    "a ticket that is not a URL": ({"ticket_url": "DS-1"}, "ticket_url"),
    "a ticket that runs code": ({"ticket_url": "javascript:alert(1)"}, "ticket_url"),
    "a ticket with a password": ({"ticket_url": "https://me:canary@example.com/1"}, "ticket_url"),
    "a token behind a semicolon": (
        {"production_requirements": "https://example.com/r.txt?ref=main;token=canary"},
        "production_requirements",
    ),
    "a token that a server never gets": (
        {"production_requirements": "https://example.com/r.txt#access_token=canary"},
        "production_requirements",
    ),
    "a password in production's URL": (
        {"production_requirements": "https://me:canary@a.test/r"},
        "production_requirements",
    ),
    "a kind of URL that is not known": ({"production_requirements": "ftp://a.test/r"}, "production_requirements"),
    "a path that does not exist": ({"production_requirements": "no/such/file.txt"}, "production_requirements"),
    "a path that is a directory": ({"production_requirements": "."}, "production_requirements"),
    "an index with a password": ({"_package_index": "https://me:canary@example.com/simple/"}, "_package_index"),
    "an index with a token": ({"_package_index": "https://canary@example.com/simple/"}, "_package_index"),
    "an index that is not a URL": ({"_package_index": "packages.example.com"}, "_package_index"),
    "an index of two lines": ({"_package_index": "https://example.com/\nRUN true"}, "_package_index"),
    "an index with a variable": ({"_package_index": "https://example.com/$HOME"}, "_package_index"),
}
REFUSED |= {
    f"Python {python} on {debian}": ({"python_version": python, "debian_release": debian}, "debian_release")
    for python, debian in UNPAIRED
}


@pytest.mark.parametrize(("answers", "question"), REFUSED.values(), ids=REFUSED)
def test_it_refuses(bake: Bake, answers: dict[str, str], question: str) -> None:
    generated = bake(**answers)
    assert generated.exit_code == -1
    message = generated.stderr
    assert f"  {question}: " in message
    assert "fix this first" in message
    assert "Traceback" not in message
    assert "canary" not in message
    assert not generated.project.exists()


def test_two_wrong_answers_are_reported_together(bake: Bake) -> None:
    message = bake(project_slug="Churn", ticket_url="DS-1", production_requirements="no/such/file.txt").stderr
    assert "fix these 3 things first" in message
    for question in ("project_slug", "ticket_url", "production_requirements"):
        assert f"  {question}: " in message


@pytest.mark.skipif(not UNPAIRED, reason="every Python on offer has an image for every Debian")
def test_a_missing_pair_names_the_valid_ones(bake: Bake) -> None:
    for python, debian in UNPAIRED:
        valid = " or ".join(DEBIAN_RELEASES[python])
        assert f"for Python {python} choose {valid}\n" in bake(python_version=python, debian_release=debian).stderr


def test_nothing_is_left_behind_after_a_refusal(cookiecutter: Run, tmp_path: Path) -> None:
    generated = cookiecutter(project_slug="../escaped")
    assert generated.exit_code != 0
    assert list((tmp_path / "output").iterdir()) == []
    assert not (tmp_path / "escaped").exists()


HOSTILE = {
    "quotes and backslashes": "\"double\" 'single' `back` a\"\"\"b'''c" + r" C:\new\table\x41 ends with \\",
    "a template": "{{ 7*7 }} {% raw %} {# c #}",
    "a shell": "$(touch /tmp/ds-docker-env-was-here) `id` ; rm -rf x & | > <",
    "YAML and other scripts": "a: b # c\n- d\n!!python/object: e 🐳 שלום مرحبا é",
    "markup": "<script>alert(1)</script> [bold] &amp; ${HOME}",
    "10,000 characters": "x" * 9_999 + "y",
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_a_typed_answer_is_rendered_to_the_letter(cookiecutter: Run, text: str) -> None:
    one_line = text.replace("\n", " ")
    answers = {"project_slug": "analysis", **dict.fromkeys(("project_name", "question", "data"), one_line)}
    typed = [answers.get(name, "") for name in QUESTIONS]
    generated = cookiecutter(typed="\n".join([*typed, ""]))
    assert generated.exit_code == 0, generated.stderr
    readme = generated.read("README.md")
    notebook = nbformat.read(generated.project / "src" / "analysis.ipynb", as_version=4)
    nbformat.validate(notebook)
    assert readme.startswith(f"# {one_line}\n\n**Question.** {one_line}\n\n**Data.** {one_line}\n")
    assert notebook.cells[0].source == f"# {one_line}\n\n**Question.** {one_line}\n\n**Data.** {one_line}"
    assert yaml.safe_load(generated.read("docker-compose.yml"))["name"] == "analysis"
    assert not Path("/tmp/ds-docker-env-was-here").exists()


def test_an_answer_of_several_lines_keeps_them(bake: Bake) -> None:
    question = "Who leaves?\n\n- and when\n- and why"
    generated = bake(question=question)
    assert f"**Question.** {question}\n" in generated.read("README.md")
    notebook = nbformat.read(generated.project / "src" / "analysis.ipynb", as_version=4)
    assert notebook.cells[0].source.endswith(f"\n\n**Question.** {question}")
