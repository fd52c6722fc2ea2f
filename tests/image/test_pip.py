"""pip and uv in the container install only through the lock."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from offers import TEMPLATE

COMMANDS = TEMPLATE / "ds_docker_env" / "image" / "files" / "commands"
TYPED = {
    "pip install polars": "add polars",
    "pip3 install -U polars seaborn>=0.13": "add -U polars seaborn>=0.13",
    "pip3.13 -q install -r more.txt": "add -r more.txt -q",
    "pip uninstall -y polars": "remove -y polars",
    "uv pip install polars": "add polars",
    "uv pip uninstall polars": "remove polars",
    "uv add polars": "add polars",
    "uv remove polars": "remove polars",
    "pip list --outdated": "uv pip list --outdated of analysis",
    "pip show polars": "uv pip show polars of analysis",
    "uv pip freeze": "uv pip freeze of analysis",
    "uv pip check": "uv pip check of analysis",
    "uv pip tree": "uv pip tree of analysis",
    "pip --version": "uv pip --version of",
    "pip download polars": "uv pip download polars of",
    # As the image is built, and as the commands of the image call uv.
    "uv venv --python /usr/local/bin/python /opt/analysis": "uv venv --python /usr/local/bin/python /opt/analysis of",
    "uv --directory /locks pip install --no-deps x": "uv --directory /locks pip install --no-deps x of",
    "uv pip install --python /opt/analysis --prefix here x": "uv pip install --python /opt/analysis --prefix here x of",
    "uv pip compile requirements.in": "uv pip compile requirements.in of",
    "uv pip list --python /opt/tools": "uv pip list --python /opt/tools of",
    "uv": "uv of",
    "uv --version": "uv --version of",
}

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="it runs in the image, on Linux")


def copied(name: str, folder: Path, under: str = "") -> Path:
    """Return a copy of a command that looks for the image's directories in a folder."""
    command = folder / "commands" / (under or name)
    command.parent.mkdir(exist_ok=True)
    text = (COMMANDS / name).read_text(encoding="utf-8")
    for where in ("/opt/", "/project", "/run/", "/dev/"):
        text = text.replace(where, f"{folder}/" if where.endswith("/") else str(folder))
    command.write_text(text, encoding="utf-8")
    return command


def run(command: Path, *arguments: str) -> str:
    folder = command.parents[1]
    environment = {"PATH": f"{folder / 'tools' / 'bin'}:{os.environ['PATH']}"}
    typed = ["sh", str(command), *arguments]
    done = subprocess.run(typed, env=environment, capture_output=True, text=True, check=True)
    return done.stdout.strip().replace(f"{folder}/", "")


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """Return a folder with programs that print their arguments."""
    programs = tmp_path / "tools" / "bin"
    programs.mkdir(parents=True)
    for name, said in {"add": "", "remove": "", "uv": ' of "$VIRTUAL_ENV"', "java": "", "python": ""}.items():
        (programs / name).write_text(f'#!/bin/sh\necho {name} "$@"{said}\n', encoding="utf-8")
        (programs / name).chmod(0o755)
    return tmp_path


@pytest.mark.parametrize(("typed", "started"), TYPED.items(), ids=TYPED)
def test_the_wrapper_starts_the_right_program(typed: str, started: str, image: Path) -> None:
    name, *arguments = typed.split()
    assert run(copied("pip", image, under=name), *arguments) == started


def test_lists_show_the_packages_of_the_notebook(image: Path) -> None:
    command = copied("pip", image)
    (image / "tools" / "overlay").mkdir()
    (image / "tools" / "overlay" / "lib").symlink_to(image / "analysis" / "packages" / "current" / "lib")
    assert run(command, "list") == "uv pip list of analysis"
    (image / "analysis" / "packages" / "current" / "lib").mkdir(parents=True)
    assert run(command, "list") == "uv pip list of tools/overlay"


def test_h2o_starts_with_the_jar_of_the_notebooks_client(image: Path) -> None:
    for name in ("src", "shm", "secrets"):
        (image / name).mkdir()
    (image / "secrets" / "h2o_password").write_text("sesame\n", encoding="utf-8")
    (image / "tools" / "bin" / "python").write_text("#!/bin/sh\necho java\n", encoding="utf-8")
    jars = ["analysis", "analysis/packages/current"]
    for environment in jars:
        jar = image / environment / "lib" / "python3.13" / "site-packages" / "h2o" / "backend" / "bin" / "h2o.jar"
        jar.parent.mkdir(parents=True)
        jar.touch()
        started = run(copied("h2o", image), "-Xmx2g")
        assert started.startswith(
            f"java -Dsys.ai.h2o.debug.allowJavaVersions=21 -Xmx2g -jar {jar.relative_to(image)} -web_ip 0.0.0.0 "
            "-ip 127.0.0.1 -flatfile shm/h2o.nodes -hash_login -login_conf shm/h2o.realm "
        )
    assert "sesame" not in started
    realm, curl = ((image / "shm" / name) for name in ("h2o.realm", "h2o.curl"))
    assert realm.read_text() == "analysis: MD5:c8dae1c50e092f3d877192fc555b1dcf\n"
    assert curl.read_text() == 'user = "analysis:sesame"\n'
    assert {stat.S_IMODE(path.stat().st_mode) for path in (realm, curl)} == {0o600}
