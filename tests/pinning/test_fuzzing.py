"""Hostile input for every reader of files, URLs and answers.

Runs a few fixed examples of each kind, or thousands of new ones with ``--hypothesis-profile=thorough``.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
import yaml
from conftest import ANSWERS
from hypothesis import given
from hypothesis import strategies as st
from lock_samples import CONDA, PIPFILE, POETRY_2, PYLOCK_OF_PDM, UV
from rendering import Renderer

from ds_docker_env.common.analysis import Analysis
from ds_docker_env.common.decoding import decode
from ds_docker_env.common.errors import GenerationError
from ds_docker_env.common.redaction import without_credentials
from ds_docker_env.common.services import SERVICES
from ds_docker_env.common.sources import LocalFile, git, image, included, source_of
from ds_docker_env.common.target import Target
from ds_docker_env.generation import checks as refusals
from ds_docker_env.generation.rendering import absolute_location
from ds_docker_env.pinning import pinned as pinning
from ds_docker_env.pinning.lock import Lock
from ds_docker_env.pinning.production.model import Production
from ds_docker_env.pinning.production.reader import read_production

CANARY = "s3cr3t-canary"
LINUX = Target("3.11")
PACKAGES = Analysis("# Packages\nipykernel>=6\n", "")
HOSTILE = (
    f"https://me:{CANARY}@public.example/simple",
    f"--index-url https://{CANARY}@public.example/simple\n",
    f"git+https://me:{CANARY}@public.example/r.git@v1#egg=x",
    f"http://127.0.0.1:9/?token={CANARY}",
    "http://[x",
    "http://[::1%25eth0]:99999/%00%zz",
    "git+ext::sh -c touch% PWNED",
    "git+https://public.example/r.git@--upload-pack=touch PWNED",
    "git+file:///nowhere#--output=PWNED",
    "image:--entrypoint=PWNED",
    "image:PWNED$(touch PWNED)",
    "file:///dev/zero",
    "-r /dev/zero\n",
    "-c other.txt\n",
    "-e ./own\n",
    "$(touch PWNED)",
    "!!python/object/apply:os.system ['touch PWNED']",
    "{{ cycler.__init__.__globals__.os.system('touch PWNED') }}",
    "[bold]",
    '"""',
    "\x1b[31m",
    "\x9b31m",
    *"\\\n\r\t\0\x85\u2028\u202e\ufeffé🐳@",
    "\\\n",
    " #",
    " ; ",
    "; os_name ~= 'x'",
    "; 'x' in extras",
    "===",
    "9" * 5_000,
    *(bracket * 2_000 for bracket in "([{"),
    " " * 3_000,
    "&a [*a, *a]",
    "://a:b" * 2_000,
)
REQUIREMENTS = """\
# production
--index-url https://public.example/simple
--extra-index-url https://other.example/simple
-r other.txt
-c other.txt
a==1.0
B_c[x,y]==2.0 ; python_version >= "3.8" and sys_platform == "linux"
d===2023.03 --hash=sha256:00 \\
    --hash=sha256:01
e>=1,<2
i==1.0,>=0.9 --no-binary i
python-apt==2.4.0+ubuntu1
f @ https://public.example/f-1.0-py3-none-any.whl#sha256=00
g @ git+https://public.example/g.git@v1
-e git+https://public.example/h.git@main#egg=h
-e .
./local
"""
FORMATS = {
    "requirements.txt": REQUIREMENTS,
    "environment.yml": CONDA,
    "Pipfile.lock": PIPFILE,
    "poetry.lock": POETRY_2,
    "uv.lock": UV,
    "pylock.toml": PYLOCK_OF_PDM,
    "pip-list.txt": "Package    Version\n---------- -------\na          1.0\nb          2.0\n",
}


@pytest.fixture(scope="module", autouse=True)
def closed() -> Iterator[None]:
    """Replace networks, git and Docker, and check the arguments of the programs."""

    def run(command: list[str], **_: Any) -> subprocess.CompletedProcess[bytes]:
        assert not [word for word in command if word.startswith("-") and "PWNED" in word], command
        assert command[0] in ("git", "docker")
        return subprocess.CompletedProcess(command, 128, b"", f"fatal: https://me:{CANARY}@x.example\x1b[0m".encode())

    def resolve(*asked: object, **_: object) -> None:
        raise OSError(-2, "Name or service not known")

    with pytest.MonkeyPatch.context() as patch:
        for module in (git, image):
            patch.setattr(module, "run", run)
        patch.setattr("socket.getaddrinfo", resolve)
        patch.setattr("ds_docker_env.common.sources.web.reachable", lambda url: True)
        patch.setattr(pinning, "make_lock", locked)
        yield


