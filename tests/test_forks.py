"""Forks as teams make them: the fast tests pass in each, and fail in those that are half done.

In the one of docs/how-to/forking.md all fast tests run, in the others those of what is asked, shipped and rendered;
``DS_DOCKER_ENV_EVERY_FORK=1`` runs all in all.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import committed
from offers import CONTEXT, TEMPLATE
from package_index import PackageIndex

pytestmark = [
    pytest.mark.forks,
    pytest.mark.skipif(sys.platform == "win32", reason="the page's commands are those of a POSIX shell"),
]

EVERYTHING = os.environ.get("DS_DOCKER_ENV_EVERY_FORK") == "1"
# Reading production, locking, and surviving a kill are the same in most forks.
OF_THE_TEMPLATE = [
    *(f"tests/generation/test_{name}.py" for name in ("answers", "dvc", "services")),
    *(f"tests/rendered/test_{name}.py" for name in ("compose", "golden", "languages", "layout", "pipelines", "readme")),
    "tests/test_template.py",
    "tests/test_addresses.py",
    "tests/test_reference.py",
    "tests/rendered/test_scanners.py",
    "tests/generation/test_events.py::test_the_transcript_in_the_readme_is_what_a_person_sees",
    "tests/rendered/test_workflows.py::test_the_named_projects_cover_every_choice_of_every_question",
]
FAST = ("-q", "-m", "not docker and not network and not forks", "-p", "no:cacheprovider", "--tb=short")
PAGE = (TEMPLATE / "docs" / "how-to" / "forking.md").read_text(encoding="utf-8")
PAGES_INDEX = "https://packages.example.com/simple/"
COMPOSE = "{{cookiecutter.project_slug}}/docker-compose.yml"
README = "{{cookiecutter.project_slug}}/README.md"
# A package in a lock, and what needs it.
ENTRY = re.compile(r"^([a-z0-9-]+)==(\S+) .*\n(?:    --hash.*\n)+((?:    #.*\n)+)", re.MULTILINE)


@dataclass(frozen=True)
class Fork:
    """A clone of this repository, with a home and a shell of its own; nothing has to be installed for it."""

    folder: Path
    index: PackageIndex

    def read(self, name: str) -> str:
        return (self.folder / name).read_text(encoding="utf-8")

    def replace(self, name: str, old: str, new: str) -> None:
        text = self.read(name)
        assert text.count(old) == 1, f"{name} has {text.count(old)} times: {old}"
        (self.folder / name).write_text(text.replace(old, new), encoding="utf-8", newline="\n")

    def cut(self, name: str, begin: str, end: str) -> None:
        """Take out what begins with one text and ends with another."""
        found = re.search(rf"{re.escape(begin)}.*?{re.escape(end)}", self.read(name), re.DOTALL)
        assert found, f"{name} has no {begin!r}"
        self.replace(name, found[0], "")

    def answer(self, **answers: Any) -> None:
        """Change defaults in cookiecutter.json, and renew the table of questions."""
        context = json.loads(self.read("cookiecutter.json"))
        assert set(answers) <= set(context)
        self.replace("cookiecutter.json", self.read("cookiecutter.json"), json.dumps(context | answers, indent=2))
        self.renew("reference")

    def renew(self, name: str) -> None:
        """Run one of the programs that write pages from the code."""
        self.succeed(sys.executable, f"tests/{name}.py")

    def run(self, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            cwd=self.folder,
            env=self._environment() | environment,
            capture_output=True,
            encoding="utf-8",
            check=False,
            timeout=600,
        )

    def succeed(self, *command: str, **environment: str) -> str:
        done = self.run(*command, **environment)
        assert done.returncode == 0, f"{shlex.join(command)}\n{done.stdout[-6000:]}\n{done.stderr[-6000:]}"
        return done.stdout

    def refresh(self, **environment: str) -> None:
        """Lock again; only the fork's own index answers, or one that is named here."""
        nowhere = "http://127.0.0.1:9/"
        self.succeed(sys.executable, "locks/refresh.py", **{"UV_DEFAULT_INDEX": nowhere, **environment})

    def generate(self, *answers: str) -> Path:
        """Generate as an analyst does who asks no question, in this folder."""
        output = self.folder.parent / "generated"
        command = (sys.executable, "-m", "cookiecutter", ".", "--no-input", "--output-dir", str(output), *answers)
        self.succeed(*command, UV_DEFAULT_INDEX=self.index.url)
        [project] = output.iterdir()
        return project

    def test(self, *files: str) -> str:
        """Run fast tests, none of which may be skipped but for what is not on offer."""
        said = self.succeed(sys.executable, "-m", "pytest", *FAST, *files)
        skipped = re.findall(r"^SKIPPED .*", said, re.MULTILINE)
        assert all(" on offer" in line or "empty parameter set" in line for line in skipped), said
        return said

    def _environment(self) -> dict[str, str]:
        home = self.folder.parent / "home"
        home.mkdir(exist_ok=True)
        # What an outer pytest tells its own processes, and a hook of git's its own commands.
        others = {name: text for name, text in os.environ.items() if not name.startswith(("PYTEST", "GIT_"))}
        return others | {
            **{
                "HOME": str(home),
                "USERPROFILE": str(home),
                "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            },
            # uv runs in the environment that these tests run in.
            **{"UV_PROJECT_ENVIRONMENT": sys.prefix, "UV_NO_SYNC": "1"},
            **{f"GIT_{who}_{what}": text for who in ("AUTHOR", "COMMITTER") for what, text in NOBODY.items()},
        }


NOBODY = {"NAME": "Ada", "EMAIL": "ada@example.com"}


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Commit this repository, as it is in its folder, to one of its own."""
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(listed, cwd=TEMPLATE, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip("not in a git repository")
    folder = tmp_path_factory.mktemp("original") / "ds-docker-env"
    for name in filter(None, done.stdout.split("\0")):
        if (TEMPLATE / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes((TEMPLATE / name).read_bytes())
    committed(folder)
    return folder


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PackageIndex]:
    """Serve all that the shipped locks hold, as tiny wheels with these names, versions and needs, and a bit more."""
    pythons: dict[tuple[str, str], set[str]] = defaultdict(set)
    needs: dict[tuple[str, str], set[str]] = defaultdict(set)
    for path in (TEMPLATE / "locks").glob("*.txt"):
        made_for = path.stem.split("-")[1]
        python = {"bookworm": "3.11", "trixie": "3.13"}.get(made_for, made_for)
        entries = ENTRY.findall(path.read_text(encoding="utf-8"))
        versions = {name: version for name, version, _ in entries}
        for name, version, note in entries:
            pythons[name, version].add(python)
            for by in re.findall(r"#(?: via|  ) ([a-z0-9-]+)$", note, re.MULTILINE):
                needs[by, versions[by]].add(f'{name}<={version}; python_version == "{python}"')
    with PackageIndex(tmp_path_factory.mktemp("index")) as index:
        for (name, version), these in pythons.items():
            oldest = min(these, key=lambda python: int(python.partition(".")[2]))
            index.add(name, version, requires=tuple(sorted(needs[name, version])), python=f">={oldest}")
        for name in ("polars", "duckdb"):
            index.add(name, "99.0")
        index.add("setuptools", "79.0.1")
        yield index


@pytest.fixture
def fork(original: Path, index: PackageIndex, tmp_path: Path) -> Fork:
    fork = Fork(tmp_path / "fork", index)
    fork.folder.parent.mkdir(exist_ok=True)
    subprocess.run(["git", "clone", "--quiet", str(original), str(fork.folder)], check=True)
    return fork


Seen = dict[str, str]


def every_default(fork: Fork) -> Seen:
    """Give every question another default."""
    (fork.folder / "production.txt").write_text("requests==2.32.4\n")
    fork.index.add("requests", "2.32.4")
    fork.answer(
        project_name="Team Analysis",
        project_slug="{{ cookiecutter.project_name | slugify }}",
        question="Who leaves?",
        data="the warehouse",
        ticket_url="https://tickets.example.com/",
        production_requirements="production.txt",
        python_version=["3.11", *(python for python in CONTEXT["python_version"] if python != "3.11")],
        debian_release=["bookworm", "trixie"],
        dvc_s3_url="s3://team/data",
        services="redis, mysql",
        ci=["gitlab", "none", "github"],
    )
    return {
        "README.md": "# Team Analysis\n\n**Question.** Who leaves?\n\n**Data.** the warehouse\n\n"
        "**Ticket.** <https://tickets.example.com/>\n",
        "requirements.txt": "\nrequests==2.32.4 ",
        "Dockerfile": "\nFROM python:3.11-bookworm",
        "docker-compose.yml": "-m ds_docker_env.image.setup team-analysis\n",
        ".dvc/config": "s3://team/data",
        ".gitlab-ci.yml": "\nworkflow:\n",
    }


def added_question(fork: Fork) -> Seen:
    """Ask who is responsible, and say other things in a project's README."""
    fork.cut(README, "Write Debian packages into", "docker compose up --build`.\n")
    fork.cut(README, "Run `uvx cruft update`", "the passwords.\n")
    fork.replace(README, "## Update from the template\n\n", "## Help\n\nAsk in #analysis.\n")
    fork.replace(README, "## How to\n", "## Guides\n")
    context = json.loads(fork.read("cookiecutter.json"))
    context = {"owner": "analysis@example.com", **context}
    context["__prompts__"] = {"owner": "Who is responsible", **context["__prompts__"]}
    fork.replace("cookiecutter.json", fork.read("cookiecutter.json"), json.dumps(context))
    fork.replace(README, "\n## Start\n", "\n**Owner.** {{ cookiecutter.owner }}\n\n## Start\n")
    fork.renew("golden")
    fork.renew("reference")
    return {"README.md": "\n**Owner.** analysis@example.com\n"}


def in_portuguese(fork: Fork) -> Seen:
    """Ask and explain in Portuguese without being told to."""
    context = json.loads(fork.read("cookiecutter.json"))
    context |= yaml.safe_load(fork.read("pt.yaml"))["default_context"]
    fork.replace("cookiecutter.json", fork.read("cookiecutter.json"), json.dumps(context))
    fork.renew("reference")
    return {"README.md": "\n## Como começar\n"}


def less_of_everything(fork: Fork) -> Seen:
    """Offer one Python on one Debian, few packages of which one is new, and no MySQL, a database with a password."""
    fork.answer(python_version=["3.11"], debian_release=["bookworm"])
    fork.cut("locks/requirements.in", "pandas>=", "pymysql>=0.10\n")
    fork.replace(
        "locks/requirements.in", "ipykernel>=6\nipywidgets>=8\n", "ipywidgets>=8.1\npolars>=1\nipykernel>=6.29\n"
    )
    fork.replace("ds_docker_env/common/services.py", '"mysql", "postgres"', '"postgres"')
    fork.replace("ds_docker_env/common/services.py", '"mysql": "MySQL", ', "")
    fork.cut(COMPOSE, '{% if "mysql" in services %}\n', "{% endif %}\n")
    fork.cut(README, '{% if "mysql" in services %}\n', "{% endif %}\n")
    (fork.folder / "locks" / "requirements-mysql.in").unlink()
    of_both, of_one = "[`mysql`](#mysql), [`postgres`](#postgresql) | MySQL, ", "[`postgres`](#postgresql) | "
    fork.replace("docs/how-to/connect-services.md", of_both, of_one)
    fork.replace("README.md", "services=mysql", "services=postgres")
    said = "random password in .secrets"
    fork.replace("README.md", f"MySQL:      {said}/mysql", f"PostgreSQL: {said}/postgres")
    fork.replace("cookiecutter.json", "mysql, postgres, h2o", "postgres, h2o")
    fork.answer(services="postgres")
    fork.refresh(UV_DEFAULT_INDEX=fork.index.url)
    left = {path.name: path.read_text(encoding="utf-8") for path in (fork.folder / "locks").glob("*.txt")}
    made_for = ("requirements-3.11", "tools-bookworm")
    assert left.keys() == {f"{name}{more}.txt" for name in made_for for more in ("", "-options")}
    assert "\ncryptography==" not in left["requirements-3.11-options.txt"]
    return {
        "Dockerfile": "\nFROM python:3.11-bookworm",
        "requirements.in": "\nipywidgets>=8.1\npolars>=1\nipykernel>=6.29\n",
        "requirements.txt": "\npolars==99.0 ",
        "docker-compose.yml": "\n    image: postgres:",
    }


# The page's fork has other packages, another registry, another index and another version of a service.
FORKS: tuple[Callable[[Fork], Seen], ...] = (every_default, less_of_everything, added_question, in_portuguese)


@pytest.mark.parametrize("change", FORKS, ids=lambda change: change.__name__)
def test_the_fast_tests_pass_in_a_fork_and_its_projects_are_as_it_says(
    fork: Fork, change: Callable[[Fork], Seen]
) -> None:
    seen = change(fork)
    if change is not in_portuguese:
        fork.succeed("git", "rm", "-r", "--quiet", "pt.yaml", "README.pt.md", "templates")
        fork.renew("reference")
    committed(fork.folder)
    project = fork.generate()
    for name, text in seen.items():
        assert text in (project / name).read_text(encoding="utf-8"), name
    print(fork.test(*([] if EVERYTHING else OF_THE_TEMPLATE)))


def test_the_pages_fork_is_made_tested_used_and_kept_up_with_its_own_commands(
    original: Path, index: PackageIndex, tmp_path: Path
) -> None:
    upstream, team = tmp_path / "upstream", tmp_path / "team.git"
    outside = Fork(tmp_path / "work", index)
    outside.folder.mkdir()
    outside.succeed("git", "clone", "--quiet", str(original), str(upstream))
    outside.succeed("git", "init", "--quiet", "--bare", "--initial-branch=main", str(team))
    addresses = {
        upstream: "https://github.com/org/ds-docker-env",
        team.with_suffix(""): "https://github.com/acme/ds-docker-env",
    }
    github = {"GIT_CONFIG_COUNT": str(len(addresses)), "UV_DEFAULT_INDEX": "http://127.0.0.1:9/"}
    for number, (folder, address) in enumerate(addresses.items()):
        github |= {f"GIT_CONFIG_KEY_{number}": f"url.{folder}.insteadOf", f"GIT_CONFIG_VALUE_{number}": address}
    clone, make, use, keep_up = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)

    outside.succeed("bash", "-ec", clone, **github)
    fork = Fork(outside.folder / "ds-docker-env", index)
    for name, changes in re.findall(r"`([^`\n]+)`[^`\n]*\n\n```diff\n(.*?)```", PAGE, re.DOTALL):
        for old, new in re.findall(r"((?:^-.*\n)+)((?:^\+.*\n)+)", changes, re.MULTILINE):
            fork.replace(name, re.sub("^-", "", old, flags=re.MULTILINE), re.sub(r"^\+", "", new, flags=re.MULTILINE))
    fork.replace("cookiecutter.json", PAGES_INDEX, index.url)
    if not EVERYTHING:
        # Tests of code that a fork does not change; the weekly run includes them.
        github["PYTEST_ADDOPTS"] = " ".join(f"--ignore=tests/{room}" for room in ("common", "image", "pinning"))
    print(fork.succeed("bash", "-ec", make, **github))
    assert "\npolars==99.0 " in fork.read("locks/requirements-3.11.txt")
    assert "gh:acme/ds-docker-env" in fork.read("README.md")

    (outside.folder / "pins.txt").write_text("polars==99.0\n")
    command = use.strip().replace("uvx cookiecutter", f"{sys.executable} -m cookiecutter")
    outside.succeed("bash", "-ec", f"{command} --no-input production_requirements=pins.txt", **github)
    project = Fork(outside.folder / "data_science_analysis", index)
    assert "\npolars==99.0 " in project.read("requirements.txt")
    assert "\nFROM registry.example.com/mirror/python:3.11-bookworm" in project.read("Dockerfile")
    assert "\n    image: registry.example.com/mirror/redis:7.4.2-bookworm\n" in project.read("docker-compose.yml")
    assert "\nQuestions go to the channel #analysis." in project.read("README.md")

    later = Fork(upstream, index)
    later.replace(README, "## Check\n", "## Checks\n")
    later.replace("templates/README.pt.md", "## Verificar\n", "## Verificações\n")
    for lock in (upstream / "locks").glob("*.txt"):
        lock.write_text(lock.read_text(encoding="utf-8").replace("index as of 2", "index as of 3"), encoding="utf-8")
    committed(upstream)
    fork.run("bash", "-c", keep_up, **github)
    assert fork.succeed("git", "status", "--porcelain") == ""
    assert "\n## Checks\n" in fork.read(README)
    assert "\npolars==99.0 " in fork.read("locks/requirements-3.11.txt")
    fork.test("tests/test_template.py")


