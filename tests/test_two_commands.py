from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import TEMPLATE

pytestmark = pytest.mark.network
LEFT_BEHIND = shutil.ignore_patterns(".git", ".venv*", "__pycache__", ".*_cache", "screenshots", "uv.lock")


def readme_commands(heading: str) -> list[str]:
    text = (TEMPLATE / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```sh\n(.*?)```", text.partition(heading)[2], re.DOTALL)
    return str(blocks[0]).splitlines()


def test_the_readmes_command_generates_from_a_fresh_clone_in_an_empty_home(tmp_path: Path) -> None:
    clone, home = tmp_path / "ds-docker-env", tmp_path / "home"
    shutil.copytree(TEMPLATE, clone, ignore=LEFT_BEHIND)
    home.mkdir()
    (clone / "requirements.txt").write_text("six==1.16.0\n")
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "venv")], check=True)
    scripts = tmp_path / "venv" / ("Scripts" if os.name == "nt" else "bin")
    system = [folder for folder in os.environ["PATH"].split(os.pathsep) if not shutil.which("uv", path=folder)]
    commands = readme_commands("# ds-docker-env")
    assert commands == ["pip install uv", "uvx cookiecutter ."]
    done = subprocess.run(
        f"{' && '.join(commands)} --no-input project_name=Fresh production_requirements=requirements.txt",
        shell=True,
        cwd=clone,
        env={
            **{name: value for name, value in os.environ.items() if name not in ("UV", "VIRTUAL_ENV", "PYTHONPATH")},
            "HOME": str(home),
            "USERPROFILE": str(home),
            "PATH": os.pathsep.join([str(scripts), *system]),
        },
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=300,
    )
    offline = "dns error" in done.stderr or "No matching distribution found for uv" in done.stderr
    if offline and os.environ.get("DS_DOCKER_ENV_SKIP_NOTHING") != "1":
        pytest.skip("no package index can be reached")
    assert done.returncode == 0, done.stderr
    assert "Production: 1 of 1 pins kept exactly" in done.stdout
    assert "\nsix==1.16.0 \\\n" in (clone / "fresh" / "requirements.txt").read_text(encoding="utf-8")


def test_the_readme_names_the_command_that_runs_these_tests() -> None:
    assert readme_commands("## Tests") == ["pip install uv", "uv run pytest"]
    assert "uv run pytest" in (TEMPLATE / ".ci" / "run").read_text(encoding="utf-8")
