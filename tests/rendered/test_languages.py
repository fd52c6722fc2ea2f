"""Pages and questions in other languages say the same as in English."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from difflib import SequenceMatcher
from typing import Any

import conftest
import pytest
import yaml
from conftest import ANSWERS, CONTEXT, QUESTIONS, TEMPLATE, Generated
from rendering import Renderer

from ds_docker_env.common.services import SERVICES
from ds_docker_env.generation.checks import LANGUAGES

OTHERS = LANGUAGES[1:]
EVERYTHING = {
    **{"question": "Why?", "data": "Orders", "ticket_url": "https://example.com/1", "services": ",".join(SERVICES)},
    **{"production_requirements": "/api/requirements.txt", "dvc_s3_url": "s3://bucket/churn"},
}
COMBINATIONS = {
    "default": {},
    "everything": EVERYTHING,
    **{service: {"services": service} for service in SERVICES},
    **{name: {name: EVERYTHING[name]} for name in ("production_requirements", "dvc_s3_url")},
    "an index": {"_package_index": "https://packages.example.com/simple/"},
    **{platform: {"ci": platform} for platform in CONTEXT["ci"]},
}

# A heading, a paragraph, an item, a row of a table, or a block of code.
PIECE = re.compile(r"^```[\s\S]*?^```$|^\S.*(?:\n(?!```|- |\||#+ |\d+\. ).+)*", re.MULTILINE)
KIND = re.compile(r"#+ |- |\d+\. |\||")
# A comment behind a line of code, or behind a name in a tree of files.
COMMENT = re.compile(r"(?<=[\w/]) {2,}.*|(?<!\S)#.*")
# In prose: a command or a name, an address, the target of a link.
KEPT = re.compile(r"`[^`]+`|(?<=\]\()[^)]+|https?://[^\s)>;,]+(?<![.:])")


def kept(piece: str) -> list[str]:
    """Return the parts that a translation has to keep."""
    if piece.startswith("```"):
        return [COMMENT.sub("", line).rstrip() for line in piece.splitlines()]
    names = [re.sub(r"^README\.\w\w\.md$", "README.md", " ".join(name.split())) for name in KEPT.findall(piece)]
    return [*KIND.findall(piece)[:1], *sorted(names)]


def untranslated(english: str, other: str) -> str:
    """Return the parts that only one of them has, in words for translators."""
    theirs, ours = PIECE.findall(english), PIECE.findall(other)
    matcher = SequenceMatcher(None, [str(kept(piece)) for piece in theirs], [str(kept(piece)) for piece in ours], False)
    return "\n\n".join(
        "\n\n".join(["TRANSLATE", *(theirs[a:b] or ["nothing"]), "INSTEAD OF", *(ours[c:d] or ["nothing"])])
        for kind, a, b, c, d in matcher.get_opcodes()
        if kind != "equal"
    )


@pytest.mark.parametrize("language", OTHERS)
def test_the_templates_readme_is_the_same_in_each_language(language: str) -> None:
    names = ("README.md", f"README.{language}.md")
    english, other = ((TEMPLATE / name).read_text(encoding="utf-8") for name in names)
    assert f"](README.{language}.md)" in english
    assert "](README.md)" in other
    assert not (missing := untranslated(english, other)), f"README.{language}.md\n\n{missing}"


@pytest.mark.parametrize("answers", COMBINATIONS.values(), ids=COMBINATIONS)
@pytest.mark.parametrize("language", OTHERS)
def test_a_projects_readme_has_the_same_commands_in_each_language(language: str, answers: dict[str, str]) -> None:
    render = Renderer()
    english, other = (render("README.md", _language=spoken, **answers) for spoken in ("en", language))
    assert english != other
    assert not (missing := untranslated(english, other)), f"templates/README.{language}.md\n\n{missing}"


def test_a_missing_translation_is_shown() -> None:
    english = "Run `a` or `b`.\n\n```sh\na\n    b\n```\n\n- One\n- Two\n"
    other = "Rode `a`.\n\n```sh\na\n    c\n```\n\n- Um\n\nE rode `c`.\n"
    said = untranslated(english, other)
    assert said.startswith("TRANSLATE\n\nRun `a` or `b`.\n\n```sh\na\n    b\n```\n\nINSTEAD OF\n\nRode `a`.\n\n")
    assert said.endswith("TRANSLATE\n\n- Two\n\nINSTEAD OF\n\nE rode `c`.")


def test_translators_may_change_words_comments_and_word_order() -> None:
    english = "Run `a`, then `b c`:\n\n```sh\nx --y     # now\n```\n\n```\n├── data/    your data\n```\n"
    other = "Depois de `b\nc`, rode `a`:\n\n```sh\nx --y  # já\n```\n\n```\n├── data/    seus dados\n```\n"
    assert not untranslated(english, other)


@pytest.mark.parametrize("language", OTHERS)
def test_every_question_is_asked_in_each_language(language: str) -> None:
    settings = yaml.safe_load((TEMPLATE / f"{language}.yaml").read_text(encoding="utf-8"))["default_context"]
    prompts = settings.pop("__prompts__")
    assert settings == {"_language": language}
    assert list(prompts) == [name for name in CONTEXT if name in QUESTIONS]
    assert f": {', '.join(SERVICES)} (" in prompts["services"], f"{language}.yaml: services"
    for name, prompt in CONTEXT["__prompts__"].items():
        assert choices(prompts[name]) == choices(prompt), name


def choices(prompt: Any) -> list[str]:
    """Return the answers that a prompt describes."""
    return list(prompt) if isinstance(prompt, dict) else []


@pytest.mark.parametrize("language", OTHERS)
def test_a_language_applies_from_the_first_question_to_the_replay(
    cookiecutter: Callable[..., Generated], monkeypatch: pytest.MonkeyPatch, language: str
) -> None:
    monkeypatch.delitem(conftest.ANSWERS, "_language")
    settings = TEMPLATE / f"{language}.yaml"
    wide = {"COLUMNS": "500"}
    generated = cookiecutter("--config-file", str(settings), typed="\n" * len(QUESTIONS), environment=wide)
    assert generated.exit_code == 0, generated.stderr
    for prompt in yaml.safe_load(settings.read_text(encoding="utf-8"))["default_context"]["__prompts__"].values():
        assert (prompt["__prompt__"] if isinstance(prompt, dict) else prompt) in generated.stdout
    chosen = ANSWERS | {"project_slug": generated.project.name, "_language": language}
    assert generated.read("README.md") == Renderer()("README.md", **chosen)
    [replay] = (generated.project.parents[1] / "home" / ".cookiecutter_replay").iterdir()
    assert json.loads(replay.read_text(encoding="utf-8"))["cookiecutter"]["_language"] == language


@pytest.mark.parametrize("language", ["xx", "", "../README"])
def test_an_unknown_language_is_refused_with_the_known_ones(bake: Callable[..., Generated], language: str) -> None:
    refused = bake(_language=language)
    assert refused.exit_code == -1
    assert (
        f"_language: {language!r} is not a language of the README; choose from {', '.join(LANGUAGES)}\n"
        in refused.stderr
    )
