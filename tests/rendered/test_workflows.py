from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from combinations import COMBINATIONS
from conftest import CONTEXT, QUESTIONS, TEMPLATE, write_files
from pages import page
from platforms import BASH, READ, findings, workflow, wrong_inputs
from rendering import PROJECT, Renderer, answers

WORKFLOWS = TEMPLATE / ".github" / "workflows"

BAD = {
    ".github/workflows/bad.yml": """
name: bad
on:
  pull_request_target:
jobs:
  build:
    runs-on: ubuntu-lates
    steps:
      - uses: actions/checkout@v4
      - run: rm $HOME
      - run: echo ${{ github.event.pull_request.title }}
    need: [lint]
""",
    ".github/dependabot.yml": "version: 2\nupdates:\n  - package-ecosystem: dockers\n    directory: /\n",
    ".gitlab-ci.yml": "job:\n  scripts: [make]\n",
    "renovate.json": '{"extends": 3}\n',
}


def every_answer() -> Iterator[dict[str, str]]:
    yield from answers()
    for name, choices in CONTEXT.items():
        if isinstance(choices, list):
            yield from ({name: choice} for choice in choices)


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Render each distinct file of a platform that the questions can produce."""
    folder, render = tmp_path_factory.mktemp("projects"), Renderer()
    names = [path.relative_to(PROJECT).as_posix() for pattern in READ for path in PROJECT.glob(pattern)]
    assert len(names) == len(READ)
    for name in names:
        for number, text in enumerate({render(name, **asked) for asked in every_answer()}):
            write_files(folder, {f"{number}/{name}": text})
    return folder


def test_the_linters_accept_this_repositorys_workflows(tmp_path: Path) -> None:
    shutil.copytree(TEMPLATE / ".github", tmp_path / "ds-docker-env" / ".github")
    found = findings(tmp_path)
    assert not found, found


def test_the_linters_accept_the_pipelines_of_every_project(rendered: Path) -> None:
    found = findings(rendered)
    assert not found, found


def test_the_linters_accept_a_pipeline_for_arm64_or_both_processors(tmp_path: Path) -> None:
    render = Renderer()
    matrix, second = re.findall(r"^```yaml\n(.*?)^```$", page("processors.md"), re.MULTILINE | re.DOTALL)
    on_github, on_gitlab = render(".github/workflows/analysis.yml"), render(".gitlab-ci.yml")
    [line] = re.findall(r"^    runs-on: ubuntu-latest # .*: ubuntu-24.04-arm\n", on_github, re.MULTILINE)
    [job] = re.findall(r"^# .*: (tags: \[saas-linux-small-arm64\])\nanalysis:\n", on_gitlab, re.MULTILINE)
    write_files(
        tmp_path,
        {
            "one/.github/workflows/analysis.yml": on_github.replace(line, "    runs-on: ubuntu-24.04-arm\n"),
            "one/.gitlab-ci.yml": on_gitlab.replace("\nanalysis:\n", f"\nanalysis:\n  {job}\n"),
            "both/.github/workflows/analysis.yml": on_github.replace(line, matrix),
            "both/.gitlab-ci.yml": f"{on_gitlab}\n{second}",
        },
    )
    assert findings(tmp_path) == ""


def test_the_linters_find_planted_mistakes(tmp_path: Path) -> None:
    write_files(tmp_path, {f"bad/{name}": text for name, text in BAD.items()})
    found = findings(tmp_path)
    for known in (
        *('label "ubuntu-lates" is unknown', 'unexpected key "need"', "shellcheck reported issue", "SC2086"),
        *("[template-injection]", "[unpinned-uses]", "[dangerous-triggers]", "[excessive-permissions]"),
        *("bad.yml::$.jobs.build", "dependabot.yml::$.updates[0]", "'scripts' was unexpected"),
        "renovate.json::$.extends",
    ):
        assert known in found, known


def test_every_action_gets_known_inputs_and_all_required_ones(rendered: Path) -> None:
    texts = [path.read_text(encoding="utf-8") for path in (*WORKFLOWS.glob("*.yml"), *rendered.glob("*/.github/*/*"))]
    assert [wrong for text in texts for wrong in wrong_inputs(text)] == []


def test_a_wrong_input_and_an_unknown_action_are_found() -> None:
    assert wrong_inputs(
        "jobs:\n  test:\n    steps:\n"
        "      - uses: actions/checkout@0 # v7.0.1\n        with: {dpeth: 1}\n"
        "      - uses: actions/upload-artifact@0 # v7.0.1\n"
        "      - uses: actions/cache@0 # v5.0.5\n"
    ) == [
        "actions/checkout@v7: unknown input dpeth",
        "actions/upload-artifact@v7: missing input path",
        "actions/cache@v5: not in actions.json; copy the inputs of its action.yml",
    ]


def test_pipelines_have_neither_heredocs_nor_hidden_failures(rendered: Path) -> None:
    pipelines = [*WORKFLOWS.glob("*.yml"), *rendered.glob("*/.github/*/*"), *rendered.glob("*/.gitlab-ci.yml")]
    for path in pipelines:
        assert not re.search(r"\|\| *(?:true|:)|<<|\b(?:curl|jq|sed|awk)\b", path.read_text(encoding="utf-8")), path


def test_only_a_push_to_main_publishes_the_site_by_a_job_that_runs_nothing_else() -> None:
    docs = workflow("docs")
    build, publish = docs["jobs"]["build"], docs["jobs"]["publish"]
    assert docs["on"]["push"] == {"branches": ["main"]} and publish["if"].startswith("github.event_name == 'push' && ")
    assert (docs["permissions"], build["permissions"]) == ({}, {"contents": "read"})
    assert publish["permissions"] == {"pages": "write", "id-token": "write"}
    assert [step["uses"].partition("@")[0] for step in publish["steps"]] == ["actions/deploy-pages"]


@pytest.mark.parametrize("name", ["test", "weekly"])
def test_only_the_job_that_opens_the_pull_request_may_write_and_it_runs_only_cp_git_and_gh(name: str) -> None:
    read = workflow(name)
    assert read["permissions"] == {}
    for job in read["jobs"].values():
        if "write" in job["permissions"].values():
            assert job["permissions"] == {"contents": "write", "pull-requests": "write"}
            programs = {line.split()[0] for step in job["steps"] for line in step.get("run", "").splitlines()}
            assert programs == {"rm", "cp", "git", "gh"}
        else:
            assert job["permissions"] in ({}, {"contents": "read"})


def test_the_fast_tests_run_on_three_systems_and_every_python_and_docker_is_required_on_two_processors() -> None:
    jobs = workflow("test")["jobs"]
    fast, docker = jobs["fast"]["strategy"]["matrix"], jobs["docker"]
    assert {name.split("-")[0] for name in fast["os"]} == {"ubuntu", "windows", "macos"}
    assert fast["python"] == ["3.10", "3.11", "3.12", "3.13", "3.14"]
    assert {name.endswith("-arm") for name in docker["strategy"]["matrix"]["os"]} == {True, False}
    assert docker["env"]["DS_DOCKER_ENV_SKIP_NOTHING"] == "1"


def test_one_job_needs_all_others() -> None:
    jobs = workflow("test")["jobs"]
    everything = jobs.pop("everything")
    assert everything["needs"] == list(jobs)
    assert everything["if"] == "always()"


@pytest.mark.skipif(not BASH or os.name == "nt", reason="GitHub runs it with bash on Linux")
@pytest.mark.parametrize(
    "results, green",
    [("success success", True), ("failure success", False), ("success skipped", False), ("", False)],
)
def test_the_required_job_passes_only_if_all_others_passed(results: str, green: bool) -> None:
    (step,) = workflow("test")["jobs"]["everything"]["steps"]
    assert step["env"] == {"RESULTS": "${{ join(needs.*.result, ' ') }}"}
    done = subprocess.run(
        [str(BASH), "-e", "-c", step["run"]], env={**os.environ, "RESULTS": results}, capture_output=True, check=False
    )
    assert (done.returncode == 0) == green


def test_the_named_projects_cover_every_choice_of_every_question() -> None:
    for name in QUESTIONS:
        choices = CONTEXT[name] if isinstance(CONTEXT[name], list) else [CONTEXT[name]]
        tried = {answers.get(name, choices[0]) for answers in COMBINATIONS.values()}
        assert tried >= set(choices), name
        assert tried != {""}, f"{name}: has no answer in tests/combinations.py"
