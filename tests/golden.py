"""Three rendered projects, without locks, secrets and wheel: ``uv run tests/golden.py`` renews them.

Their diff shows what a change of the template does to a project.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from conftest import answered
from offers import TEMPLATE
from package_index import PackageIndex

from ds_docker_env.common.analysis import package_name
from ds_docker_env.common.services import SERVICES
from ds_docker_env.common.shipped import shipped_analysis
from ds_docker_env.generation.release import VERSION

GOLDEN = TEMPLATE / "tests" / "golden"
PAIR = ("3.13", "trixie")
_PYTHON = dict(zip(("python_version", "debian_release"), PAIR, strict=True))
_PINS = "prod==1.0\n"
RICHEST = {
    **_PYTHON,
    "project_name": "Churn, 2026",
    "question": "Which customers leave, and why?",
    "data": "Contracts of 2026, from the warehouse.",
    "ticket_url": "https://tickets.example.com/browse/DS-1",
    "production_requirements": "requirements.txt",
    "dvc_s3_url": "s3://bucket/churn",
    "services": "redis, sqlite, mysql, postgres, h2o, dask",
    "ci": "github",
}
PROJECTS: dict[str, dict[str, str]] = {
    "default": _PYTHON,
    "production": {**_PYTHON, "production_requirements": "requirements.txt", "ci": "gitlab"},
    "richest": RICHEST,
}
# Files with versions that move by themselves, and private files.
_LEFT_OUT = re.compile(r"(\.git|\.secrets)/|\.env$|(requirements|tools)\.txt$|requirements\.in$|.*\.whl$")


def rendered(name: str) -> dict[str, str]:
    """Return the texts of a project by name, with words for values that differ by commit or day."""
    with tempfile.TemporaryDirectory() as folder, PackageIndex(Path(folder, "index")) as index:
        index.add_analysis_packages()
        index.add("prod", "1.0")
        for line in shipped_analysis(_PYTHON["python_version"], SERVICES).requirements:
            index.add(package_name(line), "9999.1")
        production = Path(folder, "requirements.txt")
        production.write_text(_PINS, encoding="utf-8")
        output = Path(folder, "output")
        output.mkdir()
        answers = answered(**PROJECTS[name])
        subprocess.run(
            [sys.executable, "-m", "cookiecutter", str(TEMPLATE), "--no-input", "--output-dir", str(output), *answers],
            cwd=folder,
            env={**os.environ, "HOME": folder, "USERPROFILE": folder, "UV_DEFAULT_INDEX": index.url},
            check=True,
            stdout=subprocess.DEVNULL,
        )
        [project] = output.iterdir()
        names = {path.relative_to(project).as_posix(): path for path in project.rglob("*") if path.is_file()}
        return {
            name: _timeless(path.read_text(encoding="utf-8"), str(production))
            for name, path in sorted(names.items())
            if not _LEFT_OUT.match(name)
        }


def golden(name: str) -> dict[str, str]:
    """Return the texts of a golden tree by name."""
    paths = [path for path in (GOLDEN / name).rglob("*") if path.is_file()]
    return {path.relative_to(GOLDEN / name).as_posix(): path.read_text(encoding="utf-8") for path in sorted(paths)}


def _timeless(text: str, production: str) -> str:
    for pattern, word in {
        r'(image\.revision=)"[^"]*"': r'\1"COMMIT"',
        r"[0-9a-f]{64}  ds_docker": "DIGEST  ds_docker",
        r"(# taken over on: ).*": r"\1DAY",
        re.escape(production): "/api/requirements.txt",
        re.escape(VERSION): "VERSION",
    }.items():
        text = re.sub(pattern, word, text)
    return text


if __name__ == "__main__":
    for name in PROJECTS:
        shutil.rmtree(GOLDEN / name, ignore_errors=True)
        for file, text in rendered(name).items():
            path = GOLDEN / name / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8", newline="\n")
