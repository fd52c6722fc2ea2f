from __future__ import annotations

import re
import subprocess
import sys

import pytest
from jinja2 import Template
from offers import CONTEXT, PAIRS, PYTHON, QUESTIONS, TEMPLATE
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from ds_docker_env.common.shipped import LOCKS, lock_name, shipped_analysis
from ds_docker_env.common.target import AMD64, MACHINES, PYTHON_VERSIONS, Target, machines
from ds_docker_env.generation import checks as refusals
from ds_docker_env.generation.base_image import require_name
from ds_docker_env.generation.pipelines import PIPELINES
from ds_docker_env.generation.release import VERSION, WHEEL
from ds_docker_env.generation.services import SERVICES
from ds_docker_env.image.build.sources import sections
from ds_docker_env.pinning.parity import read_lock

README = (TEMPLATE / "README.md").read_text()


def test_the_readmes_table_of_questions_is_that_of_cookiecutter() -> None:
    questions = README.partition("## Questions\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \| (.*?) \| (.*) \|$", questions, re.MULTILINE)
    assert [name for name, *_ in rows] == QUESTIONS
    for name, shown, meaning in rows:
        choices = SERVICES if name == "services" else CONTEXT[name] if isinstance(CONTEXT[name], list) else ()
        named = re.findall(r"`([^`]+)`", meaning.partition("(")[0])
        assert not choices or set(named) == set(choices), f"README.md, {name}"
        default = CONTEXT[name][0] if isinstance(CONTEXT[name], list) else CONTEXT[name]
        expected = "blank" if not default else "from the title" if "{{" in default else f"`{default}`"
        assert shown == expected, f"README.md, {name}"


def test_the_readme_says_of_every_service_what_runs() -> None:
    table = README.partition("| service | what runs |\n")[2].partition("\n\n")[0]
    assert re.findall(r"`(\w+)`", "".join(re.findall(r"^\|.*?\|", table, re.MULTILINE))) == list(SERVICES)


def test_the_readmes_tree_is_that_of_the_project() -> None:
    tree = README.partition("data_science_analysis/\n")[2].partition("```")[0]
    names = re.findall(r"[├└]── (\S+)", tree)
    rendered = {path.name for path in (TEMPLATE / "{{cookiecutter.project_slug}}").iterdir() if path.is_file()}
    rendered |= {"analysis.ipynb"}
    rendered -= {name for names in PIPELINES.values() for name in names}
    name = WHEEL.replace(VERSION, "VERSION")
    made = {"src/", "data/", name, "production.txt", "requirements.in", "requirements.txt", "tools.txt"}
    assert set(names) == rendered | made


def test_the_index_has_every_decision_with_its_date_and_status() -> None:
    folder = TEMPLATE / "docs" / "decisions"
    index = (folder / "README.md").read_text(encoding="utf-8")
    rows = re.findall(
        r"^\| \[(\d{4})\]\((\1-[\w-]+\.md)\) \| (.+) \| 20\d\d-\d\d-\d\d \| (.+) \|$", index, re.MULTILINE
    )
    assert index.count("\n| [") == len(rows), "a row without a number, a page, a title, a date or a status"
    pages = {}
    for page in sorted(folder.glob("0*.md")):
        title, _, text = page.read_text(encoding="utf-8").partition("\n\n")
        overturned = re.match(r"\*\*Superseded\*\* ((?:in part )?by \d{4}) on 20\d\d-\d\d-\d\d: ", text)
        pages[page.name] = (title, f"superseded {overturned[1]}" if overturned else "accepted")
    assert {page: (f"# {int(number)}. {title}", status) for number, page, title, status in rows} == pages


def test_every_question_has_a_prompt() -> None:
    assert list(CONTEXT["__prompts__"]) == QUESTIONS
    # Behind "of" in English, and behind a colon in Portuguese.
    named = re.search(r"(?:, of|:) ([a-z0-9, ]+) \(", CONTEXT["__prompts__"]["services"])
    assert named and named[1].split(", ") == list(SERVICES), "cookiecutter.json, __prompts__"


def test_the_default_answers_are_taken() -> None:
    """But for production's file, which may be somewhere else."""
    first = {name: value[0] if isinstance(value, list) else value for name, value in CONTEXT.items()}
    answers = {**first, "project_slug": "analysis", "__production_requirements": ""}
    assert refusals.check(answers).python_version == PYTHON
    require_name(Template(CONTEXT["_base_image"]).render(cookiecutter=answers))


def test_the_files_of_a_project_name_no_service_that_there_is_not() -> None:
    files = [path for path in (TEMPLATE / "{{cookiecutter.project_slug}}").rglob("*") if path.is_file()]
    named = {
        f"{name} in {path.name}"
        for path in files
        for name in re.findall(r'"(\w+)" (?:not )?in (?:cookiecutter\.)?services', path.read_text(encoding="utf-8"))
    }
    stray = sorted(one for one in named if one.partition(" ")[0] not in SERVICES)
    assert not stray, ", ".join(stray)


def test_every_python_on_offer_has_an_image_a_patch_release_and_a_lock_for_both_processors_and_no_other_has() -> None:
    offered = CONTEXT["python_version"]
    assert set(offered) == {python for python, _ in PAIRS} <= set(PYTHON_VERSIONS)
    assert all(Target(version).full_python.startswith(f"{version}.") for version in offered)
    made_for = [("requirements", version) for version in offered]
    made_for += [("tools", debian) for debian in CONTEXT["debian_release"]]
    locks = {lock_name(kind, one, options=options) for kind, one in made_for for options in (False, True)}
    texts = {path.name: path.read_text() for path in LOCKS.glob("*.txt")}
    assert not [name for name, text in texts.items() if "://" in text], "a lock holds an address"
    of_builds = {name for name in texts if name.startswith("build-")}
    assert texts.keys() - of_builds == locks
    assert not [name for name in locks if machines(texts[name]) != [*MACHINES]], "a lock is for one processor"


def test_what_shipped_sources_are_built_with_is_locked_with_hashes_and_none_is_left_to_chance() -> None:
    for path in LOCKS.glob("build-*.txt"):
        text = path.read_text()
        assert "not fixed" not in text
        lock = (LOCKS / path.name.removeprefix("build-")).read_text()
        for source, section in sections(text).items():
            assert f"\n{source} " in lock
            packages = read_lock(section.requirements, AMD64)
            assert packages and all(package.hashes for package in packages.values())


@pytest.mark.parametrize("version", CONTEXT["python_version"])
@pytest.mark.parametrize("machine", MACHINES)
def test_the_shipped_lock_holds_every_package_above_its_floor_with_hashes(version: str, machine: str) -> None:
    lock = read_lock(shipped_analysis(version).lock, machine)
    assert "ipykernel" in lock, "the notebook needs it"
    for line in shipped_analysis(version).requirements:
        assert re.fullmatch(r"[a-z0-9-]+>=[\d.]+", line)
        requirement = Requirement(line)
        locked = lock.get(canonicalize_name(requirement.name))
        assert locked, f"{line} is not locked for {version}; run locks/refresh.py"
        assert requirement.specifier.contains(locked.version), line
    assert all(package.hashes for package in lock.values())


def test_the_hook_starts_without_what_it_seldom_needs() -> None:
    code = (
        "import sys; import ds_docker_env.generation.events\n"
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
