"""Files of a project that are not in a golden tree, or whose text does not show their effect."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import BASE_IMAGE, TEMPLATE, Generated, committed, git
from offers import OTHER_PAIR
from package_index import PackageIndex
from rendering import CHOICES, PROJECT, Renderer, answers

from ds_docker_env.common.target import Target
from ds_docker_env.generation.checks import LANGUAGES
from ds_docker_env.generation.release import WHEEL as NAME

Bake = Callable[..., Generated]

DEFAULT = {
    *(".devcontainer.json", ".dockerignore", ".env", ".gitattributes", ".gitignore"),
    *(".secrets/", ".secrets/jupyter_password"),
    *("Dockerfile", "README.md", "docker-compose.yml", "requirements.in", "requirements.txt", "tools.txt", NAME),
    *("src/", "src/analysis.ipynb", "src/data/"),
}


def tree(project: Path) -> set[str]:
    """Return the names in a project, without its git repository."""
    found = {path.relative_to(project).as_posix() + "/" * path.is_dir() for path in project.rglob("*")}
    return {name for name in found if not name.startswith(".git/")}


@pytest.mark.parametrize(
    ("ci", "files"),
    {
        "none": set(),
        "github": {".github/", ".github/dependabot.yml", ".github/workflows/", ".github/workflows/analysis.yml"},
        "gitlab": {".gitlab-ci.yml", "renovate.json"},
    }.items(),
)
def test_a_project_has_a_handful_of_files_and_a_pipeline_adds_only_its_own(
    bake: Bake, ci: str, files: set[str]
) -> None:
    project = bake(ci=ci).project
    assert project.name == "data_science_analysis"
    assert tree(project) == DEFAULT | files


def test_dockerfile_lock_and_tools_have_the_same_python_and_debian(
    bake: Bake, offline: PackageIndex, tmp_path: Path
) -> None:
    offline.add("requests", "2.32.4")
    production = tmp_path / "requirements.txt"
    production.write_text("requests==2.32.4\n")
    python, debian = OTHER_PAIR
    rich = bake(python_version=python, debian_release=debian, production_requirements=str(production))
    assert tree(rich.project) == DEFAULT | {".secrets/netrc", "production.txt"}
    assert rich.read(".secrets/netrc") == ""
    digest = BASE_IMAGE.partition("@")[2]
    assert f"\nFROM python:{python}-{debian}@{digest} AS base\n" in rich.read("Dockerfile")
    command = f"uv pip compile --generate-hashes --python-version {Target(python).full_python} "
    command += f"--python-platform {Target(python, debian=debian).platform} "
    command += "--output-file requirements.txt production.txt requirements.in"
    assert f"#    {command}\n" in rich.read("requirements.txt")
    assert rich.read("tools.txt") == (TEMPLATE / "locks" / f"tools-{debian}.txt").read_text()


def test_every_rendered_file_looks_hand_written_for_every_choice() -> None:
    render, names = Renderer(), ["Dockerfile", ".gitignore", ".dockerignore"]
    names += [path.relative_to(PROJECT).as_posix() for path in PROJECT.rglob("*.*") if path.suffix in (".json", ".yml")]
    few = [asked for asked in answers() if asked["services"] in ("", CHOICES[-1])]
    texts = {(name, render(name, **asked)) for name in names for asked in few}
    texts |= {("docker-compose.yml", render("docker-compose.yml", **asked)) for asked in answers()}
    for language in LANGUAGES:
        texts |= {("README.md", render("README.md", _language=language, **asked)) for asked in answers()}
        for ci in ("github", "gitlab"):
            texts |= {("README.md", render("README.md", _language=language, ci=ci, **asked)) for asked in few}
    for name, text in texts:
        assert text[0] != "\n", name
        assert "\n\n\n" not in text, name
        assert re.search(r"[^\n]\n$", text), name
        assert not re.search(r"[ \t\r]$", text, re.MULTILINE), name
        words = text
        if name == "README.md":
            # The command line may contain "cookiecutter".
            assert not re.search(r"cookiecutter(?! --)", text), name
            words = re.sub(r"^```.*?^```$|^\|.*$", "", text, flags=re.MULTILINE | re.DOTALL)
            words = re.sub(r"\]\(.*?\)|^https://\S+", "]", words, flags=re.MULTILINE)
        if name.endswith((".md", ".yml")):
            assert max(map(len, words.splitlines())) <= 120, max(words.splitlines(), key=len)


def test_git_and_the_image_ignore_keys_in_every_directory(tmp_path: Path) -> None:
    """git's patterns are tried, and Docker's compared with them."""
    render = Renderer()
    text = render(".gitignore")
    ignored = [line for line in text.partition("# Data")[0].splitlines()[1:] if not line.startswith("!")]
    assert {"?netrc", ".git-credentials", ".pgpass", ".my.cnf", ".docker/", ".kube/", ".ssh/", "*.pem"} <= set(ignored)
    denied = {f"**/{line}" for line in ignored if not line.startswith(".")}
    assert {"**/.*", *denied} <= set(render(".dockerignore").splitlines())
    (tmp_path / ".gitignore").write_text(text)
    for folder in ("", "src/", "src/deep/"):
        for line in ignored:
            name = line.replace("*", "one").replace("?", "_")
            path = tmp_path / folder / (f"{name}one" if name.endswith("/") else name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    git("init", "--quiet", folder=tmp_path)
    assert git("status", "--porcelain", "--untracked-files=all", folder=tmp_path) == "?? .gitignore\n"


def test_a_clone_on_windows_keeps_the_committed_line_endings(bake: Bake, tmp_path: Path) -> None:
    project, clone = bake().project, tmp_path / "clone"
    committed(project)
    git("-c", "core.autocrlf=true", "clone", "--quiet", str(project), str(clone), folder=tmp_path)
    files = git("ls-files", folder=clone).splitlines()
    assert "Dockerfile" in files
    for name in files:
        assert (clone / name).read_bytes() == (project / name).read_bytes()
        assert name.endswith(".whl") or b"\r" not in (clone / name).read_bytes()
