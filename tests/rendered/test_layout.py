from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest
import yaml
from conftest import ANSWERS, BASE_IMAGE, TEMPLATE, Generated, only_index
from offers import OTHER_PAIR

from ds_docker_env.common.target import Target
from ds_docker_env.generation.wheel import NAME

DEFAULT = {
    ".devcontainer.json",
    ".dockerignore",
    ".gitattributes",
    ".gitignore",
    ".secrets/",
    ".secrets/jupyter_password",
    "Dockerfile",
    "README.md",
    "docker-compose.yml",
    NAME,
    "requirements.in",
    "requirements.txt",
    "src/",
    "src/analysis.ipynb",
    "src/data/",
    "tools.txt",
}
RICH_PYTHON, RICH_DEBIAN = OTHER_PAIR
RICH = {
    "project_name": "Churn, 2026",
    "question": "Who leaves?",
    "data": "contracts of 2026, from the warehouse",
    "ticket_url": "https://tickets.example.com/browse/DS-1",
    "python_version": RICH_PYTHON,
    "debian_release": RICH_DEBIAN,
}
Bake = Callable[..., Generated]


def tree(project: Path) -> set[str]:
    """Return the names of what is in a project, but for git's repository."""
    found = {path.relative_to(project).as_posix() + "/" * path.is_dir() for path in project.rglob("*")}
    return {name for name in found if not name.startswith(".git/")}


@pytest.fixture(scope="module")
def default(cookies_session: Any) -> Generated:
    """Return a project with the default answers, to look at only."""
    return generated(cookies_session, {})


@pytest.fixture(scope="module")
def rich(cookies_session: Any, tmp_path_factory: pytest.TempPathFactory) -> Generated:
    """Return a project with all answers, to look at only."""
    folder = tmp_path_factory.mktemp("production")
    with pytest.MonkeyPatch.context() as patch, only_index(folder, patch) as index:
        index.add("requests", "2.32.4")
        production = folder / "requirements.txt"
        production.write_text("requests==2.32.4\n")
        return generated(cookies_session, RICH | {"production_requirements": str(production)})


def generated(cookies: Any, answers: dict[str, str]) -> Generated:
    result = cookies.bake(extra_context=ANSWERS | answers)
    assert result.exit_code == 0, result.exception
    return Generated(result.exit_code, result.project_path, "", "")


def test_the_default_project_is_a_folder_for_data_and_a_handful_of_files(default: Generated) -> None:
    project = default.project
    assert project.name == "data_science_analysis"
    assert tree(project) == DEFAULT


def test_a_production_file_adds_only_itself_the_commands_for_it_and_room_for_logins(rich: Generated) -> None:
    assert rich.project.name == "churn_2026"
    assert tree(rich.project) == DEFAULT | {".secrets/netrc", "production.txt"}
    assert rich.read(".secrets/netrc") == ""


@pytest.mark.parametrize(
    "ci, files",
    {
        "github": {".github/", ".github/dependabot.yml", ".github/workflows/", ".github/workflows/analysis.yml"},
        "gitlab": {".gitlab-ci.yml", "renovate.json"},
    }.items(),
)
def test_a_pipeline_adds_its_own_files_only(bake: Bake, ci: str, files: set[str]) -> None:
    assert tree(bake(ci=ci).project) == DEFAULT | files


@pytest.mark.parametrize("answers", [{}, RICH], ids=["default", "rich"])
def test_rendered_files_look_hand_written(bake: Bake, answers: dict[str, str]) -> None:
    project = bake(**answers).project
    for name in ("Dockerfile", "README.md", "docker-compose.yml", ".gitignore", ".dockerignore", "requirements.in"):
        text = (project / name).read_text()
        assert "\n\n\n" not in text, name
        assert text.endswith("\n"), name
        assert not text.endswith("\n\n"), name
    for path in project.rglob("*"):
        if path.is_file() and ".git" not in path.parts and path.suffix != ".whl":
            text = path.read_text()
            # But for the command.
            assert not re.search(r"cookiecutter(?! --)", text), path
            assert not re.search(r"[ \t]$", text, re.MULTILINE), path
            assert "\r" not in text, path


@pytest.mark.parametrize("answers", [{}, RICH], ids=["default", "rich"])
def test_the_notebook_is_as_jupyter_would_save_it(bake: Bake, answers: dict[str, str]) -> None:
    path = bake(**answers).project / "src" / "analysis.ipynb"
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert [cell.cell_type for cell in notebook.cells] == ["markdown", "code", "code"]
    assert notebook.metadata.kernelspec.name == "python3"


def test_the_first_cell_is_the_analysts_and_the_last_shows_the_environment(default: Generated) -> None:
    notebook = nbformat.read(default.project / "src" / "analysis.ipynb", as_version=4)
    assert [cell.source for cell in notebook.cells if cell.cell_type == "code"] == ["", "%pip freeze"]


def test_the_notebook_and_the_readme_state_the_question_the_data_and_the_ticket(rich: Generated) -> None:
    notebook = nbformat.read(rich.project / "src" / "analysis.ipynb", as_version=4)
    for text in ("\n".join(cell.source for cell in notebook.cells), rich.read("README.md")):
        assert text.startswith("# Churn, 2026\n")
        for answer in ("question", "data", "ticket_url"):
            assert RICH[answer] in text


def test_the_readme_speaks_only_of_what_the_project_has(default: Generated, rich: Generated) -> None:
    for word in ("production.txt", "jupyter check", "take-over", "**Question.**", "**Data.**", "**Ticket.**"):
        assert word in rich.read("README.md")
        assert word not in default.read("README.md")