def half_a_service(fork: Fork) -> set[str]:
    fork.replace("ds_docker_env/common/services.py", '("redis", ', "(")
    return {"connect-services.md", "docker-compose.yml", "cookiecutter.json", "requirements-redis.in"}


def a_default_that_no_page_has(fork: Fork) -> set[str]:
    fork.replace("cookiecutter.json", '"dvc_s3_url": ""', '"dvc_s3_url": "s3://team/data"')
    return {"uv run tests/reference.py"}


def an_address_that_no_page_has(fork: Fork) -> set[str]:
    fork.replace("cookiecutter.json", f'"{CONTEXT["_template_url"]}"', '"https://github.com/acme/analyses"')
    return {"README.md", "uv run tests/addresses.py"}


def a_package_that_is_not_locked(fork: Fork) -> set[str]:
    fork.replace("locks/requirements.in", "boto3>=1.17\n", "boto3>=1.17\npolars>=1\n")
    return {"polars", "locks/refresh.py"}


def a_pair_without_an_image(fork: Fork) -> set[str]:
    fork.answer(python_version=["3.8", "3.13"], debian_release=["trixie"])
    return {"for Python 3.8 choose bookworm"}


BROKEN: tuple[Callable[[Fork], set[str]], ...] = (
    *(half_a_service, a_default_that_no_page_has, an_address_that_no_page_has),
    *(a_package_that_is_not_locked, a_pair_without_an_image),
)


@pytest.mark.parametrize("change", BROKEN, ids=lambda change: change.__name__)
def test_a_fork_that_is_half_done_fails_and_says_where(fork: Fork, change: Callable[[Fork], set[str]]) -> None:
    wanted = change(fork)
    files = ["tests/test_template.py", "tests/test_addresses.py", "tests/test_reference.py"]
    files += ["tests/generation/test_services.py"] if change is half_a_service else []
    done = fork.run(sys.executable, "-m", "pytest", *FAST, "--numprocesses=0", *files)
    said = [line for line in done.stdout.splitlines() if line.startswith(("E  ", "FAILED"))]
    assert done.returncode == 1
    assert {word for word in wanted if word not in "\n".join(said)} == set(), "\n".join(said)
