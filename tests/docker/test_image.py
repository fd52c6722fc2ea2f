"""The content of the image, and the layers that a change rebuilds."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from uuid import uuid4

import pytest

from docker.conftest import copied
from docker.project import NOTEBOOK, Project, sh

pytestmark = pytest.mark.docker

# A compiled file with its source's timestamp makes builds differ, and is stale once timestamps are rewritten.
COMPILED = """\
import importlib.util
import sysconfig
from pathlib import Path

for source in Path(sysconfig.get_path("purelib")).rglob("*.py"):
    if not {"test", "tests"} & set(source.parts):
        compiled = Path(importlib.util.cache_from_source(str(source)))
        content = compiled.read_bytes() if compiled.exists() else b""
        unchecked = importlib.util.MAGIC_NUMBER + bytes([1, 0, 0, 0])
        if not content.startswith(unchecked + importlib.util.source_hash(source.read_bytes())):
            print(source)
"""
TRANSFER = re.compile(r"transferring context: ([\d.]+)(B|kB|MB|GB)")
BYTES = {"B": 1, "kB": 1_000, "MB": 1_000_000, "GB": 1_000_000_000}


@pytest.fixture(scope="module")
def rebuild(built: Project, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[dict[str, bytes]], Build]]:
    """Build a copy with these files added or changed, after the session's build filled the cache."""
    tag = f"{built.image}-again"

    def _rebuild(files: dict[str, bytes]) -> Build:
        folder = copied(built, tmp_path_factory.mktemp("rebuild")).folder
        for name, content in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)
        with (folder / "src" / "data" / "customers.csv").open("wb") as data:
            data.truncate(2_000_000_000)
        return Build(tag, sh("docker", "build", "--progress", "plain", "--tag", tag, str(folder)).stderr)

    yield _rebuild
    sh("docker", "image", "rm", "--force", tag, check=False)


class Build:
    """An image and the log of its build."""

    def __init__(self, tag: str, log: str) -> None:
        self.tag = tag
        self.log = log

    @property
    def steps_of_the_image(self) -> list[str]:
        """The steps of the last stage that did not come from the cache."""
        cached = set(re.findall(r"^#(\d+) CACHED$", self.log, re.MULTILINE))
        steps = dict(re.findall(r"^#(\d+) \[stage-\d+ +\d+/\d+\] (.*)$", self.log, re.MULTILINE))
        return [step for number, step in steps.items() if number not in cached]

    @property
    def sent(self) -> int:
        """The largest number of bytes sent to the engine at once."""
        return max(int(float(amount) * BYTES[unit]) for amount, unit in TRANSFER.findall(self.log))

    def said(self, *command: str) -> str:
        return sh("docker", "run", "--rm", self.tag, *command).stdout


def test_data_and_secrets_stay_out_of_the_image_and_the_build_context(
    built: Project, rebuild: Callable[[dict[str, bytes]], Build]
) -> None:
    private = {
        "src/.env": b"TOKEN=do-not-ship\n",
        "src/deep/er/.env": b"TOKEN=do-not-ship\n",
        "src/deep/er/server.key": b"do-not-ship\n",
        "src/deep/er/server.pem": b"do-not-ship\n",
        ".env": b"TOKEN=do-not-ship\n",
    }
    build = rebuild({**private, "src/deep/er/helper.py": b""})
    assert build.sent < 2_000_000
    files = build.said("find", "/project", "-type", "f").split()
    assert sorted(files) == ["/project/src/analysis.ipynb", "/project/src/deep/er/helper.py"]


def test_editing_the_notebook_rebuilds_only_the_last_layer(
    built: Project, rebuild: Callable[[dict[str, bytes]], Build]
) -> None:
    rebuild({})
    # While another worker builds without the cache, the engine shares equal steps of that build instead of using
    # its cache.
    for _ in range(40):
        edited = (built.folder / NOTEBOOK).read_bytes().replace(b"%pip freeze", f"# {uuid4()}".encode())
        steps = rebuild({NOTEBOOK.as_posix(): edited}).steps_of_the_image
        if steps == ["COPY --from=files --chown=1000 /files ."]:
            return
        time.sleep(10)
    pytest.fail(f"built again: {steps}")


