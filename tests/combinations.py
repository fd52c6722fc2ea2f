"""Projects with names, for people to look at: ``uv run tests/combinations.py DIRECTORY`` generates them all."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from offers import CONTEXT, OTHER_PAIR, PAIRS, TEMPLATE

from ds_docker_env.common.services import SERVICES

# These pins leave the other packages free.
_PRODUCTION = "requests==2.32.3\npandas==2.2.3\n"
COMBINATIONS: dict[str, dict[str, str]] = {
    "default": {},
    **{platform: {"ci": platform} for platform in CONTEXT["ci"][1:]},
    "production": {"production_requirements": "production.txt"},
    "dvc": {"dvc_s3_url": "s3://bucket/churn"},
    "services": {"services": ",".join(SERVICES)},
    **{
        f"python-{version.replace('.', '-')}-{debian}": {"python_version": version, "debian_release": debian}
        for version, debian in PAIRS
    },
    "everything": {
        "question": "Why do customers leave?",
        "data": "Orders since 2020, from the warehouse.",
        "ticket_url": "https://public.example/browse/DS-1",
        "production_requirements": "production.txt",
        "python_version": OTHER_PAIR[0],
        "debian_release": OTHER_PAIR[1],
        "dvc_s3_url": "s3://bucket/churn",
        "services": ",".join(SERVICES),
        "ci": "github",
    },
}


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    production = folder / "production.txt"
    production.write_text(_PRODUCTION, encoding="utf-8")
    for name, answers in COMBINATIONS.items():
        asked = {"project_name": name, "project_slug": name, **answers}
        if "production_requirements" in asked:
            asked["production_requirements"] = str(production.absolute())
        command = [sys.executable, "-m", "cookiecutter", str(TEMPLATE), "--no-input", "--output-dir", str(folder)]
        print(f"\n{name}", flush=True)
        subprocess.run([*command, *(f"{question}={answer}" for question, answer in asked.items())], check=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