def locked(production: Production, analysis: list[str], *_: object) -> Lock:
    """Replace uv by one that finds a version for every package of production."""
    pins = {pin.name: str(pin).partition(" ;")[0] for pin in production.fixed}
    asked = {name: pins.get(name, f"{name}==9999.1") for name in (*sorted(production.names()), "ipykernel")}
    return Lock("# made\n# by\n" + "".join(f"{pin} \\\n    --hash=sha256:00\n" for pin in asked.values()))


def refused(action: Callable[[], Any], *, secret: str = CANARY) -> Any:
    """Return the result of an action, or ``None`` if it is refused with readable messages."""
    try:
        return action()
    except GenerationError as error:
        assert error.problems
        for problem in error.problems:
            can_be_read(problem, secret=secret)
        return None


def can_be_read(line: str, *, secret: str = CANARY) -> None:
    assert secret not in line
    assert line.isprintable(), line
    assert 10 < len(line) < 3_000, len(line)


def secret_of(text: str) -> str:
    """Return the canary, or an impossible text if the URL is so damaged that it no longer has a login."""
    return CANARY if CANARY not in without_credentials(text) else "\0"


def mutated(text: str) -> st.SearchStrategy[str]:
    """Return texts like this one: parts of it are removed, repeated or replaced by hostile ones."""
    place = st.integers(0, len(text))
    values = [found.span() for found in re.finditer(r"(?<=[\"'=]{1})[^\"'=\n]+|(?<=: )\S+|(?<=- )\S+", text)]
    gap = st.one_of(st.sampled_from(values), st.tuples(place, place).map(lambda ends: (min(ends), max(ends))))
    new = st.one_of(
        st.sampled_from(HOSTILE),
        st.sampled_from(HOSTILE),
        st.text(max_size=20),
        gap.map(lambda ends: text[slice(*ends)]),
        st.just(""),
    )

    def edited(edits: list[tuple[tuple[int, int], str]]) -> str:
        result = text
        for (start, end), new in sorted(edits, reverse=True):
            result = result[:start] + new + result[min(end, start + 200) :]
        return result

    return st.lists(st.tuples(gap, new), max_size=4).map(edited)


@st.composite
def files(draw: st.DrawFn, text: str) -> bytes:
    """Return texts like this one as bytes, in any encoding and perhaps cut."""
    encoding = draw(st.sampled_from(["utf-8", "utf-8", "utf-8", "utf-16", "utf-16-le", "latin-1"]))
    content = draw(mutated(text)).encode(encoding, errors="replace")
    noise = draw(st.one_of(st.just(b""), st.binary(max_size=4)))
    where = draw(st.integers(0, len(content)))
    return content[:where] + noise + content[where:]


def taken_over(name: str, content: bytes) -> None:
    """Run all steps of generation for a production file except uv, and check the results."""
    with tempfile.TemporaryDirectory() as folder:
        place, again = Path(folder, name), Path(folder, "production.txt")
        (Path(folder) / "other.txt").write_text("other==1.0\n-r requirements.txt\n", encoding="utf-8")
        place.write_bytes(content)
        secret = secret_of(refused(lambda: decode(content, name)) or content.decode("latin-1"))
        pinned = refused(lambda: pinning.pin(str(place), LINUX, PACKAGES), secret=secret)
        assert {found.name for found in Path(folder).iterdir()} == {"other.txt", name}
        if pinned is None:
            return
        for text in pinned.files.values():
            assert secret not in text
        for line in pinned.summary:
            can_be_read(line, secret=secret)
        for file in ("production.txt", "constraints.txt"):
            Path(folder, file).write_text(pinned.files[file], encoding="utf-8", newline="\n")
        first = read_production(str(place), LINUX)
        if first.pins or first.unpinned:
            second = read_production(str(again), LINUX)
            assert list(map(str, second.pins)) == list(map(str, first.pins))
            assert second.unpinned == first.unpinned
            assert second.bounds == first.bounds


@pytest.mark.parametrize("name", FORMATS)
@given(data=st.data())
def test_a_production_file_is_taken_over_or_refused_with_a_message(name: str, data: st.DataObject) -> None:
    taken_over(name, data.draw(files(FORMATS[name])))


@given(content=st.binary(max_size=300), name=st.sampled_from(sorted(FORMATS)))
def test_any_bytes_are_taken_over_or_refused_with_a_message(content: bytes, name: str) -> None:
    taken_over(name, content)


