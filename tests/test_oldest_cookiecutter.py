from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import yaml
from conftest import TEMPLATE

from ds_docker_env.generation.rendering import OLDEST


def test_an_older_cookiecutter_is_refused_in_one_line(tmp_path: Path) -> None:
    older = "import cookiecutter; cookiecutter.__version__ = '2.1.1'; from cookiecutter import cli; cli.main()"
    done = subprocess.run(
        [sys.executable, "-c", older, str(TEMPLATE), "--no-input", "--output-dir", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stdout.strip().splitlines() == [
        f"Unable to load extension: this template needs cookiecutter {OLDEST} or newer, but this is 2.1.1; "
        "upgrade it, or run: uvx cookiecutter"
    ]
    assert not list(tmp_path.iterdir())


def test_the_page_of_questions_and_the_workflow_name_the_oldest_cookiecutter() -> None:
    page = TEMPLATE / "docs" / "reference" / "questions.md"
    assert f"cookiecutter {OLDEST} or newer" in " ".join(page.read_text(encoding="utf-8").split())
    workflow = yaml.safe_load((TEMPLATE / ".github" / "workflows" / "test.yml").read_text())
    tried = workflow["jobs"]["fast"]["strategy"]["matrix"]["include"]
    assert {entry["cookiecutter"] for entry in tried} == {f"cookiecutter=={OLDEST}"}
