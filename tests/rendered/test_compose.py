"""The text of every Compose file that the questions can produce: rendering takes milliseconds."""

from __future__ import annotations

from typing import Any

import yaml
from rendering import CHOICES, Renderer, answers

from ds_docker_env.common.services import SERVICES

# The parser in C is faster: without it, 256 files take 3 s.
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
SERVERS = {"dask": ["dask-scheduler", "dask-worker"]}


def empty(node: Any, path: str = "") -> list[str]:
    if isinstance(node, dict):
        return [found for key, value in node.items() for found in empty(value, f"{path}/{key}")]
    if isinstance(node, list):
        return [path] if not node else [found for value in node for found in empty(value, path)]
    return [path] if node in (None, "") else []


def secrets(service: dict[str, Any]) -> list[str]:
    build = service.get("build", "")
    named = [each["source"] if isinstance(each, dict) else each for each in service.get("secrets", [])]
    return [*named, *([] if isinstance(build, str) else build.get("secrets", []))]


def test_every_choice_of_services_gives_a_compose_file_without_an_empty_key() -> None:
    render = Renderer()
    assert len(CHOICES) == 2 ** len(SERVICES)
    for asked in answers():
        compose = yaml.load(render("docker-compose.yml", **asked), LOADER)
        # Named volumes have empty settings, and the writer an empty list of profiles.
        said = [found for found in empty(compose) if not found.startswith("/volumes/")]
        assert said == ["/services/writer/profiles"], asked
        # JupyterLab starts Datasette.
        chosen = [name for name in asked["services"].split(",") if name not in ("", "sqlite")]
        servers = [name for service in chosen for name in SERVERS.get(service, [service])]
        checked = ["passwords"] if {*chosen} - {"redis"} else []
        assert list(compose["services"]) == ["jupyter", *checked, *servers, "setup", "writer"]
        limits = compose["x-limits"] | {"restart": "no"}
        assert compose["services"].pop("setup").items() >= compose["x-limits"].items()
        for name, service in compose["services"].items():
            assert service.items() >= (limits if name == "passwords" else compose["x-limits"]).items()
        waited_for = compose["services"]["jupyter"]["depends_on"]
        # The worker waits for the scheduler.
        healthy = {name: {"condition": "service_healthy"} for name in servers if name != "dask-scheduler"}
        assert waited_for == ({"writer": {"condition": "service_started"}, **healthy} if servers else ["writer"])
        assert all("healthcheck" in compose["services"][name] for name in ("jupyter", *servers))
        assert {name for service in compose["services"].values() for name in secrets(service)} == set(
            compose["secrets"]
        )
        mounted = [volume for service in compose["services"].values() for volume in service["volumes"]]
        volumes = {volume.split(":")[0] for volume in mounted if isinstance(volume, str)}
        assert {volume for volume in volumes if volume[0] != "."} == {*compose["volumes"]}


def test_only_writer_and_setup_can_write_files_that_the_host_runs_and_the_notebook_sees_only_its_secrets() -> None:
    render = Renderer()
    for asked in answers():
        compose = yaml.load(render("docker-compose.yml", **asked), LOADER)
        for name, service in compose["services"].items():
            mounted = {volume.split(":")[0]: volume for volume in service["volumes"] if volume.startswith(".")}
            if name in ("writer", "setup"):
                assert mounted == {".": ".:/project"}
                continue
            writable = {host for host, volume in mounted.items() if not volume.endswith(":ro")}
            assert writable <= {"./src", "./.dvc", *(["./.secrets"] if name == "passwords" else [])}, name
            read = {"."} if name == "jupyter" else {"./requirements.txt"}
            assert mounted.keys() - writable <= read, name
        notebook = compose["services"]["jupyter"]
        assert ".:/project:ro" in notebook["volumes"] and "writer:/project/.secrets:ro" in notebook["volumes"]
        handed = [each["target"] for each in notebook["secrets"] if isinstance(each, dict)]
        assert set(handed) == {
            f"/opt/host/{name}" for name in ("netrc", "aws_credentials") if name in compose["secrets"]
        }


def test_each_container_is_confined_and_its_environment_is_free_of_passwords() -> None:
    compose = yaml.safe_load(Renderer()("docker-compose.yml", services=CHOICES[-1]))
    ports = {name: service["ports"] for name, service in compose["services"].items() if "ports" in service}
    assert ports == {"jupyter": ["127.0.0.1:${PORT:-8888}:${PORT:-8888}"]}
    for service in compose["services"].values():
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert not [key for key in service.get("environment", {}) if key.partition("=")[0].endswith("PASSWORD")]
