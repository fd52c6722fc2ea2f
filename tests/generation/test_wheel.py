from __future__ import annotations

import csv
import hashlib
import io
import json
import re
import shutil
import subprocess
import sys
import venv
import zipfile
import zlib
from base64 import urlsafe_b64encode
from pathlib import Path
from typing import Any

import pytest
from conftest import ANSWERS, committed, git, write_files
from offers import CONTEXT, DEBIAN, PYTHON, needs

from ds_docker_env.common.analysis import package_name
from ds_docker_env.common.services import SERVICES
from ds_docker_env.common.shipped import LOCKS, lock_name, shipped_analysis, shipped_files
from ds_docker_env.common.target import PYTHON_VERSIONS
from ds_docker_env.generation import release
from ds_docker_env.generation.answers import Answers
from ds_docker_env.generation.release import VERSION
from ds_docker_env.generation.wheel import Wheel, pack
from ds_docker_env.image.build.sources import sections

EVERYTHING = {
    "services": ",".join(SERVICES),
    "dvc_s3_url": "s3://bucket/churn",
    "__production_requirements": "/api/requirements.txt",
}
COMMANDS = {
    *("add", "add-users", "as-owner", "audit", "check", "install-lock", "lock", "password", "pip", "pip3"),
    *("remove", "report", "sbom", "responds", "start", "take-over", "uv"),
}


def packed(**answers: str) -> Wheel:
    return pack(Answers.of({**ANSWERS, "__production_requirements": "", **answers}))


def members(wheel: Wheel) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(wheel.content)) as opened:
        return {name: opened.read(name) for name in opened.namelist()}


def commands(wheel: Wheel) -> set[str]:
    return {name.rpartition("/")[2] for name in members(wheel) if "/commands/" in name}


def test_the_same_commit_and_answers_give_the_same_bytes() -> None:
    wheel = packed(**EVERYTHING)
    assert wheel == packed(**EVERYTHING)
    with zipfile.ZipFile(io.BytesIO(wheel.content)) as opened:
        assert {member.date_time for member in opened.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert opened.namelist() == sorted(opened.namelist())


def test_it_has_only_the_commands_of_the_chosen_options() -> None:
    pips = {f"pip{python}" for python in PYTHON_VERSIONS}
    assert commands(packed()) - pips == COMMANDS
    chosen = {"prepare-passwords", "dask-scheduler", "dask-worker", "dvc", "h2o", "profile"}
    assert commands(packed(**EVERYTHING)) - pips == COMMANDS | chosen
    assert commands(packed()) >= pips


@needs("dask", "sqlite")
def test_it_has_the_settings_of_dask_and_the_chosen_pages_in_jupyterlab() -> None:
    def files(services: str) -> set[str]:
        found = members(packed(services=services))
        return {name.rpartition("/")[2] for name in found if "/etc/dask/" in name or "/icons/" in name}

    assert files("") == set()
    assert files("sqlite") == {"datasette.svg"}
    assert files("dask") == {"dask.svg", "dashboard.py", "tls.yaml"}


def test_it_is_small_enough_for_the_git_of_every_project() -> None:
    # git compresses its objects.
    assert len(zlib.compress(packed(**EVERYTHING).content)) < 700_000


def test_its_record_has_the_digest_of_every_file() -> None:
    files = members(packed(**EVERYTHING))
    sizes = {name: len(content) for name, content in files.items()}
    [record] = [name for name in files if name.endswith("/RECORD")]
    for name, digest, size in csv.reader(files[record].decode().splitlines()):
        if name != record:
            expected = urlsafe_b64encode(hashlib.sha256(files.pop(name)).digest()).rstrip(b"=").decode()
            assert (digest, int(size)) == (f"sha256={expected}", sizes[name])
    assert list(files) == [record]


def test_it_installs_executable_commands_only_with_its_hash(tmp_path: Path) -> None:
    wheel = packed(**EVERYTHING)
    (tmp_path / wheel.name).write_bytes(wheel.content)
    venv.create(tmp_path / "venv", with_pip=False)
    requirement = f"ds-docker-env @ {(tmp_path / wheel.name).as_uri()}#sha256={wheel.sha256}"
    uv = [shutil.which("uv") or "uv", "pip", "install", "--python", str(tmp_path / "venv"), "--offline", "--no-deps"]
    subprocess.run([*uv, "--require-hashes", requirement], check=True, capture_output=True)
    owner = next((tmp_path / "venv").rglob("commands/as-owner"))
    assert sys.platform == "win32" or owner.stat().st_mode & 0o111
    other = re.sub("sha256=.*", f"sha256={'0' * 64}", requirement)
    refused = subprocess.run(
        [*uv, "--reinstall", "--require-hashes", other], capture_output=True, text=True, check=False
    )
    assert refused.returncode and "Hash mismatch" in refused.stderr


def test_it_carries_the_version_and_the_commit_of_the_template() -> None:
    wheel = packed()
    files = members(wheel)
    assert wheel.name == f"ds_docker_env-{VERSION}-py3-none-any.whl"
    known = json.loads(files["ds_docker_env/image/template.json"])
    assert (known["version"], known["commit"]) == (VERSION, wheel.commit)
    assert not known["production"]
    metadata = files[f"ds_docker_env-{VERSION}.dist-info/METADATA"].decode()
    assert f"Project-URL: Source, {CONTEXT['_template_url']}/tree/{wheel.commit}\n" in metadata


def test_it_knows_the_packages_that_the_template_ships_and_the_clients_of_services() -> None:
    known = json.loads(members(packed(**EVERYTHING))["ds_docker_env/image/template.json"])
    assert "jupyter" not in known["names"]
    assert {package_name(line) for line in shipped_analysis(PYTHON, SERVICES).requirements} <= set(known["names"])
    assert set(known["clients"].values()) == {*SERVICES} - {"sqlite"}


def test_it_carries_the_build_requirements_of_sources_among_the_chosen_tools() -> None:
    name = "ds_docker_env/image/build-requirements.txt"
    assert members(packed())[name] == b""
    known = sections(members(packed(dvc_s3_url="s3://bucket/churn"))[name].decode())
    tools = shipped_files(PYTHON, DEBIAN, ["dvc"])["tools.txt"]
    assert all(f"\n{source} " in tools for source in known)
    every = LOCKS / f"build-{lock_name('tools', DEBIAN, options=True)}"
    assert known.items() <= (sections(every.read_text()).items() if every.exists() else set())


def test_the_commit_is_that_of_the_clone_of_an_archive_or_unknown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def found(**patched: Any) -> str:
        with monkeypatch.context() as patch:
            for name, value in patched.items():
                patch.setattr(release, name, value)
            return release.commit()

    assert re.fullmatch(r"[0-9a-f]{40}(-dirty)?|unknown", found())
    assert found(_ARCHIVED="1" * 40) == "1" * 40
    assert found(_ROOT=tmp_path) == "unknown"


@pytest.mark.skipif(sys.platform == "win32", reason="a monitor that is a script")
def test_programs_in_the_settings_of_a_repository_around_the_template_are_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_files(tmp_path, {"monitor": f"#!/bin/sh\ntouch {tmp_path}/ran\n", "template/other.txt": "\n"})
    (tmp_path / "monitor").chmod(0o755)
    committed(tmp_path)
    git("config", "core.fsmonitor", str(tmp_path / "monitor"), folder=tmp_path)
    monkeypatch.setattr(release, "_ROOT", tmp_path / "template")
    assert release.commit() == "unknown"
    assert not (tmp_path / "ran").exists()
    git("ls-files", folder=tmp_path)
    assert (tmp_path / "ran").exists()
