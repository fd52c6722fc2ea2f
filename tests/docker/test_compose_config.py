"""Every Compose file that the questions can give, read by Compose and by a scanner."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from rendering import CHOICES, Renderer, answers

from docker.project import Done, sh

pytestmark = pytest.mark.docker

EXCEPTIONS = Path(__file__).with_name("compose-lint.yml")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Return a folder for each Compose file."""
    render = Renderer()
    texts = {render("docker-compose.yml", **asked) for asked in answers()}
    assert len(texts) == 4 * len(CHOICES)
    folders = [tmp_path_factory.mktemp("project") for _ in texts]
    for folder, text in zip(folders, texts, strict=True):
        (folder / "docker-compose.yml").write_text(text, encoding="utf-8")
    return folders


def test_compose_lint_has_nothing_to_say_but_what_is_excepted_with_a_reason(folders: list[Path]) -> None:
    options = ("--fail-on=low", "--skip-suppressed", "--strict-config", f"--config={EXCEPTIONS}", "--format=json")
    # Not a development tool, because it needs Python 3.11.
    compose_lint = ("uv", "tool", "run", "--quiet", "compose-lint@0.36.2")
    said = sh(*compose_lint, "check", *options, *(str(folder / "docker-compose.yml") for folder in folders))
    assert json.loads(said.stdout)["findings"] == []


def test_compose_takes_every_choice_without_a_word(engine: None, folders: list[Path]) -> None:
    def config(folder: Path) -> Done:
        return sh("docker", "compose", "config", "--quiet", folder=folder)

    with ThreadPoolExecutor(2) as at_once:
        assert {(done.stdout, done.stderr) for done in at_once.map(config, folders)} == {("", "")}
