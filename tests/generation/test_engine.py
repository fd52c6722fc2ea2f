from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import Generated, write_files

from ds_docker_env.generation import engine

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="other systems have it in a machine")


def server(version: str, *parts: str, product: str = "") -> dict[str, Any]:
    """Return the output of `docker version` for an engine."""
    components = [{"Name": name, "Version": "1"} for name in ("Engine", "containerd", *parts)]
    return {"Platform": {"Name": product}, "Components": components, "Version": version}


ANSWERS = {
    "Debian's": (json.dumps(server("26.1.5+dfsg1")), "26.1.5+dfsg1"),
    "the last open one": (json.dumps(server("27.5.1", product="Docker Engine - Community")), "27.5.1"),
    "the first closed one": (json.dumps(server("28.0.0")), ""),
    "Docker Desktop": (json.dumps(server("26.1.4", product="Docker Desktop 4.30.0 (149282)")), ""),
    "one without root": (json.dumps(server("26.1.5", "rootlesskit")), ""),
    "Podman": (json.dumps({**server("5.4.2"), "Components": [{"Name": "Podman Engine"}]}), ""),
    "one that is built by hand": (json.dumps(server("dev")), ""),
    "one that is stopped": ("null", ""),
    "one of another form": ("[]", ""),
    "none": ("docker: command not found", ""),
}


@pytest.fixture
def docker(tmp_path: Path) -> Callable[[str], dict[str, str]]:
    """Make a docker with this output, and return a PATH that has only this command."""

    def _docker(answer: str) -> dict[str, str]:
        write_files(tmp_path / "bin", {"docker": "#!/bin/sh\n/bin/cat ${0%/*}/answer\n", "answer": answer})
        (tmp_path / "bin" / "docker").chmod(0o755)
        return {"PATH": str(tmp_path / "bin")}

    return _docker


@pytest.mark.parametrize(("answer", "version"), ANSWERS.values(), ids=ANSWERS)
def test_an_engine_that_opens_ports_to_the_local_network_is_named(
    docker: Callable[[str], dict[str, str]], monkeypatch: pytest.MonkeyPatch, answer: str, version: str
) -> None:
    monkeypatch.setenv("PATH", docker(answer)["PATH"])
    first = [line for line in engine.open_ports() if line.startswith("Docker:")]
    assert [line.split()[1] for line in first] == ([version] if version else [])


def test_the_summary_names_the_engine_before_the_password(
    cookiecutter: Callable[..., Generated], docker: Callable[[str], dict[str, str]]
) -> None:
    answer, _ = ANSWERS["Debian's"]
    path = docker(answer)["PATH"] + os.pathsep + os.environ["PATH"]
    said = cookiecutter(environment={"PATH": path}).stdout
    assert "Docker:     26.1.5+dfsg1 opens ports on 127.0.0.1 to the local network" in said
    assert said.index("update to 28.0 or newer\n") < said.index("Password: ")
