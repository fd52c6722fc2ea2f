"""The files that GitHub, GitLab and Renovate read in a repository, checked by the tools for them."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterable
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from offers import TEMPLATE

_WORKFLOWS, _DEPENDABOT = ".github/workflows/*.yml", ".github/dependabot.yml"
_GITLAB, _RENOVATE = ".gitlab-ci.yml", "renovate.json"
_FORMS = ".github/ISSUE_TEMPLATE/*.yml"
READ = (_WORKFLOWS, _DEPENDABOT, _GITLAB, _RENOVATE)
_PROGRAMS = {
    ("jactionlint", "--strict-exit", "--no-color", "--format", "oneline"): (_WORKFLOWS,),
    ("zizmor", "--offline", "--quiet", "--persona", "pedantic", "--format", "plain"): (_WORKFLOWS, _DEPENDABOT),
}
_SCHEMAS = {
    ("vendor.github-workflows",): _WORKFLOWS,
    ("vendor.dependabot",): _DEPENDABOT,
    ("vendor.github-issue-forms",): _FORMS,
    ("vendor.gitlab-ci", "--data-transform", "gitlab-ci"): _GITLAB,
    ("vendor.renovate",): _RENOVATE,
}
# The inputs of each action, copied from its action.yml at this commit; minor versions keep them.
_ACTIONS = json.loads((TEMPLATE / "tests" / "rendered" / "actions.json").read_text(encoding="utf-8"))
BASH = shutil.which("bash")
_OURS = TEMPLATE / ".github" / "workflows"
# The tools are where `uv run` has installed them, or in the system.
_PATH = os.pathsep.join((sysconfig.get_path("scripts"), os.environ.get("PATH", "")))


def workflow(name: str) -> dict[str, Any]:
    """Return a workflow of this repository."""
    text = (_OURS / f"{name}.yml").read_text(encoding="utf-8")
    # YAML 1.1 reads the word `on` as true.
    read: dict[str, Any] = yaml.load(re.sub(r"^on:", '"on":', text, flags=re.MULTILINE), Loader=yaml.SafeLoader)
    return read


def findings(repositories: Path) -> str:
    """Return all findings in the repositories in this folder, as one text, or a blank."""
    said = []
    for command, patterns in _PROGRAMS.items():
        if files := _files(repositories, patterns):
            done = subprocess.run(
                [_program(command[0]), *command[1:], *files],
                env={**os.environ, "PATH": _PATH},
                capture_output=True,
                encoding="utf-8",
                check=False,
            )
            said.append(done.stdout + done.stderr if done.returncode else "")
    schemas = pytest.importorskip("check_jsonschema", reason="check-jsonschema needs Python 3.11")
    for schema, pattern in _SCHEMAS.items():
        if files := _files(repositories, [pattern]):
            result = CliRunner().invoke(schemas.main, ["--color=never", "--builtin-schema", *schema, *files])
            said.append(result.output if result.exit_code else "")
    return "".join(said)


def wrong_inputs(workflow: str) -> list[str]:
    """Return unknown and missing inputs of actions, and actions that actions.json does not have."""
    wrong = []
    versions = dict(re.findall(r"uses: (\S+) # (v\d+)", workflow))
    for job in yaml.safe_load(workflow)["jobs"].values():
        for step in filter(lambda step: "uses" in step, job.get("steps", [])):
            action = f"{step['uses'].partition('@')[0]}@{versions.get(step['uses'])}"
            if action not in _ACTIONS:
                wrong.append(f"{action}: not in actions.json; copy the inputs of its action.yml")
                continue
            known, given = _ACTIONS[action], step.get("with", {})
            wrong += [f"{action}: unknown input {name}" for name in given if name not in known["inputs"]]
            wrong += [f"{action}: missing input {name}" for name in known["required"] if name not in given]
    return wrong


def made_secrets(script: str, compose: str, folder: Path) -> dict[str, str]:
    """Run a pipeline's commands beside this docker-compose.yml, and return the files that Compose would mount.

    In place of the engine, this Python runs the module of the service `setup`.
    """
    folder.mkdir()
    (folder / "docker-compose.yml").write_text(compose, encoding="utf-8")
    program = "import pathlib; from ds_docker_env.image.setup import main; main(['churn'], pathlib.Path.cwd())"
    stand_in = f"""docker() {{ case "$*" in
        "compose run --rm setup") {shlex.quote(sys.executable)} -c {shlex.quote(program)};;
        "compose config --output .secrets/build.yml") ;;
        *) false;;
    esac }}"""
    environment = {**os.environ, "PYTHONPATH": str(TEMPLATE)}
    subprocess.run(["bash", "-ec", f"{stand_in}\n{script}"], cwd=folder, env=environment, check=True)
    return {path.name: path.read_text(encoding="utf-8") for path in (folder / ".secrets").iterdir()}


def _files(repositories: Path, patterns: Iterable[str]) -> list[str]:
    return sorted(map(str, chain(*(repositories.glob(f"*/{pattern}") for pattern in patterns))))


def _program(name: str) -> str:
    found = shutil.which(name, path=_PATH)
    if not (found and shutil.which("shellcheck", path=_PATH)):
        missing = "shellcheck, which the system has to bring here" if found else f"{name}, which needs Python 3.11"
        if os.environ.get("DS_DOCKER_ENV_SKIP_NOTHING") == "1":
            pytest.fail(f"no {missing}, and DS_DOCKER_ENV_SKIP_NOTHING=1", pytrace=False)
        pytest.skip(f"no {missing}")
    return found
