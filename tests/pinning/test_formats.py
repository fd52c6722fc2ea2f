from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
from lock_samples import CONDA, PIPFILE, POETRY_1_1, POETRY_1_8, POETRY_2, PYLOCK_OF_PDM, PYLOCK_OF_PIP, UV, WHEEL
from pip_requirements_parser import RequirementsFile

from ds_docker_env.common.errors import RequirementsError
from ds_docker_env.pinning.production.formats import Converted, as_requirements, page


@pytest.fixture(autouse=True)
def public(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take an example URL in the locks below for the public index."""
    monkeypatch.setattr(page, "PUBLIC_INDEX", re.compile(r"https://public\.example/simple"))


@pytest.mark.parametrize("path", ["", "/simple/", "/pypi"])
def test_the_public_index_is_known(path: str) -> None:
    public = re.compile(page.PUBLIC_INDEX_PATTERN)
    assert public.fullmatch("https://pypi" + ".org" + path)
    assert not public.fullmatch(f"https://pypi.example.com{path}")


PLAIN = "requests==2.32.3  # [project]\n-r more.txt\nnumpy==1.26.4=py311\n"


class Case(NamedTuple):
    """A file, the requirements that it becomes, and the packages that are left out."""

    name: str
    text: str
    requirements: list[str]
    left_out: tuple[str, ...] = ()


LOCKS = {
    "uv.lock": Case(
        "uv.lock",
        UV,
        [
            "colorama==0.4.6 ; sys_platform == 'win32' --hash=sha256:0869 --hash=sha256:4f1d",
            "gitlib @ git+https://git.example/gitlib@9a455a38#subdirectory=py",
            "iniconfig==2.0.0 ; python_full_version < '3.11' --hash=sha256:2d91",
            "iniconfig==2.1.0 ; python_full_version >= '3.11' --hash=sha256:3abb",
            f"toml @ {WHEEL} --hash=sha256:8061",
        ],
        ("lib (directory lib)", "sortedcontainers==2.4.0 (optional)"),
    ),
    "pylock.toml of PDM": Case(
        "https://example.com/pylock.toml?ref=main",
        PYLOCK_OF_PDM,
        [
            'colorama==0.4.6 ; sys_platform == "win32" --hash=sha256:0869 --hash=sha256:4f1d',
            "gitlib @ git+https://git.example/gitlib@9a455a38",
            f"toml @ {WHEEL} --hash=sha256:8061",
        ],
        ("lib (directory lib)",),
    ),
    "pylock.toml of pip": Case("locks/pylock.production.toml", PYLOCK_OF_PIP, ["six==1.16.0 --hash=sha256:8abb"]),
    "poetry.lock of Poetry 2": Case(
        "poetry.lock",
        POETRY_2,
        [
            "--extra-index-url https://pypi.example/simple",
            'colorama==0.4.6 ; platform_system == "Windows" --hash=sha256:4f1d --hash=sha256:0869',
            "gitlib @ git+ssh://git@git.example/team/gitlib.git@9a455a38#subdirectory=py",
            'iniconfig==2.1.0 ; python_version >= "3.11" --hash=sha256:3abb',
            f"toml @ {WHEEL} --hash=sha256:8061",
        ],
        ("lib (directory lib)", "sortedcontainers==2.4.0 (optional)"),
    ),
    "poetry.lock of Poetry 1.8, which does not say the group": Case(
        "poetry.lock", POETRY_1_8, ["colorama==0.4.6 --hash=sha256:0869", "pluggy==1.5.0 --hash=sha256:2cff"]
    ),
    "poetry.lock of Poetry 1.1": Case(
        "git+https://git.example/shop.git@v1#services/poetry.lock",
        POETRY_1_1,
        ["colorama==0.4.6 --hash=sha256:4f1d --hash=sha256:0869"],
    ),
    "Pipfile.lock": Case(
        "Pipfile.lock",
        PIPFILE,
        [
            "--extra-index-url https://pypi.example/simple",
            'colorama ; sys_platform == "win32"',
            "gitlib @ git+https://git.example/gitlib@9a455a38",
            'tqdm[slack]==4.66.4 ; python_version >= "3.8" --hash=sha256:3552 --hash=sha256:e4d9',
            f"toml @ {WHEEL} --hash=sha256:8061",
        ],
        ("lib (directory ./lib)",),
    ),
    "environment.yml": Case(
        "environment.yml",
        CONDA,
        [
            *("numpy==1.26.4", "pandas<3,>=2"),
            *("six==1.16.0", "tqdm[slack]==4.66.4 ; python_version >= '3.8'", "-r other.txt"),
        ],
        ("mkl=2023.1.0 (conda)",),
    ),
}
each_lock = pytest.mark.parametrize("case", LOCKS.values(), ids=LOCKS)


def taken(text: str, name: str) -> list[str]:
    """Return the requirements, with hashes and commits shortened as in the cases, and left-out packages."""
    converted = as_requirements(text, name)
    lines = [re.sub(r"(sha256:[0-9a-f]{4}|@9a455a38)[0-9a-f]+", r"\1", line) for line in converted.text.splitlines()]
    return [line for line in (*lines, *converted.left_out) if line]


@each_lock
def test_a_lock_becomes_requirements(case: Case) -> None:
    assert taken(case.text, case.name) == [*case.requirements, *case.left_out]


@each_lock
def test_pip_reads_each_requirement_on_the_line_of_its_entry(case: Case, tmp_path: Path) -> None:
    path = tmp_path / "requirements.txt"
    path.write_text(as_requirements(case.text, case.name).text)
    (tmp_path / "other.txt").touch()
    parsed = RequirementsFile.from_file(str(path))
    assert parsed.invalid_lines == []
    assert len(parsed.requirements) + len(parsed.options) == len(case.requirements)
    lines = case.text.splitlines()
    for requirement in parsed.requirements:
        first = requirement.requirement_line.line_number
        entry = "\n".join(lines[first - 1 : first + 1])
        assert requirement.name in entry
        assert "{" in entry or "[[package" in entry or f"- {requirement.name}" in entry.replace('"', "")


@each_lock
def test_a_lock_is_recognised_by_its_content_also_with_windows_line_ends(case: Case) -> None:
    converted = as_requirements(case.text, case.name)
    assert as_requirements(case.text, "https://example.com/download/17") == converted
    assert as_requirements(case.text.replace("\n", "\r\n"), case.name) == converted


@pytest.mark.parametrize("name", ["requirements.txt", "https://example.com/poetry.lock/raw", "environment.txt", "prod"])
@pytest.mark.parametrize("text", [PLAIN, PLAIN.replace("\n", "\r\n"), "\n", "# dependencies: none\nsix==1.16.0"])
def test_plain_requirements_are_unchanged(text: str, name: str) -> None:
    assert as_requirements(text, name) == Converted(text, ())


PUBLIC = 'registry = "https://public.example/simple"'
PROJECT = 'virtual = "."'


def locked(name: str, *needs: str, source: str = PUBLIC) -> str:
    """Return a package of uv.lock; it needs ``name`` or ``name ; marker``."""
    needed = ", ".join(f'{{ name = "{need}" }}' for need in needs).replace(" ; ", '", marker = "')
    return f"""
[[package]]
name = "{name}"
version = "1"
source = {{ {source} }}
dependencies = [{needed}]
"""


def uv_lock(*packages: str, head: str = "") -> str:
    return f'version = 1\nrequires-python = ">=3.8"\n{head}' + "".join(packages)


WIN, LINUX = "sys_platform == 'win32'", "sys_platform == 'linux'"
ONE, OTHER = (
    f'version = "1", source = {{ registry = "https://{index}.example/simple" }}' for index in ("one", "other")
)
NEEDED = {
    "extras that exclude each other": (
        uv_lock(
            locked("shop", "a", source=PROJECT)
            + '[package.optional-dependencies]\ncpu = [{ name = "b" }]\ngpu = [{ name = "c" }]\n',
            *map(locked, "abc"),
            head='conflicts = [[{ package = "shop", extra = "cpu" }, { package = "shop", extra = "gpu" }]]\n',
        ),
        ["a==1", "b==1 (optional)", "c==1 (optional)"],
    ),
    "a workspace without a project": (
        uv_lock(
            locked("app", "a", source='editable = "my app"'), *map(locked, "ab"), head='[manifest]\nmembers = ["app"]\n'
        ),
        ["a==1", "app (directory my app)"],
    ),
    "a script": (
        uv_lock(locked("a", "b"), locked("b"), head='[manifest]\nrequirements = [{ name = "a" }]\n'),
        ["a==1", "b==1"],
    ),
    "the project's own code and files": (
        uv_lock(
            locked("shop", "a", "b", source='editable = "."'),
            locked("a", source='path = "../dist/a-1.zip"'),
            locked("b", source='directory = "/srv/b"'),
        ),
        ["shop (directory .)", "b (directory /srv/b)", "a (file ../dist/a-1.zip)"],
    ),
    "an index with a password, which the reader of requirements refuses": (
        uv_lock(
            locked("shop", "a", source=PROJECT), locked("a", source='registry = "https://me:canary@pypi.example/"')
        ),
        ["--index-url https://me:canary@pypi.example/", "a==1"],
    ),
    "an index with a line in it, which is not written": (
        uv_lock(locked("shop", "a", source=PROJECT), locked("a", source='registry = "https://x/\\n-r y"')),
        ["a==1"],
    ),
    "one version from two indexes": (
        uv_lock(
            locked("shop", f'a", {ONE}, marker = "{WIN}', f'a", {OTHER}, marker = "{LINUX}', source=PROJECT),
            *(locked("a", source=f'registry = "https://{index}.example/simple"') for index in ("one", "other")),
        ),
        [
            "--index-url https://one.example/simple",
            "--extra-index-url https://other.example/simple",
            "a==1 ; sys_platform == 'win32'",
            "a==1 ; sys_platform == 'linux'",
        ],
    ),
}


@pytest.mark.parametrize(("text", "expected"), NEEDED.values(), ids=NEEDED)
def test_a_uv_lock_becomes_the_requirements_of_the_project(text: str, expected: list[str]) -> None:
    assert taken(text, "uv.lock") == expected


PYLOCK = 'lock-version = "1.0"\ncreated-by = "pdm"\ndefault-groups = ["default"]\n[[packages]]\nname = "a"\n'
GROUPS = {
    "'default' in dependency_groups": ["a==1"],
    "'dev' in dependency_groups and os_name == 'nt'": [],
    "'fancy' in extras": [],
    "os_name == 'nt' or 'dev' not in dependency_groups": ["a==1"],
    "('default' in dependency_groups or 'x' in extras) and os_name == 'nt'": ['a==1 ; os_name == "nt"'],
    "os_name == 'nt' and ('x' in extras or os_name == 'nt')": [
        'a==1 ; os_name == "nt" and (python_version < "3" or os_name == "nt")'
    ],
}


@pytest.mark.parametrize(("marker", "expected"), GROUPS.items(), ids=GROUPS)
def test_a_pylock_becomes_the_default_groups_without_extras(marker: str, expected: list[str]) -> None:
    text = f'{PYLOCK}version = "1"\nmarker = "{marker}"\nsdist = {{ path = "a-1.tar.gz", hashes = {{ md5 = "1" }} }}\n'
    assert taken(text, "pylock.toml") == expected


PIECES = {
    "a marker in pieces": (
        '"a": {"version": "==1", "markers": "os_name == \'x\' or os_name == \'y\'", "sys_platform": "== \'linux\'"}',
        ['a==1 ; (os_name == "x" or os_name == "y") and sys_platform == "linux"'],
    ),
    "entries of the first pipenv": ('"-e .": "*", "a": "==1", "b": "*"', ["a==1", "b", ". (editable)"]),
    "a file of production's": ('"a": {"file": "dist/a.whl"}', ["a (file dist/a.whl)"]),
    "a repository of production's": ('"a": {"git": "../a", "ref": "1"}', ["a (repository ../a)"]),
}


@pytest.mark.parametrize(("entries", "expected"), PIECES.values(), ids=PIECES)
def test_a_pipfile_lock_may_hold(entries: str, expected: list[str]) -> None:
    assert taken(f'{{"_meta": {{}}, "default": {{{entries}}}}}', "Pipfile.lock") == expected


def poetry_lock(name: str = "a", version: str = "1", markers: str = "", url: str = "") -> str:
    source = f'source = {{ type = "url", url = "{url}" }}\n' if url else ""
    entry = f'[[package]]\nname = "{name}"\nversion = "{version}"\nmarkers = "{markers}"\n{source}'
    return f'{entry}[metadata]\ncontent-hash = "0"\n'


FUTURE = 'lock-version = "2.0"\ncreated-by = "x"\n'
POETRY_TWICE = POETRY_1_8.replace("pluggy", "colorama")
REFUSED = {
    "pyproject.toml": ("pyproject.toml", "[project]\nname = 'a'\n", "make a file with: uv export"),
    "pyproject.toml of Poetry": ("pyproject.toml", "[tool.poetry]\nname = 'a'\n", "poetry export"),
    "Pipfile": ("Pipfile", "[packages]\nsix = '*'\n", "use the Pipfile.lock beside it"),
    "setup.py": ("setup.py", "setup()\n", "pip freeze"),
    "setup.py by its content": ("x", "from setuptools import setup\n", "pip freeze"),
    "a web page": ("requirements.txt", "\n<!DOCTYPE html>\n<title>Sign in</title>", "perhaps a login page"),
    "the table of pip list": ("x", "Package Version Location\r\n------- ------- --------\r\n", "--format=freeze"),
    "package.json": ("package.json", '{"name": "x"}', "pip list --format=freeze"),
    "PDM's lock": ("pdm.lock", '[[package]]\nname = "a"\n', "pdm export"),
    "a lock of Rust": ("x", 'version = 3\n[[package]]\nname = "a"\nsource = "registry+https://x"\n', "not supported"),
    "YAML of something else": ("compose.yaml", "services:\n  web: {}\n", "not a conda environment"),
    "an environment with something else": (
        "env.yml",
        "dependencies:\n  - =1\n",
        "env.yml:2: invalid conda package '=1'",
    ),
    "broken JSON": ("Pipfile.lock", '{\n  "_meta": ,\n}', "Pipfile.lock:2: invalid JSON (Expecting value)"),
    "broken YAML": ("environment.yml", "dependencies:\n  - a\n b\n", "environment.yml:3: invalid YAML ("),
    "a control character in YAML": ("environment.yml", "dependencies:\n  - \x07\n", "invalid YAML (unacceptable char"),
    "a pylock.toml without a version": ("pylock.toml", "packages = []\n", "invalid pylock.toml (Missing"),
    "a pylock.toml of the future": ("pylock.toml", f"{FUTURE}packages = []", "version 2.0 is not supported"),
    "a wrong package of pylock.toml": ("pylock.toml", f"{PYLOCK}version = 1\n", "pylock.toml:4: invalid"),
    "a uv.lock of the future": (
        "uv.lock",
        "version = 2\nrequires-python = '>=3'",
        "uv cannot export this lock (The lock",
    ),
    "a poetry.lock of the future": ("poetry.lock", '[metadata]\nlock-version = "3.0"\n', "unsupported version 3.0"),
    "two versions of Poetry 1": ("poetry.lock", POETRY_TWICE, "poetry.lock:1: colorama is locked as 0.4.6 and 1.5.0"),
    "an invalid marker": (
        "uv.lock",
        uv_lock(locked("shop", "a ; x", source=PROJECT), locked("a")),
        "uv.lock:8: uv cannot export this lock (Expected a quoted string or a valid marker name, found `x`)",
    ),
    "a uv.lock amid a merge": ("uv.lock", f"version = 1\n<<<<<<< HEAD\n{UV}", "uv.lock:2: invalid TOML"),
    "a range in a Pipfile.lock": ("x", '{"_meta": {}, "default": {\n"a": ">=1"}}', "a has the invalid version '>=1'"),
    "a package without a name": ("poetry.lock", '[[package]]\nversion = "1"\n', ":1: the entry lacks a package name"),
    "nested JSON": ("Pipfile.lock", '{"_meta":' + "[" * 100_000, "nested too deeply"),
    "a key of many parts": ("uv.lock", f"version = 1\n{'.'.join('a' * 100_000)} = 1\n", "a key has too many parts"),
    "a number of many digits": ("poetry.lock", f"x = {'9' * 5000}\n", "invalid TOML"),
    "a large environment": ("environment.yml", "dependencies:\n" + "- six\n" * 2_000_000, "too large"),
}


@pytest.mark.parametrize(("name", "text", "message"), REFUSED.values(), ids=REFUSED)
def test_it_refuses(name: str, text: str, message: str) -> None:
    with pytest.raises(RequirementsError) as caught:
        as_requirements(text, name)
    (problem,) = caught.value.problems
    assert problem.startswith(name)
    assert message in problem
    assert "make " in problem or "use " in problem
    assert len(problem) < 500


INJECTED = {
    "a line in a name": poetry_lock(name="a\\n--index-url x"),
    "a line in a version": poetry_lock(version="1\\n-r /etc/passwd"),
    "an option in a URL": poetry_lock(url="https://public.example --pre "),
    "a backslash at the end of a URL": poetry_lock(url="https://public.example/a.zip\\\\"),
    "a line in a marker": poetry_lock(markers="os_name == 'x\\n-r y'"),
    "a comment in a marker": poetry_lock(markers="os_name == 'x #'"),
    "a line in an environment.yml": 'dependencies:\n  - pip:\n    - "six\\n-r /etc/passwd"\n',
}


@pytest.mark.parametrize("text", INJECTED.values(), ids=INJECTED)
def test_a_value_never_becomes_another_line_or_an_option(text: str) -> None:
    with pytest.raises(RequirementsError, match=r"x:\d+: invalid "):
        as_requirements(text, "x")


def test_many_entries_on_one_line_take_one_line_each() -> None:
    entries = ", ".join(f'"a{number}": {{"version": "==1"}}' for number in range(2_000))
    assert len(taken(f'{{"_meta": {{}}, "default": {{{entries}}}}}', "Pipfile.lock")) == 2_000


def test_aliases_of_yaml_are_not_multiplied() -> None:
    pins = ", ".join(["six==1"] * 1000)
    text = f"p: &p {{pip: [{pins}]}}\ndependencies: [{', '.join(['*p'] * 1000)}]\n"
    assert len(taken(text, "environment.yml")) == 1000


def test_plain_requirements_import_only_their_own_parser() -> None:
    program = (
        "import sys; sys.modules.update(yaml=None, tomllib=None)\n"
        "from ds_docker_env.pinning.production.formats import as_requirements\n"
        "assert as_requirements('six==1.16.0\\n', 'requirements.txt').text == 'six==1.16.0\\n'\n"
        "print(*(name for name in sys.modules if name.startswith('ds_docker_env.pinning.production.formats.')))"
    )
    printed = subprocess.run([sys.executable, "-c", program], env={"PYTHONPATH": "."}, capture_output=True, text=True)
    assert printed.stdout.split() == [
        "ds_docker_env.pinning.production.formats.conditions",
        "ds_docker_env.pinning.production.formats.page",
        "ds_docker_env.pinning.production.formats.refused",
    ], printed.stderr
