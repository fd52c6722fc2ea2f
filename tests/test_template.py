from __future__ import annotations

import re
import subprocess
import sys

import pytest
from jinja2 import Template
from offers import CONTEXT, PAIRS, PYTHON, QUESTIONS, TEMPLATE
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from ds_docker_env.common.services import SERVICES
from ds_docker_env.common.shipped import LOCKS, lock_name, shipped_analysis
from ds_docker_env.common.target import AMD64, MACHINES, PYTHON_VERSIONS, Target, machines
from ds_docker_env.generation import checks as refusals
from ds_docker_env.generation.base_image import require_name
from ds_docker_env.image.build.sources import sections
from ds_docker_env.pinning.parity import read_lock


def test_the_page_of_services_says_of_each_what_runs() -> None:
    text = (TEMPLATE / "docs" / "how-to" / "connect-services.md").read_text(encoding="utf-8")
    rows = text.partition("| service | what runs |")[2].partition("\n\n")[0]
    assert re.findall(r"`(\w+)`", "".join(re.findall(r"^\|.*?\|", rows, re.MULTILINE))) == list(SERVICES)


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
    assert named and named[1].split(", ") == list(SERVICES), "cookiecutter.json: __prompts__ names other services"


def test_the_default_answers_are_valid() -> None:
    """Production's file is left out, because it may be elsewhere."""
    first = {name: value[0] if isinstance(value, list) else value for name, value in CONTEXT.items()}
    answers = {**first, "project_slug": "analysis", "__production_requirements": ""}
    assert refusals.check(answers).python_version == PYTHON
    require_name(Template(CONTEXT["_base_image"]).render(cookiecutter=answers))


def test_project_files_name_only_existing_services() -> None:
    files = [path for path in (TEMPLATE / "{{cookiecutter.project_slug}}").rglob("*") if path.is_file()]
    named = {
        f"{name} in {path.name}"
        for path in files
        for name in re.findall(r'"(\w+)" (?:not )?in (?:cookiecutter\.)?services', path.read_text(encoding="utf-8"))
    }
    stray = sorted(one for one in named if one.partition(" ")[0] not in SERVICES)
    assert not stray, ", ".join(stray)


def test_exactly_the_offered_pythons_have_an_image_a_patch_release_and_a_lock_for_both_processors() -> None:
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


def test_build_requirements_of_shipped_sources_are_locked_with_hashes() -> None:
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
def test_the_shipped_lock_has_every_package_above_its_lower_bound_with_hashes(version: str, machine: str) -> None:
    lock = read_lock(shipped_analysis(version).lock, machine)
    assert "ipykernel" in lock, "the notebook needs it"
    for line in shipped_analysis(version).requirements:
        assert re.fullmatch(r"[a-z0-9-]+>=[\d.]+", line)
        requirement = Requirement(line)
        locked = lock.get(canonicalize_name(requirement.name))
        assert locked, f"{line} is not locked for {version}; run locks/refresh.py"
        assert requirement.specifier.contains(locked.version), line
    assert all(package.hashes for package in lock.values())


def test_the_hook_starts_without_modules_that_it_seldom_needs() -> None:
    code = (
        "import sys; import ds_docker_env.generation.events\n"
        "seldom = {'inspect', 'packaging', 'pip_requirements_parser', 'requests', 'rich', 'subprocess', 'zipfile'}\n"
        "print(*sorted(seldom & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=TEMPLATE, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_every_file_name_is_valid_on_windows_and_macos() -> None:
    done = subprocess.run(["git", "ls-files", "-z"], cwd=TEMPLATE, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip("not in a git repository")
    names = done.stdout.strip("\0").split("\0")
    assert len({name.lower() for name in names}) == len(names)
    refused = re.compile(r'[<>:"|?*\\]|[. ](/|$)|(^|/)(con|prn|aux|nul|(com|lpt)\d)(\.|/|$)', re.IGNORECASE)
    assert [name for name in names if refused.search(name) or len(name) > 120] == []
