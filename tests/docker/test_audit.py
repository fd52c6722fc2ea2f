"""The audit of the locks and of src, with a local database of advisories behind a proxy."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest
from pages import page

from docker.advisories import LOCKED, Advisories
from docker.conftest import PINNED, copied
from docker.project import Done, Project, blocks, sh

pytestmark = pytest.mark.docker

# The container reaches the test's server, and trusts its proxy as a company's base image does.
ON_THIS_MACHINE = """\
services:
  jupyter:
    network_mode: host
    volumes:
      - ./proxy.pem:/etc/ssl/certs/ca-certificates.crt:ro
"""
WITHOUT_NETWORK = "services: {jupyter: {network_mode: none}}\n"
DAY = "2099-01-02"
# A local version, like PyTorch's +cpu.
LOCAL = "+company.1"
CLEAN = "No known vulnerability to fix"
LOCKS = ("requirements.txt", "tools.txt")


@pytest.fixture
def advisories(audited: Project) -> Iterator[Advisories]:
    with Advisories(*map(audited.read, LOCKS)) as advisories:
        advisories.write_certificate(audited.folder / "proxy.pem")
        yield advisories


@pytest.fixture(scope="module")
def audited(built: Project, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    project = copied(built, tmp_path_factory.mktemp("audited"))
    (project.folder / "compose.override.yaml").write_text(ON_THIS_MACHINE, encoding="utf-8")
    for name in ("requirements.txt", "production.txt"):
        numpy = f"numpy=={PINNED['numpy']}"
        assert numpy in project.read(name)
        (project.folder / name).write_text(project.read(name).replace(numpy, numpy + LOCAL), encoding="utf-8")
    yield project
    project.remove()


@pytest.fixture
def audit(audited: Project, advisories: Advisories) -> Callable[..., Done]:
    """Run the page's command for users behind a proxy."""
    [words] = [block.split() for block in blocks(page("audit.md"), "sh") if "HTTPS_PROXY" in block]

    def _audit(*options: str, command: str = "audit") -> Done:
        environment = {**audited.environment, "HTTPS_PROXY": advisories.url}
        return sh(*words[:-1], command, *options, folder=audited.folder, environment=environment, check=False)

    return _audit


def rows(said: Done, title: str) -> list[list[str]]:
    """Return the cells of the table with this title."""
    [table] = [part for part in said.stdout.split("\n\n") if part.startswith(f"{title}\n")]
    return [re.split(r"\s{2,}", line.strip()) for line in table.splitlines()[2:]]


@pytest.mark.parametrize("options", [(), ("--vulnerability-service", "osv")], ids=["index", "osv"])
def test_inherited_and_added_vulnerabilities_are_separate_tables(
    audited: Project, advisories: Advisories, audit: Callable[..., Done], options: tuple[str, ...]
) -> None:
    boto3 = dict(LOCKED.findall(audited.read("requirements.txt")))["boto3"]
    jupyterlab = dict(LOCKED.findall(audited.read("tools.txt")))["jupyterlab"]
    advisories.add("jupyterlab", jupyterlab, "CVE-2099-6", fixed_in="99")
    advisories.add("requests", PINNED["requests"], "PYSEC-2099-1", "CVE-2099-1", "GHSA-aaaa", fixed_in="2.33.0")
    advisories.add("requests", PINNED["requests"], "GHSA-aaaa", "CVE-2099-1", fixed_in="2.33.0")
    advisories.add("PySocks", PINNED["PySocks"], "PYSEC-2099-2", fixed_in="2.0")
    advisories.add("certifi", PINNED["certifi"], "PYSEC-2099-3", fixed_in="2026.1.1", withdrawn=True)
    advisories.add("boto3", boto3, "CVE-2099-4-undated")
    advisories.add("numpy", PINNED["numpy"], "CVE-2099-5")
    said = audit(*options)
    assert rows(said, "Inherited from production:") == [
        ["numpy", PINNED["numpy"], "CVE-2099-5", DAY, "no version yet"],
        ["pysocks", PINNED["PySocks"], "PYSEC-2099-2", DAY, "2.0"],
        ["requests", PINNED["requests"], "PYSEC-2099-1, CVE-2099-1, GHSA-aaaa", DAY, "2.33.0"],
    ]
    assert rows(said, "Added by the analysis:") == [["boto3", boto3, "CVE-2099-4-undated", "no version yet"]]
    assert rows(said, "JupyterLab and other tools:") == [["jupyterlab", jupyterlab, "CVE-2099-6", DAY, "99"]]
    last = said.stdout.splitlines()[-1]
    assert last.startswith("To do: fix production's pins in production, then run take-over; ")
    assert "docker compose run --rm jupyter lock --upgrade-package boto3 --at 2" in last
    assert said.returncode == 1
    assert len(advisories.asked) == len(advisories.known), "what is in both locks is asked for once"


def test_a_fresh_project_without_advisories_is_clean(
    audited: Project, advisories: Advisories, audit: Callable[..., Done]
) -> None:
    count = len({name for name, _ in advisories.known})
    said = audit()
    packages = rf"{count} of {count} packages and \d+ Debian packages"
    assert re.fullmatch(rf"{CLEAN} in {packages}; nothing unsafe in src\.\n", said.stdout)
    assert said.returncode == 0


