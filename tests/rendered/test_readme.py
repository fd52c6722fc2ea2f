"""A project's README fits on a page, and its links lead to pages that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from conftest import CONTEXT
from offers import TEMPLATE, needs
from pages import page
from rendering import CHOICES, Renderer, answers

from ds_docker_env.generation.checks import LANGUAGES

RICHEST = {
    **{"question": "Why?", "data": "Orders", "ticket_url": "https://example.com/1", "services": CHOICES[-1]},
    **{"production_requirements": "/api/requirements.txt", "dvc_s3_url": "s3://bucket/churn", "ci": "github"},
    "_package_index": "https://packages.example.com/simple/",
}
ALL = ("redis", "sqlite", "mysql", "postgres", "h2o", "dask")
SETTING = re.compile(r"\b([A-Z][A-Z0-9_]+)=")
LANGUAGE_LINKS = {"README.pt.md"}
BLOCK = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)


def links(markdown: str) -> list[str]:
    return re.findall(r"\]\(([^)\s]+)\)", BLOCK.sub("", markdown))


def anchors(page: Path) -> set[str]:
    """Return GitHub's anchors of a page's headings."""
    headings = re.findall(r"^#+ (.+)$", BLOCK.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def dead(target: str, start: Path) -> bool:
    """Return whether a link from a file of this repository is broken."""
    name, _, anchor = target.partition("#")
    page = (start.parent / name).resolve() if name else start
    return not page.exists() or bool(anchor and anchor not in anchors(page))


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("answers, most", [({}, 85), (RICHEST, 190)], ids=["default", "richest"])
def test_the_readme_is_short(language: str, answers: dict[str, str], most: int) -> None:
    lines = len(Renderer()("README.md", _language=language, **answers).splitlines())
    assert lines <= most, f"README.md has {lines} lines"


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_link_of_the_readme_points_to_a_page_of_the_template(language: str) -> None:
    render, start = Renderer(), f"{CONTEXT['_template_url']}/blob/main/"
    asked = [*answers(), RICHEST]
    found = {link for one in asked for link in links(render("README.md", _language=language, **one))}
    pages = {link.removeprefix(start) for link in found if link.startswith(start)}
    assert len(pages) >= 8
    assert [name for name in pages if dead(name, TEMPLATE / "README.md")] == []


@pytest.mark.parametrize("path", [*TEMPLATE.glob("*.md"), *TEMPLATE.glob("docs/**/*.md")], ids=lambda path: path.name)
def test_each_link_between_the_templates_pages_resolves(path: Path) -> None:
    # A fork that deletes a language may still link to it in README.md.
    found = [link for link in links(path.read_text(encoding="utf-8")) if link not in LANGUAGE_LINKS]
    assert [link for link in found if "://" not in link and dead(link, path)] == []


def test_a_fork_sets_the_pages_address_in_one_place() -> None:
    readme = Renderer()("README.md", _template_url="https://git.example.com/team/analysis", **RICHEST)
    assert CONTEXT["_template_url"] not in readme
    assert "](https://git.example.com/team/analysis/blob/main/docs/how-to/" in readme


@needs(*ALL)
def test_each_setting_in_the_readme_and_the_pages_is_read_by_compose() -> None:
    render = Renderer()
    compose = render("docker-compose.yml", **RICHEST)
    read = {*re.findall(r"\$\{([A-Z0-9_]+)", compose), *re.findall(r"^ +- ([A-Z_]+)$", compose, re.MULTILINE)}
    pages = [page(name) for name in ("connect-services.md", "data-with-dvc.md", "limits.md")]
    named = {name for text in (render("README.md", **RICHEST), *pages) for name in SETTING.findall(text)}
    assert {"PORT", "MEMORY", "H2O_MEMORY", "AWS_PROFILE"} <= named
    assert named - read == set()
