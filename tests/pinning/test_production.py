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
    "only comments": (b"# nothing here\n", "names no package"),
    "conda's own format": (b"a==1\nnumpy=1.26.4=py311h64a7726_0\n", "comes from conda; make the file with: pip list"),
    "a version that conda hides": (b"numpy @ file:///croot/numpy_1700/work\n", "hides the version"),
    "a variable": (b"numpy==${NUMPY}\n", "instead of a variable"),
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
    "a marker that compares in no way": (b"numpy==1.0 ; os_name ~= 'canary'\n", "(its marker cannot be decided)"),
    "a marker for locks": (b"a==1 ; 'canary' in extras", "(its marker cannot be decided)"),
    "a number of 5,000 digits": (b"a==" + b"9" * 5_000, "(it is too long)"),
    "an equality with nothing": (b"a===", "'...' is not a requirement (it does not have a valid version)"),
    "an index without an address": (b"--index-url http://[x\na==1", "'http://[x' is not a valid address"),
    "an include without an address": (b"-r http://[x\na==1", "is no address"),
    "10,001 entries": (b"a==1\n" * 10_001, "has more than 10,000 entries"),
    "the head of a key": (b"-----BEGIN RSA canary-----\n", "'-----BEGIN ...' is not"),
    "a line of a key": (b"canary+" + b"k" * 63 + b"=\n", "'...' is not"),
    "the last line of a key": (b"canary==\n", "'...' is not"),
    "a password behind a version": (b"db 10.0.0.1 canary\n", "'db 10.0.0.1...' is not"),
    "a password like a version": (b"db 1.2canary\n", "'db ...' is not"),
    "a password in a URL": (b"x @ https://me:canary@example.com/x-1.0-py3-none-any.whl\n", "holds a password"),
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
    with pytest.raises(GenerationError, match=rf"requirements\.txt:2: '{re.escape(shown)}' is not a requirement; "):
        read(f"a==1\n{line}\n".encode())


def test_files_that_include_each_other_are_read_once(read: Read, tmp_path: Path) -> None:
    (tmp_path / "other.txt").write_text("-r requirements.txt\nb==1\n")
    assert [pin.name for pin in read(b"-r other.txt\na==1\n").pins] == ["a", "b"]


def test_pins_are_never_lost_in_deep_includes(read: Read, tmp_path: Path) -> None:
    for depth in range(60):
        (tmp_path / f"{depth}.txt").write_text(f"-r {depth + 1}.txt\n")
    (tmp_path / "60.txt").write_text("lost==1\n")
    with pytest.raises(GenerationError, match="one of more than 50 files"):
        read(b"-r 0.txt\na==1\n")


def test_two_spellings_of_one_version_do_not_contradict_each_other(read: Read) -> None:
    assert len(read(b"a==1.0\na==1\n").pins) == 2


def test_a_range_is_no_pin(read: Read) -> None:
    production = read(b"a==1.*\nb>=1\nc\nd~=1.4\ne==1,!=1.1\n")
    assert production.pins == []
    assert len(production.unpinned) == 5


def test_production_txt_reads_back_as_the_same_pins(read: Read, tmp_path: Path) -> None:
    first = read(b"B_c[y,x]==1.0 ; python_version > '3'\na===2023.03\nopen>=2\n-e .\n")
    second = read(render_production(first, date(2026, 1, 2)).encode())
    assert [str(pin) for pin in second.pins] == [str(pin) for pin in first.pins]
    assert second.unpinned == first.unpinned


def test_production_from_version_control_is_left_out_whatever_its_name(read: Read) -> None:
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
    with pytest.raises(GenerationError, match=r"is for Python .*3\.12.*, not 3\.11; choose"):
        read_production(str(path), Target("3.11"))


def test_spaces_and_addresses_without_end_take_no_time(read: Read) -> None:
    began = time.monotonic()
    assert len(read(b"a==1" + b" " * 100_000 + b"\n--index-url http://" + b"://a:b" * 20_000 + b"\n").pins) == 1
    assert time.monotonic() - began < 30
