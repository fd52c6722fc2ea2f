from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest
from conftest import QUESTIONS, TEMPLATE
from ds_docker_env.parity import read_lock
from ds_docker_env.pipelines import PIPELINES
from ds_docker_env.services import SERVICES
from ds_docker_env.shipped import shipped_analysis, shipped_files
from ds_docker_env.target import DEBIAN_RELEASES, PYTHON_VERSIONS, Target
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

CONTEXT = json.loads((TEMPLATE / "cookiecutter.json").read_text())
README = (TEMPLATE / "README.md").read_text()


def test_the_readmes_table_of_questions_is_that_of_cookiecutter() -> None:
    questions = README.partition("## Questions\n")[2].partition("\n## ")[0]
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*?) \|", questions, re.MULTILINE))
    assert list(rows) == [name for name in CONTEXT if not name.startswith("_")]
    for name, shown in rows.items():
        default = CONTEXT[name][0] if isinstance(CONTEXT[name], list) else CONTEXT[name]
        expected = "blank" if not default else "from the title" if "{{" in default else f"`{default}`"
        assert shown == expected, name


def test_the_readme_says_of_every_service_what_runs() -> None:
    table = README.partition("| service | what runs |\n")[2].partition("\n\n")[0]
    assert re.findall(r"`(\w+)`", "".join(re.findall(r"^\|.*?\|", table, re.MULTILINE))) == list(SERVICES)


def test_the_readmes_tree_is_that_of_the_project() -> None:
    tree = README.partition("data_science_analysis/\n")[2].partition("```")[0]
    names = re.findall(r"[├└]── (\S+)", tree)
    rendered = {path.name for path in (TEMPLATE / "{{cookiecutter.project_slug}}").iterdir() if path.is_file()}
    rendered |= {"analysis.ipynb"}
    rendered -= {name for names in PIPELINES.values() for name in names}
    made = {"src/", "data/", "parity.pyz", "production.txt", "requirements.in", "requirements.txt", "tools.txt"}
    assert set(names) == rendered | made


def test_every_question_has_a_prompt() -> None:
    assert set(CONTEXT["__prompts__"]) == QUESTIONS


def test_every_python_on_offer_has_an_image_a_patch_release_and_a_lock() -> None:
    offered = CONTEXT["python_version"]
    assert sorted(offered) == sorted(PYTHON_VERSIONS) == sorted(DEBIAN_RELEASES)
    for version in offered:
        assert Target(version).full_python.startswith(f"{version}.")
        assert set(DEBIAN_RELEASES[version]) <= set(CONTEXT["debian_release"])
        for debian in DEBIAN_RELEASES[version]:
            assert shipped_files(version, debian)


@pytest.mark.parametrize("version", PYTHON_VERSIONS)
def test_the_shipped_lock_holds_every_package_above_its_floor_with_hashes(version: str) -> None:
    lock = read_lock(shipped_analysis(version).lock)
    for line in shipped_analysis(version).requirements:
        requirement = Requirement(line)
        locked = lock[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(locked.version), line
    assert all(package.hashes for package in lock.values())


def test_no_lock_holds_an_address() -> None:
    for lock in (TEMPLATE / "locks").glob("*.txt"):
        assert "://" not in lock.read_text(), lock.name


def test_ipykernel_is_among_the_packages_because_the_notebook_needs_it() -> None:
    assert any(Requirement(line).name == "ipykernel" for line in shipped_analysis("3.13").requirements)


def test_the_hook_starts_without_what_it_seldom_needs() -> None:
    code = (
        "import sys; sys.path.insert(0, 'hooks'); from ds_docker_env import generation\n"
        "seldom = {'inspect', 'packaging', 'pip_requirements_parser', 'requests', 'rich', 'subprocess', 'zipfile'}\n"
        "print(*sorted(seldom & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=TEMPLATE, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_every_file_has_a_name_that_windows_and_macos_take() -> None:
    done = subprocess.run(["git", "ls-files", "-z"], cwd=TEMPLATE, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip("not in a git repository")
    names = done.stdout.strip("\0").split("\0")
    assert len({name.lower() for name in names}) == len(names)
    refused = re.compile(r'[<>:"|?*\\]|[. ](/|$)|(^|/)(con|prn|aux|nul|(com|lpt)\d)(\.|/|$)', re.IGNORECASE)
    assert [name for name in names if refused.search(name) or len(name) > 120] == []
