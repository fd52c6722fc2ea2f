"""Every project that the questions can give, as far as its text goes: rendering alone takes milliseconds."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml
from offers import needs
from rendering import CHOICES, Renderer, answers

from ds_docker_env.generation.checks import LANGUAGES
from ds_docker_env.generation.services import SERVICES

SERVERS = {"dask": ["dask-scheduler", "dask-worker"]}


@pytest.fixture(scope="module")
def render() -> Renderer:
    return Renderer()


def empty(node: Any, path: str = "") -> list[str]:
    if isinstance(node, dict):
        return [found for key, value in node.items() for found in empty(value, f"{path}/{key}")]
    if isinstance(node, list):
        return [path] if not node else [found for value in node for found in empty(value, path)]
    return [path] if node in (None, "") else []


def secrets(service: dict[str, Any]) -> list[str]:
    build = service.get("build", "")
    return [*service.get("secrets", []), *([] if isinstance(build, str) else build["secrets"])]


def test_every_choice_of_services_gives_a_compose_file_without_an_empty_key(render: Renderer) -> None:
    assert len(CHOICES) == 2 ** len(SERVICES)
    for asked in answers():
        compose = yaml.safe_load(render("docker-compose.yml", **asked))
        # A named volume has nothing more to say.
        assert all(found.startswith("/volumes/") for found in empty(compose)), asked
        chosen = asked["services"].split(",") if asked["services"] else []
        servers = [name for service in chosen for name in SERVERS.get(service, [service])]
        checked = ["passwords"] if {"mysql", "postgres"} & {*servers} else []
        assert list(compose["services"]) == ["jupyter", *checked, *servers]
        assert all(service.items() >= compose["x-limits"].items() for service in compose["services"].values())
        waited_for = compose["services"]["jupyter"].get("depends_on", {})
        assert waited_for == {name: {"condition": "service_healthy"} for name in servers}
        assert all("healthcheck" in compose["services"][name] for name in ("jupyter", *servers))
        assert {name for service in compose["services"].values() for name in secrets(service)} == set(
            compose["secrets"]
        )
        mounted = [volume for service in compose["services"].values() for volume in service["volumes"]]
        volumes = {volume.split(":")[0] for volume in mounted if isinstance(volume, str)}
        assert volumes == {".", *compose["volumes"]}


def test_a_compose_file_is_read_in_a_minute(render: Renderer) -> None:
    default = render("docker-compose.yml")
    assert len(default.splitlines()) <= 45
    assert not {"x-analysis", "depends_on"} & set(re.findall(r"[\w-]+", default))
    assert max(len(render("docker-compose.yml", **asked).splitlines()) for asked in answers()) <= 190


def test_no_container_runs_a_program_that_is_written_in_the_compose_file(render: Renderer) -> None:
    services = yaml.safe_load(render("docker-compose.yml", services=CHOICES[-1]))["services"].values()
    assert not any("entrypoint" in service for service in services)
    assert all("\n" not in service.get("command", "") for service in services)


@needs("mysql", "postgres")
def test_a_small_machine_and_a_clone_are_told_their_first_steps(render: Renderer) -> None:
    readme = render("README.md", services="mysql,postgres")
    assert "`CPUS=1` on a machine with one processor." in " ".join(readme.split())
    assert "\nUse only letters and digits in the passwords of the databases.\n" in readme


def test_whatever_is_published_is_published_on_this_machine_only(render: Renderer) -> None:
    compose = yaml.safe_load(render("docker-compose.yml", services=CHOICES[-1]))
    ports = {name: service["ports"] for name, service in compose["services"].items() if "ports" in service}
    assert set(ports) == {"jupyter", "sqlite", "dask-scheduler"} & set(compose["services"])
    assert all(port.startswith("127.0.0.1:") for published in ports.values() for port in published)


def test_every_rendered_file_looks_hand_written_whatever_is_chosen(render: Renderer) -> None:
    others = [("README.md", language) for language in LANGUAGES[1:]]
    names = ("README.md", "docker-compose.yml", ".gitignore", ".dockerignore")
    for name, language in [*((name, "en") for name in names), *others]:
        for text in {render(name, _language=language, **asked) for asked in answers()}:
            assert text[0] != "\n", name
            assert "\n\n\n" not in text, name
            assert text.endswith("\n"), name
            assert not text.endswith("\n\n"), name
            assert not any(line != line.rstrip() for line in text.splitlines()), name
            if name == "README.md":
                words = re.sub(r"^```.*?^```$|^\|.*$", "", text, flags=re.MULTILINE | re.DOTALL)
                words = re.sub(r"\]\(.*?\)|^https://\S+", "]", words, flags=re.MULTILINE)
                assert max(map(len, words.splitlines())) <= 120, max(words.splitlines(), key=len)


def test_only_a_stage_begins_with_from_as_programs_that_read_line_by_line_think(render: Renderer) -> None:
    """Dev Containers, Dependabot and Renovate take ``from rich.table import Table`` in a script for an image."""
    text = render("Dockerfile", services="h2o,dask", dvc_s3_url="s3://bucket/churn", production_requirements="/api.txt")
    base, *others = re.findall(r"^[ \t]*from .*", text, re.IGNORECASE | re.MULTILINE)
    assert re.fullmatch(r"FROM \S+@sha256:0{64} AS base", base)
    assert others == ["FROM base AS files", "FROM base"]