def test_every_file_named_in_the_readme_exists_after_the_commands_that_make_it(rich: Generated) -> None:
    made_later = {"src/analysis.html"}
    named = set(re.findall(r"`([\w./]+\.(?:txt|in|ipynb|html|yml|md))`", rich.read("README.md")))
    assert named
    assert named - made_later <= tree(rich.project)


def test_python_and_debian_agree_in_dockerfile_readme_lock_and_tools(rich: Generated) -> None:
    digest = BASE_IMAGE.partition("@")[2]
    assert f"\nFROM python:{RICH_PYTHON}-{RICH_DEBIAN}@{digest} AS base\n" in rich.read("Dockerfile")
    full_python = Target(RICH_PYTHON).full_python
    command = f"uv pip compile --generate-hashes --python-version {full_python} "
    command += "--python-platform x86_64-manylinux_2_36 "
    command += "--output-file requirements.txt production.txt requirements.in"
    assert f"#    {command}\n" in rich.read("requirements.txt")
    assert rich.read("tools.txt") == (TEMPLATE / "locks" / f"tools-{RICH_DEBIAN}.txt").read_text()


def test_compose_publishes_the_notebook_on_this_machine_only(default: Generated) -> None:
    compose = yaml.safe_load(default.read("docker-compose.yml"))
    assert compose["name"] == "data_science_analysis"
    assert list(compose["services"]) == ["jupyter"]
    assert compose["services"]["jupyter"]["ports"] == ["127.0.0.1:${PORT:-8888}:${PORT:-8888}"]


def test_the_password_is_a_docker_secret_and_in_no_environment_variable(default: Generated) -> None:
    compose = yaml.safe_load(default.read("docker-compose.yml"))
    jupyter = compose["services"]["jupyter"]
    assert compose["secrets"] == {"jupyter_password": {"file": ".secrets/jupyter_password"}}
    assert jupyter["secrets"] == ["jupyter_password"]
    assert jupyter["environment"] == ["PORT=${PORT:-8888}", "OMP_NUM_THREADS=${THREADS:-1}"]
    assert "env_file" not in jupyter


def test_the_container_gives_up_every_capability_that_it_does_not_need_to_become_the_owner(default: Generated) -> None:
    jupyter = yaml.safe_load(default.read("docker-compose.yml"))["services"]["jupyter"]
    assert jupyter["cap_drop"] == ["ALL"]
    assert set(jupyter["cap_add"]) == {"SETGID", "SETPCAP", "SETUID"}
    assert jupyter["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in jupyter


def test_git_ignores_secrets_data_and_reports(default: Generated) -> None:
    ignored = default.read(".gitignore").splitlines()
    assert {".secrets/", "/src/data/*", "/src/*.html"} <= set(ignored)


def test_the_build_context_is_an_allow_list(default: Generated) -> None:
    lines = [line for line in default.read(".dockerignore").splitlines() if not line.startswith("#")]
    assert lines[0] == "*"
    assert [line for line in lines if line.startswith("!")] == [
        "!requirements.txt",
        "!tools.txt",
        "!uv.toml",
        "!ds_docker_env-*.whl",
        "!src",
    ]
    assert "src/data" in lines


def test_git_and_the_image_take_no_key_wherever_it_was_dropped(default: Generated, tmp_path: Path) -> None:
    """Docker's patterns are compared with git's, which are tried."""
    begin, *_ = default.read(".gitignore").split("\n\n")
    ignored = [line for line in begin.splitlines()[1:] if not line.startswith("!")]
    assert {"?netrc", ".git-credentials", ".pgpass", ".my.cnf", ".docker/", ".kube/", ".ssh/", "*.pem"} <= set(ignored)
    denied = {f"**/{line}" for line in ignored if not line.startswith(".")}
    assert {"**/.*", *denied} <= set(default.read(".dockerignore").splitlines())
    (tmp_path / ".gitignore").write_text(default.read(".gitignore"))
    for folder in ("", "src/", "src/deep/"):
        for line in ignored:
            path = (
                tmp_path / folder / (line.replace("*", "one").replace("?", "_") + ("one" if line.endswith("/") else ""))
            )
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True)
    status = ["git", "-C", str(tmp_path), "status", "--porcelain", "--untracked-files=all"]
    assert subprocess.run(status, capture_output=True, text=True, check=True).stdout == "?? .gitignore\n"


def test_requirements_in_names_the_packages_of_the_template_with_floors_only(default: Generated) -> None:
    text = default.read("requirements.in")
    assert text == (TEMPLATE / "locks" / "requirements.in").read_text()
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    assert all(re.fullmatch(r"[a-z0-9-]+>=[\d.]+", line) for line in lines)


def test_a_clone_on_windows_has_the_line_ends_that_were_committed(default: Generated, tmp_path: Path) -> None:
    project = shutil.copytree(default.project, tmp_path / "project")
    as_somebody = ("-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "core.autocrlf=true")
    for command in (["init", "--quiet"], ["add", "."], ["commit", "--quiet", "--message", "Begin"]):
        subprocess.run(["git", *as_somebody, *command], cwd=project, check=True, capture_output=True)
    clone = tmp_path / "clone"
    subprocess.run(["git", *as_somebody, "clone", "--quiet", str(project), str(clone)], check=True)
    files = [path.relative_to(clone) for path in clone.rglob("*") if path.is_file() and ".git" not in path.parts]
    assert Path("Dockerfile") in files
    for file in files:
        assert (clone / file).read_bytes() == (project / file).read_bytes()
        assert file.suffix == ".whl" or b"\r" not in (clone / file).read_bytes()