def test_fixed_debian_vulnerabilities_require_an_action_and_unfixed_ones_are_counted(
    advisories: Advisories, audit: Callable[..., Done]
) -> None:
    advisories.add_debian("bash", "CVE-2099-7", fixed_in="99:1-1")
    advisories.add_debian("bash", "CVE-2099-8")
    advisories.add_debian("linux", "CVE-2099-9", fixed_in="99:1-1")
    said = audit()
    [[name, version, *others]] = rows(said, "Fixed by Debian:")
    assert (name, others) == ("bash", ["CVE-2099-7", DAY, "99:1-1"])
    assert version[0].isdigit()
    assert "Vulnerabilities that Debian has not fixed: 1; to list them, run: audit --unfixed\n" in said.stdout
    assert said.stdout.splitlines()[-1].startswith(
        "To do: renew the base image (docs/how-to/base-image.md of the template"
    )
    assert said.returncode == 1


def test_check_names_vulnerabilities_that_a_move_fixes_and_a_silent_database(
    audited: Project, advisories: Advisories, audit: Callable[..., Done]
) -> None:
    before = {name: audited.read(name) for name in ("production.txt", "requirements.txt")}
    advisories.add("six", "1.17.0", "PYSEC-2099-1", "CVE-2099-1")
    advisories.known["six", "1.16.0"] = []
    try:
        for name, text in before.items():
            (audited.folder / name).write_text(text.replace("six==1.17.0", "six==1.16.0"), encoding="utf-8")
        said = audit(command="check")
        advisories.status = 503
        silent = audit(command="check")
    finally:
        for name, text in before.items():
            (audited.folder / name).write_text(text, encoding="utf-8")
    assert "\nsix 1.17.0 -> 1.16.0  older version; fixes CVE-2099-1\n" in said.stdout
    assert "\nsix 1.17.0 -> 1.16.0  older version\n" in silent.stdout
    assert silent.stdout.count("Not known:  vulnerabilities: not looked up, because the database ") == 1
    assert (said.returncode, silent.returncode) == (1, 1)


def test_a_package_unknown_to_the_database_is_named(advisories: Advisories, audit: Callable[..., Done]) -> None:
    names = {name for name, _ in advisories.known}
    count = len(names)
    del advisories.known["certifi", PINNED["certifi"]]
    said = audit()
    assert re.search(r"^Not audited, .*: certifi *$", said.stdout, re.MULTILINE)
    assert f"{CLEAN} in {count - 1} of {count} packages" in said.stdout


def test_an_advisory_is_accepted_until_the_last_day_in_audit_toml(
    audited: Project, advisories: Advisories, audit: Callable[..., Done]
) -> None:
    advisories.add("requests", PINNED["requests"], "PYSEC-2099-1", "CVE-2099-1")
    [example] = blocks(page("audit.md"), "toml")
    accepted = audited.folder / "audit.toml"
    accepted.write_text(re.sub(r'id = ".*"', 'id = "CVE-2099-1"', example), encoding="utf-8")
    try:
        assert audit().returncode == 0
        accepted.write_text(re.sub("until = .*", "until = 2020-01-31", accepted.read_text("utf-8")), encoding="utf-8")
        said = audit()
    finally:
        accepted.unlink()
    assert said.stdout.startswith("audit.toml:1: CVE-2099-1: was accepted until 2020-01-31; ")
    assert said.returncode == 1


def test_unsafe_code_is_named_by_file_cell_and_line_unless_accepted(
    audited: Project, audit: Callable[..., Done]
) -> None:
    load = 'import pickle\npickle.load(open("model.pickle", "rb"))'
    (audited.folder / "src" / "data" / "copy.py").write_text(load)
    name = audited.write_notebook("%pip list\n!ls", "assert 1\n" + load, f"{load}  # noqa: S301")
    try:
        said = audit()
    finally:
        (audited.folder / name).unlink()
    assert re.findall(r"^(\S+:cell \d+:\d+):\d+: (S\d+) ", said.stdout, re.MULTILINE) == [(f"{name}:cell 2:3", "S301")]
    assert "copy.py" not in said.stdout
    assert said.stdout.splitlines()[-1].startswith("To do: change src, or end safe lines with a comment")
    assert said.returncode == 1


@pytest.mark.parametrize(
    ("status", "why"), [(503, "503 Server Error"), (404, "does not know any of the")], ids=["broken", "knows nothing"]
)
def test_a_failing_database_is_not_reported_as_clean(
    advisories: Advisories, audit: Callable[..., Done], status: int, why: str
) -> None:
    advisories.status = status
    said = audit()
    assert said.stdout == ""
    python, debian = problems(said.stderr)
    assert python.startswith(
        "the packages in requirements.txt and tools.txt are not audited and may have vulnerabilities:"
    )
    assert why in python
    assert f"the server answered {status}" in debian
    assert said.returncode == 2


def test_the_audit_fails_with_a_reason_without_a_network(copy: Project) -> None:
    (copy.folder / "compose.override.yaml").write_text(WITHOUT_NETWORK, encoding="utf-8")
    command = "HTTPS_PROXY=http://ada:canary@127.0.0.1:9 audit"
    for shell in (command, command.partition(" ")[2]):
        said = copy.run("sh", "-c", shell, check=False)
        assert said.stdout == ""
        assert len(problems(said.stderr)) == 2
        for problem in problems(said.stderr):
            assert "not audited" in problem
            assert "HTTPS_PROXY" in problem
        assert not re.search("canary|Traceback", said.stdout + said.stderr)
        assert said.returncode == 2


def problems(stderr: str) -> list[str]:
    """Return the messages of the audit, without Compose's."""
    return re.findall(r"^audit: (.*)$", stderr, re.MULTILINE)
