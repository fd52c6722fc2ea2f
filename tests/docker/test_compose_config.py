"""Every Compose file that the questions can produce, read by Compose and by a scanner."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from pages import page
from rendering import CHOICES, Renderer, answers

from docker.project import Done, blocks, sh

pytestmark = pytest.mark.docker

NAMED = {"COMPOSE_PROJECT_NAME": "churn"}
EXCEPTIONS = Path(__file__).with_name("compose-lint.yml")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Return a folder for each Compose file."""
    render = Renderer()
    texts = {render("docker-compose.yml", **asked) for asked in answers()}
    # SQLite runs in the notebook's container.
    servers = {frozenset(chosen.split(",")) - {"", "sqlite"} for chosen in CHOICES}
    assert len(texts) == 4 * len(servers)
    folders = [tmp_path_factory.mktemp("project") for _ in texts]
    for folder, text in zip(folders, texts, strict=True):
        (folder / "docker-compose.yml").write_text(text, encoding="utf-8")
    return folders


def test_compose_lint_reports_only_documented_exceptions(folders: list[Path]) -> None:
    options = ("--fail-on=low", "--skip-suppressed", "--strict-config", f"--config={EXCEPTIONS}", "--format=json")
    # Not a development tool, because it needs Python 3.11.
    compose_lint = ("uv", "tool", "run", "--quiet", "compose-lint@0.36.2")
    said = sh(*compose_lint, "check", *options, *(str(folder / "docker-compose.yml") for folder in folders))
    assert json.loads(said.stdout)["findings"] == []


def test_compose_accepts_the_override_of_each_page(engine: None, folders: list[Path], tmp_path: Path) -> None:
    made: dict[str, Any] = {}
    for name in ("networks.md", "extras.md"):
        [override] = blocks(page(name), "yaml")
        (tmp_path / "docker-compose.override.yml").write_text(override, encoding="utf-8")
        (tmp_path / "docker-compose.yml").write_text((folders[0] / "docker-compose.yml").read_text(encoding="utf-8"))
        proxy = {"https_proxy": "http://proxy.example.com:3128"}
        said = sh("docker", "compose", "config", "--format=json", folder=tmp_path, environment=NAMED | proxy)
        made[name] = json.loads(said.stdout)["services"]["jupyter"]
    networks, extras = made.values()
    assert networks["environment"]["https_proxy"] == networks["build"]["args"]["https_proxy"] == proxy["https_proxy"]
    [gpu] = extras["deploy"]["resources"]["reservations"]["devices"]
    assert gpu == {"driver": "nvidia", "count": -1, "capabilities": ["gpu"]}


def test_compose_accepts_every_choice_without_a_warning(engine: None, folders: list[Path]) -> None:
    def config(folder: Path) -> Done:
        return sh("docker", "compose", "--profile=*", "config", "--quiet", folder=folder, environment=NAMED)

    with ThreadPoolExecutor(2) as at_once:
        assert {(done.stdout, done.stderr) for done in at_once.map(config, folders)} == {("", "")}