ADDRESSES = st.one_of(
    st.sampled_from(HOSTILE),
    st.builds(
        "{}{}{}{}".format,
        st.sampled_from(["", "http://", "https://", "git+https://", "git+", "git+file:///", "image:", "file://", "-"]),
        st.sampled_from(["", f"me:{CANARY}@", f"{CANARY}:@", "git@", "@"]),
        st.sampled_from(["public.example", "127.0.0.1:9", "[::1]", "[x", "-x", "é.example", "x" * 300, "a b", ""]),
        st.one_of(
            st.text(max_size=20),
            st.sampled_from([":99999", ":x", "/r.git@-PWNED", "/r.git@v1#../x", "/r.git#-PWNED", "/%zz%00", "/a/../b"]),
            st.sampled_from(HOSTILE),
        ),
    ),
)


@given(address=ADDRESSES)
def test_an_address_is_read_or_refused_with_a_message(address: str) -> None:
    secret = secret_of(address)
    with tempfile.TemporaryDirectory() as folder:
        location = absolute_location(address)
        refused(lambda: pinning.pin(location, LINUX, PACKAGES), secret=secret)
        for base in ("http://127.0.0.1:9/a.txt", "git+https://public.example/r.git#a.txt", f"{folder}/a.txt"):
            found = refused(lambda base=base: included(source_of(base), address), secret=secret)  # type: ignore[misc]
            if found is not None:
                assert base.startswith(folder) or not isinstance(found, LocalFile)
                refused(lambda found=found: found.read(), secret=secret)  # type: ignore[misc]


TEXTS = st.one_of(st.text(max_size=50), st.sampled_from(HOSTILE), st.lists(st.sampled_from(HOSTILE)).map("".join))
SLUGS = st.one_of(st.from_regex(r"[a-z0-9_-]{1,70}", fullmatch=True), TEXTS, st.sampled_from(["con", "nul.txt", "a."]))
RENDER = Renderer()
HOSTILE_ANSWERS = {
    "project_name": TEXTS,
    "project_slug": SLUGS,
    "question": TEXTS,
    "data": TEXTS,
    "ticket_url": ADDRESSES,
    "production_requirements": st.one_of(ADDRESSES, TEXTS),
    "python_version": TEXTS,
    "debian_release": TEXTS,
    "dvc_s3_url": st.one_of(st.builds("s3://bucket/{}".format, TEXTS), ADDRESSES),
    "services": st.one_of(st.just(", ".join(SERVICES[:2])), TEXTS),
    "_package_index": TEXTS,
}


@st.composite
def few_hostile_answers(draw: st.DrawFn) -> dict[str, str]:
    """Return two texts and a few other answers; with many, nearly all would be refused."""
    names = draw(st.sets(st.sampled_from(sorted(HOSTILE_ANSWERS)), max_size=2))
    return {name: draw(HOSTILE_ANSWERS[name]) for name in ("question", "data", *sorted(names))}


@given(hostile=few_hostile_answers())
def test_answers_are_rendered_exactly_or_refused_with_a_message(hostile: dict[str, str]) -> None:
    answers = ANSWERS | {"project_slug": "churn"} | hostile
    secret = secret_of("\n".join(hostile.values()))
    raw = answers | {"__production_requirements": absolute_location(answers["production_requirements"])}
    checked = refused(lambda: refusals.check(raw), secret=secret)
    if checked is None:
        return
    slug, name = answers["project_slug"], answers["project_name"]
    assert re.fullmatch(r"[a-z0-9][a-z0-9_-]*", slug)
    readme, notebook = RENDER("README.md", **answers), RENDER("src/analysis.ipynb", **answers)
    assert readme.startswith(f"# {name}\n")
    cells = nbformat.reads(notebook, as_version=4)
    nbformat.validate(cells)
    assert f"{cells.cells[0].source}\n".startswith(f"# {name}\n")
    for told in (answers["question"], answers["data"], answers["ticket_url"].strip()):
        assert told in readme
        assert told in "".join(cell.source for cell in cells.cells)
    compose = yaml.safe_load(RENDER("docker-compose.yml", **answers))
    assert compose["services"]["setup"]["command"].split()[3:] == [slug]
    assert "PWNED" not in RENDER("Dockerfile", **answers) + RENDER("docker-compose.yml", **answers)
    assert "PWNED" not in RENDER(".gitignore", **answers) + RENDER(".dockerignore", **answers)
