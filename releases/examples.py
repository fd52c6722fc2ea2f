"""Renew a clone of the examples repository with one commit: ``uv run releases/examples.py DIRECTORY``."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(1, str(Path(__file__).parents[1] / "tests"))

from golden import PROJECTS

from ds_docker_env.generation.release import VERSION, commit
from releases.prepare import GIT

ROOT = Path(__file__).parents[1]
PRODUCTION = ROOT / "releases" / "production.txt"
SHOWN = {
    "default": "The default answers.",
    "production": "Exact versions of production, and a pipeline for GitLab.",
    "richest": "Exact versions of production, data under DVC, all services, and a pipeline for GitHub.",
}
README = """# Examples of ds-docker-env

Projects of [ds-docker-env]({url}) {version}, commit `{commit}`.
Each release generates them again, so changes in this repository are lost.

| project | content |
|---|---|
{rows}

To start a project, run in its directory:

```sh
docker compose -p setup run --rm setup
docker compose up --build
```

Then open http://127.0.0.1:8888. The password is in `.secrets/jupyter_password`.
"""


def renew(folder: Path) -> str:
    """Generate all projects in a clone and commit them, unless this commit of the template has; return a line."""
    url = json.loads((ROOT / "cookiecutter.json").read_text(encoding="utf-8"))["_template_url"]
    rows = "\n".join(f"| [{name}]({name}) | {SHOWN[name]} |" for name in PROJECTS)
    readme = README.format(url=url, version=VERSION, commit=commit(), rows=rows)
    if (folder / "README.md").exists() and (folder / "README.md").read_text(encoding="utf-8") == readme:
        return f"{folder}: already has the projects of this commit"
    for path in folder.iterdir():
        if path.name != ".git":
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    (folder / "README.md").write_text(readme, encoding="utf-8", newline="\n")
    for name, answers in PROJECTS.items():
        _generate(name, answers, folder, f"{url}/raw/{VERSION}/{PRODUCTION.relative_to(ROOT).as_posix()}")
    _git(folder, "add", "--all")
    private = [name for name in _git(folder, "ls-files").splitlines() if "/.secrets/" in name or name.endswith("/.env")]
    if private:
        sys.exit(f"{', '.join(private)}: private files are not ignored; correct .gitignore of the template")
    _git(folder, "commit", "--quiet", "--message", f"Generate with ds-docker-env {VERSION}")
    return f"{folder}: committed the projects of {VERSION}"


def _generate(name: str, answers: dict[str, str], folder: Path, source: str) -> None:
    given = {**answers, "project_slug": name}
    if given.get("production_requirements"):
        given["production_requirements"] = str(PRODUCTION)
    command = [sys.executable, "-m", "cookiecutter", str(ROOT), "--no-input", "--output-dir", str(folder)]
    subprocess.run([*command, *(f"{key}={value}" for key, value in given.items())], check=True)
    for path in folder.glob(f"{name}/production.txt"):
        text = path.read_text(encoding="utf-8").replace(str(PRODUCTION), source)
        path.write_text(text, encoding="utf-8", newline="\n")


def _git(folder: Path, *arguments: str) -> str:
    command = [GIT, "-C", str(folder), *arguments]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, encoding="utf-8").stdout


if __name__ == "__main__":
    print(renew(Path(sys.argv[1])))
