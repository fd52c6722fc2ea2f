from __future__ import annotations

import re
import time
from datetime import date
from pathlib import Path

import pytest
from conftest import Read

from ds_docker_env.common.errors import GenerationError
from ds_docker_env.common.target import Target
from ds_docker_env.pinning.production.reader import read_production
from ds_docker_env.pinning.production.rendering import render_production

TEXT = "# r\u00e9sum\u00e9\na==1.0\nb[x]==2.0 ; python_version > '3'\n"
WINDOWS = TEXT.replace("\n", "\r\n")
ENCODED = {
    "UTF-8 with BOM": TEXT.encode("utf-8-sig"),
    "CRLF": WINDOWS.encode(),
    "PowerShell's UTF-16": WINDOWS.encode("utf-16"),
    "UTF-16 LE without BOM": TEXT.encode("utf-16-le"),
    "UTF-16 BE without BOM": TEXT.encode("utf-16-be"),
    "Latin-1": TEXT.encode("latin-1"),
}


@pytest.mark.parametrize("content", ENCODED.values(), ids=ENCODED)
def test_it_reads(read: Read, content: bytes) -> None:
    assert [str(pin) for pin in read(content).pins] == ["a==1.0", 'b[x]==2.0 ; python_version > "3"']


UNREADABLE = {
    "an empty file": (b"\n\n", "is empty"),
    "a binary file": (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0", "is not a text file"),
    "only comments": (b"# nothing here\n", "contains no packages"),
    "conda's own format": (b"a==1\nnumpy=1.26.4=py311_0\n", "(it comes from conda); use environment.yml"),
    "a version that conda hides": (
        b"numpy @ file:///croot/numpy_1700/work\n",
        "hides the version; use environment.yml",
    ),
    "a variable": (b"numpy==${NUMPY}\n", "contains a variable"),
    "a missing include": (b"-r missing.txt\n", "no such file; check the path (included at"),
    "two versions of one package": (b"a==1\na==2\n", "contradicts a==1 at"),
    "a script by mistake": (b'export DB_PASSWORD="canary one"\n', "'export ...' is not"),
    "a settings file": (b"DB_PASS=canary\n", "'DB_PASS=...' is not"),
    "a settings file with digits": (b"PASS=31415926\n", "'PASS=...' is not"),
    "a pgpass": (b"db.example.com:5432:*:me:canary\n", "'db.example.com:...' is not"),
    "a header": (b"bearer canary\n", "'bearer ...' is not"),
    "a token before something else": (b"eyJ0eXAiOiJKV1QifQ.eyJzdWIiOiIxMjM0NTYifQ.canary me\n", "'...' is not"),
    "a token that no name can be": (b"eyJ0eXAi.eyJzdWIi.canary-$\n", "'...' is not"),
    "a token that is nearly a name": (b"xoxb-1-canary_\n", "'...' is not a requirement (name is invalid)"),
    "a marker that compares in no way": (b"numpy==1.0 ; os_name ~= 'canary'\n", "(its marker cannot be evaluated)"),
    "a marker for locks": (b"a==1 ; 'canary' in extras", "(its marker cannot be evaluated)"),
    "a number of 5,000 digits": (b"a==" + b"9" * 5_000, "(it is too long)"),
    "an equality with nothing": (b"a===", "'...' is not a requirement (it does not have a valid version)"),
    "an index without an address": (b"--index-url http://[x\na==1", "'http://[x' is not a valid URL"),
    "an include without an address": (b"-r http://[x\na==1", "is not a valid URL"),
    "10,001 entries": (b"a==1\n" * 10_001, "has more than 10,000 entries"),
    "the head of a key": (b"-----BEGIN RSA canary-----\n", "'-----BEGIN ...' is not"),
    "a line of a key": (b"canary+" + b"k" * 63 + b"=\n", "'...' is not"),
    "the last line of a key": (b"canary==\n", "'...' is not"),
    "a password behind a version": (b"db 10.0.0.1 canary\n", "'db 10.0.0.1...' is not"),
    "a password like a version": (b"db 1.2canary\n", "'db ...' is not"),
    "a password in a URL": (b"x @ https://me:canary@example.com/x-1.0-py3-none-any.whl\n", "contains a password"),
}


@pytest.mark.parametrize(("content", "message"), UNREADABLE.values(), ids=UNREADABLE)
def test_it_refuses(read: Read, content: bytes, message: str) -> None:
    with pytest.raises(GenerationError) as caught:
        read(content)
    (problem,) = caught.value.problems
    assert message in problem
    assert "requirements.txt" in problem
    assert "canary" not in problem
    assert problem.isprintable()


TYPOS = {
    "numpy=1.2.3": "numpy=1.2.3",
    "numpy 1.2": "numpy 1.2",
    "numpy: 1.2.post1": "numpy: 1.2.post1",
    "numpy=>1.2": "numpy=>1.2",
    "numpy==1.2.3, pandas==2.0": "numpy==1.2.3...",
    "numpy==${NUMPY}": "numpy==...",
    "numpy=1.2.3+local": "numpy=1.2.3...",
    "--prefer-binry yes": "--prefer-binry ...",
}


@pytest.mark.parametrize(("line", "shown"), TYPOS.items())
def test_a_typo_can_be_told_from_the_message(read: Read, line: str, shown: str) -> None:
    with pytest.raises(GenerationError, match=rf"requirements\.txt:2: '{re.escape(shown)}' is not a requirement \("):
        read(f"a==1\n{line}\n".encode())


def test_files_that_include_each_other_are_read_once(read: Read, tmp_path: Path) -> None:
    (tmp_path / "other.txt").write_text("-r requirements.txt\nb==1\n")
    assert [pin.name for pin in read(b"-r other.txt\na==1\n").pins] == ["a", "b"]


def test_an_included_file_may_be_empty(read: Read, tmp_path: Path) -> None:
    (tmp_path / "empty.txt").write_text("\n")
    assert len(read(b"-r empty.txt\n-c empty.txt\na==1\n").pins) == 1


def test_pins_are_never_lost_in_deep_includes(read: Read, tmp_path: Path) -> None:
    for depth in range(60):
        (tmp_path / f"{depth}.txt").write_text(f"-r {depth + 1}.txt\n")
    (tmp_path / "60.txt").write_text("lost==1\n")
    with pytest.raises(GenerationError, match="one of more than 50 files"):
        read(b"-r 0.txt\na==1\n")


def test_two_spellings_of_one_version_do_not_contradict_each_other(read: Read) -> None:
    assert len(read(b"a==1.0\na==1\n").pins) == 2


def test_a_range_is_not_a_pin(read: Read) -> None:
    production = read(b"a==1.*\nb>=1\nc\nd~=1.4\n")
    assert production.pins == []
    assert len(production.unpinned) == 4


def test_an_exact_version_with_bounds_is_a_pin(read: Read) -> None:
    production = read(b"a==1,!=1.1\nb>=0.9,==1.0,\nc==1.*,==1.2\n")
    assert [str(pin) for pin in production.pins] == ["a==1", "b==1.0", "c==1.2"]


CONTRADICTIONS = {
    "a pin": ("six==1.16.0\n", "six==1.15.0\n", "requirements.txt:2: six==1.16.0 contradicts six==1.15.0 at"),
    "a bound": ("six==1.16.0\n", "other\nsix<1.16\n", "contradicts six<1.16 at"),
    "a range elsewhere": ("six==1.16.0\nsix>=1.17\n", "", "contradicts six>=1.17 at"),
    "a pin with bounds": ("six==1.16.0,>=1\nsix==1.15.0\n", "", ":3: six==1.15.0 contradicts six==1.16.0 at"),
    "itself": ("six==1.16.0,>=1.17\n", "", ":2: six==1.16.0,>=1.17 contradicts itself"),
}


@pytest.mark.parametrize(("text", "constraints", "message"), CONTRADICTIONS.values(), ids=CONTRADICTIONS)
def test_a_pin_that_contradicts_is_named_with_both_lines(
    read: Read, tmp_path: Path, text: str, constraints: str, message: str
) -> None:
    (tmp_path / "c.txt").write_text(constraints)
    with pytest.raises(GenerationError, match=re.escape(message)) as caught:
        read(f"-c c.txt\n{text}".encode())
    assert len(caught.value.problems) == 1
    assert ("c.txt:" in caught.value.problems[0]) == bool(constraints)


AGREEING = {
    "a bound for another Python": "six<1 ; python_version < '3'\n",
    "a local version": "six==1.16.0+ours\n",
    "a bound for another package": "seven<1\n",
}


@pytest.mark.parametrize("constraints", AGREEING.values(), ids=AGREEING)
def test_a_pin_does_not_contradict(read: Read, tmp_path: Path, constraints: str) -> None:
    (tmp_path / "c.txt").write_text(constraints)
    assert len(read(b"-c c.txt\nsix==1.16.0\n").pins) == 1


OPTIONS = {
    "--no-binary psycopg2": ["--no-binary of psycopg2"],
    "--only-binary=:all: --prefer-binary --pre": [
        f"{each} of psycopg2" for each in ("--only-binary", "--prefer-binary", "--pre")
    ],
    '--global-option="--x y" --install-option=--z': ["--global-option of psycopg2", "--install-option of psycopg2"],
    "-C a=b --config-settings 'c=d e'": ["--config-settings of psycopg2"],
    "--index-url https://me:canary@public.example/": ["--index-url of psycopg2"],
    "- needed for the database": [],
}


@pytest.mark.parametrize(("options", "ignored"), OPTIONS.items())
def test_options_behind_a_requirement_are_ignored_and_named(read: Read, options: str, ignored: list[str]) -> None:
    production = read(
        f"a==1\npsycopg2[x]==2.9 ; python_version > '3' {options} \\\n  --hash=sha256:00\nb==1\n".encode()
    )
    pins = {str(pin): pin for pin in production.pins}
    assert sorted(pins) == ["a==1", "b==1", 'psycopg2[x]==2.9 ; python_version > "3"']
    found = pins['psycopg2[x]==2.9 ; python_version > "3"']
    assert found.where.endswith("requirements.txt:2")
    assert found.hashes == {"sha256:00"}
    assert list(production.ignored) == ignored


def test_the_last_index_is_used_as_in_pip_and_the_other_is_named(read: Read) -> None:
    lines = [f"--index-url https://{host}.example/simple\n" for host in "aab"]
    found = read("".join([*lines, "--extra-index-url https://c.example/\nsix==1.16.0\n"]).encode())
    assert list(found.indexes) == [lines[2].strip(), "--extra-index-url https://c.example/"]
    assert found.ignored == {lines[0].strip(): "replaced by a later --index-url"}


DROPPED = {
    "- six==1.16.0": "'- six==1.16.0' is a list item, which pip ignores",
    "-- six==1.16.0": "'-- six==1.16.0' is a list item, which pip ignores",
    "- DB_PASS=canary": "'- DB_PASS=...' is a list item, which pip ignores",
    "- canary": "'- ...' is a list item, which pip ignores",
    "--pre six==1.16.0": "'--pre ...' begins with an option, and pip ignores the rest",
    "--find-links ./canary six==1.16.0": "'--find-links ...' begins with an option, and pip ignores the rest",
    "-e . six==1.16.0": "'-e ...' begins with an option, and pip ignores the rest",
}
REASONS = {
    "six==1.16.0 \\ ": "a space follows the \\ at its end",
    "six==1.16.0#canary": "a # without a space before it",
    "six==1.16.0 // canary": "pip does not support this kind of comment",
    "\u200bsix==1.16.0": "U+200B, zero width space",
    "six==1.16.0\ufeff": "U+FEFF",
    "six\u00a0==\u00a01.16.0": "U+00A0, no-break space",
    "six==1.16.0 ; python_version > \u201c3\u201d": "U+201C, left double quotation mark",
    "six\uff1d\uff1d1.16.0": "U+FF1D, fullwidth equals sign",
    "\u2013 six==1.16.0": "U+2013, en dash",
    "* six==1.16.0": "it is a list item",
    '"six==1.16.0",': "it is quoted",
    "pip install six==1.16.0": "it is a command",
    "six = '1.16.0'": "it is a TOML entry",
    "six=1.16.0": "unknown operator",
    "six ^1.16": "unknown operator",
    "six 1.16.0": "it lacks == before the version",
    "six: 1.16.0": "it has : instead of ==",
    "six@1.16.0": "it does not have a valid address",
    "six (1.16.0)": "it has the version in parentheses",
    "six==1.16.0 idna==3.10": "it contains two requirements",
    "six==latest": "it lacks a version",
    "six==$SIX": "it contains a variable",
    "six==%SIX%": "it contains a variable",
    "six==1.16.0 ; python_version>3": "invalid marker",
    "six==1.16.0 --no-deps": "pip does not accept this option after a requirement",
    "--no-use-wheel": "unknown option of pip",
    "WARNING: You are using pip version 21.0": "it is pip's output",
    "------ LIBRARIES": "it is a heading",
    "--hash=sha256:00": "belongs to a requirement, but pip ignores it here; end the line above with \\",
    "<<<<<<< HEAD": "it is a merge conflict marker",
}


@pytest.mark.parametrize(("line", "message"), [*DROPPED.items(), *REASONS.items()])
def test_a_line_that_pip_ignores_or_refuses_has_a_reason_and_a_fix(read: Read, line: str, message: str) -> None:
    with pytest.raises(GenerationError, match=r"requirements\.txt:2: '.*'.*; \w") as caught:
        read(f"a==1\n{line}\nb==1\n".encode())
    assert len(caught.value.problems) == 1
    assert message in caught.value.problems[0]
    assert "canary" not in caught.value.problems[0]
    assert caught.value.problems[0].isprintable()


def test_many_lines_with_one_reason_are_one_message_after_the_first_few(read: Read) -> None:
    with pytest.raises(GenerationError) as caught:
        read(b"".join(b"a%d @ file:///croot/a_1700/work\n- b%d\n" % (number, number) for number in range(10)))
    assert len(caught.value.problems) == 6
    assert sum(problem.endswith(" (and 7 more such lines)") for problem in caught.value.problems) == 2


def test_a_hash_below_a_line_that_is_refused_is_not_another_problem(read: Read) -> None:
    with pytest.raises(GenerationError) as caught:
        read(b"a==1\nb==1 \\ \n    --hash=sha256:00 \\\n    --hash=sha256:01\n")
    assert len(caught.value.problems) == 1


def test_a_file_without_packages_from_an_index_is_refused_with_its_content(read: Read) -> None:
    with pytest.raises(GenerationError, match=r"contains no packages from a package index, only git\+https://x/y;"):
        read(b"git+https://x/y\n")


DEBIAN = "pkg-resources==0.0.0\ndistro-info===0.23ubuntu1\npython-apt==2.4.0+ubuntu1\npython-debian==0.1+deb12u1\n"


def test_a_freeze_on_debian_is_read_without_debians_own_packages(read: Read) -> None:
    production = read(f"{DEBIAN}torch==2.0+debug\npkg-resources-shim==0.0.0\n".encode())
    assert [pin.name for pin in production.pins] == ["torch", "pkg-resources-shim"]
    assert list(production.left_out) == [f"{line} (of the operating system)" for line in DEBIAN.splitlines()]


def test_an_archive_beside_the_file_is_not_a_pin(read: Read) -> None:
    production = read(b"a==1\nsix-1.16.0-py2.py3-none-any.whl\nseven-1.0.tar.gz\n")
    assert list(production.left_out) == ["six-1.16.0-py2.py3-none-any.whl", "seven-1.0.tar.gz"]
    assert (len(production.pins), production.unpinned) == (1, [])


def test_production_txt_reads_back_as_the_same_pins(read: Read, tmp_path: Path) -> None:
    first = read(b"B_c[y,x]==1.0 ; python_version > '3'\na===2023.03\nopen>=2\n-e .\n")
    second = read(render_production(first, date(2026, 1, 2)).encode())
    assert [str(pin) for pin in second.pins] == [str(pin) for pin in first.pins]
    assert second.unpinned == first.unpinned


def test_a_package_from_version_control_is_left_out(read: Read) -> None:
    lines = ["git+https://git.example.com/boto.git@2.43#egg=boto==2.43.0-patch3", "-e git+ssh://x"]
    assert list(read("\n".join(["a==1", *lines]).encode()).left_out) == lines


WHEEL = "https://public.example/six-1.17.0-py2.py3-none-any.whl"
URLS = {
    "a wheel without a name": (WHEEL, f"six @ {WHEEL}"),
    "a marker": (f'{WHEEL} ; os_name == "nt"', f'six @ {WHEEL} ; os_name == "nt"'),
    "a name behind it": ("https://public.example/x.zip#egg=six", "six @ https://public.example/x.zip"),
    "a folder in it": (
        "six @ https://public.example/x.zip#subdirectory=a&sha256=00",
        "six @ https://public.example/x.zip#subdirectory=a",
    ),
    "an extra and a hash": (f"six[a] @ {WHEEL} --hash=sha256:00", f"six[a] @ {WHEEL}"),
}


@pytest.mark.parametrize(("line", "requirement"), URLS.values(), ids=URLS)
def test_a_url_is_a_requirement_with_its_name(read: Read, line: str, requirement: str) -> None:
    assert read(f"a==1\n{line}\n".encode()).unpinned == [requirement]


LOCKS = {
    "Pipfile.lock": '{"_meta": {"requires": {"python_version": "%s"}}, "default": {"a": {"version": "==1"}}}',
    "environment.yml": "dependencies:\n- python=%s.5\n- pip:\n  - a==1\n",
    "poetry.lock": '[[package]]\nname = "a"\nversion = "1"\n[metadata]\npython-versions = "~%s"\ncontent-hash = "0"\n',
    "uv.lock": (
        'version = 1\nrequires-python = "==%s.*"\n[manifest]\nrequirements = [{ name = "a" }]\n'
        '[[package]]\nname = "a"\nversion = "1"\nsource = { registry = "https://public.example/simple" }\n'
    ),
    "pylock.toml": (
        'lock-version = "1.0"\ncreated-by = "x"\nrequires-python = "==%s.*"\n[[packages]]\nname = "a"\nversion = "1"\n'
        'wheels = [{ url = "https://public.example/a-1-py3-none-any.whl", hashes = { sha256 = "00" } }]\n'
    ),
}


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_for_another_python_than_the_chosen_one_is_refused(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text(LOCKS[name] % "3.11")
    assert [pin.name for pin in read_production(str(path), Target("3.11")).pins] == ["a"]
    path.write_text(LOCKS[name] % "3.12")
    with pytest.raises(GenerationError, match=r"is for Python .*3\.12.*, not 3\.11; set python_version"):
        read_production(str(path), Target("3.11"))


POETRY_FORK = """\
[[package]]
name = "numpy"
version = "1.21.6"
optional = false
python-versions = ">=3.7,<3.11 || 3.6"

[[package]]
name = "numpy"
version = "1.24.1"
optional = false
python-versions = "%s"

[metadata]
content-hash = "0"
"""


def test_a_fork_of_poetry_1_is_decided_by_the_pythons_of_the_packages(tmp_path: Path) -> None:
    path = tmp_path / "poetry.lock"
    path.write_text(POETRY_FORK % "^3.11", encoding="utf-8")
    for python, version in {"3.10": "1.21.6", "3.11": "1.24.1"}.items():
        target = Target(python)
        assert [pin.version for pin in read_production(str(path), target).pins if pin.applies(target)] == [version]
    path.write_text(POETRY_FORK % ">=3.8", encoding="utf-8")
    with pytest.raises(GenerationError, match=r"poetry\.lock:7: numpy==1\.24\.1 contradicts numpy==1\.21\.6 at"):
        read_production(str(path), Target("3.10"))


def test_long_spaces_and_addresses_are_read_in_linear_time(read: Read) -> None:
    began = time.monotonic()
    assert len(read(b"a==1" + b" " * 100_000 + b"\n--index-url http://" + b"://a:b" * 20_000 + b"\n").pins) == 1
    assert time.monotonic() - began < 30