def test_uv_toml_applies_to_the_analysis_but_not_to_the_tools(
    rebuild: Callable[[dict[str, bytes]], Build],
) -> None:
    with pytest.raises(AssertionError, match=r"(?s)Required uv version `>=9999`.*process .* /build packages"):
        rebuild({"uv.toml": b'required-version = ">=9999"\n'})


@pytest.mark.parametrize("environment", ["/opt/analysis", "/opt/tools"])
def test_the_requirements_of_every_package_are_installed(built: Project, environment: str) -> None:
    checked = sh("docker", "run", "--rm", built.image, "uv", "pip", "check", "--python", environment)
    assert "All installed packages are compatible" in checked.stdout + checked.stderr


def test_jupyterlab_is_current_and_separate_from_the_analysis(built: Project) -> None:
    def installed(environment: str) -> set[str]:
        listed = sh("docker", "run", "--rm", built.image, "uv", "pip", "freeze", "--python", environment).stdout
        return {line.split("==")[0] for line in listed.splitlines()}

    assert "jupyterlab" in installed("/opt/tools")
    assert not {"jupyterlab", "jupyter-server", "notebook", "uv", "pip"} & installed("/opt/analysis")
    assert "jupyterlab==4." in (built.folder / "tools.txt").read_text(encoding="utf-8")


def test_the_image_names_its_template_and_contains_only_its_commands(built: Project) -> None:
    labels = json.loads(sh("docker", "image", "inspect", "--format", "{{json .Config.Labels}}", built.image).stdout)
    version = labels["org.opencontainers.image.version"]
    assert re.fullmatch(r"[0-9a-f]{40}(-dirty)?", labels["org.opencontainers.image.revision"])
    assert (built.folder / f"ds_docker_env-{version}-py3-none-any.whl").exists()
    installed = sh("docker", "run", "--rm", built.image, "uv", "pip", "show", "--python", "/opt/tools", "ds-docker-env")
    assert f"Version: {version}\n" in installed.stdout


def test_a_wheel_with_another_digest_stops_the_build(
    built: Project, rebuild: Callable[[dict[str, bytes]], Build]
) -> None:
    [wheel] = built.folder.glob("*.whl")
    with pytest.raises(AssertionError, match=r"\.whl: FAILED"):
        rebuild({wheel.name: wheel.read_bytes() + b"more"})


def test_the_image_runs_without_root(built: Project) -> None:
    assert sh("docker", "run", "--rm", built.image, "id", "--user").stdout.strip() == "1000"


def test_root_becomes_the_user_in_a_read_only_project(built: Project) -> None:
    """As on ECS."""
    run = ("docker", "run", "--rm", "--user", "root", "--read-only", "--tmpfs", "/home", built.image)
    assert sh(*run, "sh", "-c", "id -u; touch ~/mine").stdout.split() == ["1000"]


def test_the_lock_and_the_image_agree(built: Project) -> None:
    locked = set(re.findall(r"^([a-z0-9][^\s;]*==[^\s;]+)", built.read("requirements.txt"), re.MULTILINE))
    asked = ("uv", "pip", "freeze", "--python", "/opt/analysis")
    frozen = set(sh("docker", "run", "--rm", built.image, *asked).stdout.split())
    assert frozen == {re.sub(r"\[.*\]", "", pin) for pin in locked} - {"colorama==0.4.6"}


@pytest.mark.parametrize("environment", ["/opt/analysis", "/opt/tools"])
def test_every_module_has_bytecode_by_source_hash_without_timestamps(built: Project, environment: str) -> None:
    asked = (f"{environment}/bin/python", "-c", COMPILED)
    assert sh("docker", "run", "--rm", built.image, *asked).stdout == ""


@pytest.mark.parametrize(
    ("environment", "modules"),
    [("/opt/analysis", "pandas, ipykernel.kernelapp"), ("/opt/tools", "jupyterlab.labapp, nbconvert, pip_audit")],
)
def test_starting_jupyterlab_compiles_nothing(built: Project, environment: str, modules: str) -> None:
    asked = (f"{environment}/bin/python", "-v", "-c", f"import {modules}")
    said = sh("docker", "run", "--rm", built.image, *asked).stderr
    loaded = re.findall(r"^# code object from '?(.*?)'?$", said, re.MULTILINE)
    assert len(loaded) > 300
    assert [file for file in loaded if not file.endswith(".pyc")] == []
