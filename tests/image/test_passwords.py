"""Password files from any editor, and the command that writes them."""

from __future__ import annotations

import contextlib
import shutil
import ssl
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from offers import TEMPLATE
from terminal import at_terminal

from ds_docker_env.common.errors import ProjectError
from ds_docker_env.image import passwords
from ds_docker_env.image.certificate import new_certificate
from ds_docker_env.image.passwords import main as prepare
from ds_docker_env.image.passwords import read_password

PASSWORD = "vier zufällige Wörter"
EDITORS = {
    "UTF-8": f"{PASSWORD}\n".encode(),
    "without a newline": PASSWORD.encode(),
    "CRLF": f"{PASSWORD}\r\n".encode(),
    "a byte order mark": f"{PASSWORD}\r\n".encode("utf-8-sig"),
    "a space at the end": f"{PASSWORD} \r\n".encode(),
    "> of PowerShell 5": f"{PASSWORD}\r\n".encode("utf-16"),
    "UTF-16 without a byte order mark": f"{PASSWORD}\n".encode("utf-16-le"),
    "big-endian UTF-16": b"\xfe\xff" + f"{PASSWORD}\n".encode("utf-16-be"),
    "Set-Content of PowerShell 5": f"{PASSWORD}\r\n".encode("latin-1"),
}
REFUSED = {
    "a blank one": ("postgres", b" \r\n", "empty"),
    "two lines": ("mysql", b"canary\r\ncanary\r\n", "more than one line"),
    "two lines of PowerShell": ("postgres", "canary\ncanary\n".encode("utf-16"), "more than one line"),
    "not text": ("postgres", b"canary\x01", "not text"),
    "characters of Windows that Latin-1 has not": ("postgres", b"canary\x80", "contains an unprintable character"),
    "a quote, for MySQL": ("mysql", b"can'ary\n", "contains a quote or a backslash"),
    "a quote, for H2O": ("h2o", b'can"ary\n', "contains a quote or a backslash"),
    "a letter that HTTP encodes in two ways": ("h2o", "cänary\n".encode(), "contains a character outside ASCII"),
}


needs_openssl = pytest.mark.skipif(not shutil.which("openssl"), reason="it runs in the image, which has openssl")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Be in a project, and return its .secrets."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / ".secrets"
    folder.mkdir()
    return folder


@pytest.mark.parametrize("content", EDITORS.values(), ids=EDITORS)
def test_jupyter_and_databases_take_a_password_from_any_editor(folder: Path, content: bytes) -> None:
    for name in ("jupyter", "mysql", "postgres"):
        (folder / f"{name}_password").write_bytes(content)
    before = (folder / "mysql_password").stat()
    assert read_password("jupyter", folder) == PASSWORD
    prepare(["mysql", "postgres"])
    for name in ("mysql", "postgres"):
        # Entrypoints and shells drop the newlines at the end, and nothing else.
        assert (folder / f"{name}_password").read_bytes().rstrip(b"\n") == PASSWORD.encode()
    # A container that has mounted the file sees the new content.
    after = (folder / "mysql_password").stat()
    assert (after.st_ino, after.st_mode) == (before.st_ino, before.st_mode)


def test_a_correct_password_file_may_be_read_only(folder: Path) -> None:
    path = folder / "postgres_password"
    path.write_bytes(b"secret")
    path.chmod(0o400)
    before = path.stat().st_mtime_ns
    prepare(["postgres"])
    assert path.stat().st_mtime_ns == before


@pytest.mark.parametrize(("name", "content", "problem"), REFUSED.values(), ids=REFUSED)
def test_a_database_does_not_start_with_a_password(folder: Path, name: str, content: bytes, problem: str) -> None:
    (folder / f"{name}_password").write_bytes(content)
    (folder / "replica_password").write_bytes(b"")
    with pytest.raises(SystemExit) as ended:
        prepare([name])
    fix = f"run: docker compose run --rm passwords password {name}"
    assert ended.value.code == f".secrets/{name}_password: {problem}; {fix}"
    assert (folder / f"{name}_password").read_bytes() == content


def test_each_invalid_password_file_gets_a_line(folder: Path) -> None:
    (folder / "mysql_password").write_bytes(b"a\nb")
    with pytest.raises(SystemExit) as ended:
        prepare(["mysql", "postgres"])
    first, second = str(ended.value.code).splitlines()
    assert first.startswith(".secrets/mysql_password: more than one line; ")
    # It is missing.
    assert second.startswith(".secrets/postgres_password: empty; ")


def shown(secret: Path, *asked: str) -> str:
    command = ["openssl", "x509", "-noout", "-in", str(secret), *asked]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@needs_openssl
def test_dask_gets_a_key_and_a_certificate_that_outlive_the_project_and_stay(folder: Path) -> None:
    secret = folder / "dask.pem"
    secret.touch(mode=0o600)
    before = secret.stat()
    prepare(["dask"])
    made = secret.read_bytes()
    assert (made.count(b"BEGIN PRIVATE KEY"), made.count(b"BEGIN CERTIFICATE")) == (1, 1)
    assert (secret.stat().st_ino, secret.stat().st_mode) == (before.st_ino, before.st_mode)
    shown(secret, "-checkend", str(90 * 365 * 24 * 60 * 60))
    prepare(["dask"])
    assert secret.read_bytes() == made


@needs_openssl
def test_a_server_and_a_client_trust_only_that_certificate(folder: Path) -> None:
    secret, other = folder / "dask.pem", folder / "other.pem"
    prepare(["dask"])
    other.write_bytes(new_certificate(other))

    def context(purpose: ssl.Purpose, pem: Path) -> ssl.SSLContext:
        made = ssl.create_default_context(purpose, cafile=str(pem))
        made.verify_mode, made.check_hostname = ssl.CERT_REQUIRED, False
        made.load_cert_chain(str(pem))
        return made

    def meet(pem: Path) -> None:
        """Shake hands as Dask does, in memory."""
        pipes = [ssl.MemoryBIO(), ssl.MemoryBIO()]
        server = context(ssl.Purpose.CLIENT_AUTH, secret).wrap_bio(pipes[0], pipes[1], server_side=True)
        client = context(ssl.Purpose.SERVER_AUTH, pem).wrap_bio(pipes[1], pipes[0])
        for side in (client, server, client, server):
            with contextlib.suppress(ssl.SSLWantReadError):
                side.do_handshake()
        client.write(b"task")
        assert server.read() == b"task"

    meet(secret)
    with pytest.raises(ssl.SSLError):
        meet(other)


@needs_openssl
def test_an_expiring_certificate_is_replaced_and_other_content_is_refused(folder: Path) -> None:
    secret = folder / "dask.pem"
    short = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ed25519",
        "-nodes",
        "-subj",
        "/CN=dask",
        "-days",
        "9",
        "-keyout",
        "-",
    ]
    secret.write_bytes(subprocess.run(short, check=True, capture_output=True).stdout)
    prepare(["dask"])
    shown(secret, "-checkend", str(90 * 365 * 24 * 60 * 60))
    secret.write_bytes(b"canary")
    with pytest.raises(SystemExit) as ended:
        prepare(["dask"])
    assert ended.value.code == ".secrets/dask.pem: not a key with a certificate; empty the file to get new ones"
    assert secret.read_bytes() == b"canary"


def test_jupyter_makes_a_token_without_a_password_and_refuses_one_that_cannot_be_typed(folder: Path) -> None:
    assert read_password("jupyter", folder) == ""
    (folder / "jupyter_password").write_bytes(b" \n")
    assert read_password("jupyter", folder) == ""
    (folder / "jupyter_password").write_bytes(b"canary\ncanary\n")
    with pytest.raises(SystemExit) as ended:
        read_password("jupyter", folder)
    fix = "run: docker compose run --rm jupyter password"
    assert ended.value.code == f".secrets/jupyter_password: more than one line; {fix}"


def ask(folder: Path, *words: str, answers: list[str]) -> tuple[int, str]:
    """Type ``password`` in a project."""
    if sys.platform == "win32":
        pytest.skip("it runs in the image, on Linux")
    code = f"from ds_docker_env.image.commands import main; main('password', {words})"
    environment = {"PYTHONPATH": str(TEMPLATE)}
    return at_terminal(sys.executable, "-c", code, answers=answers, folder=folder.parent, environment=environment)


@pytest.mark.parametrize(
    ("words", "effect"),
    [((), "docker compose restart"), (("mysql",), "when it creates its data"), (("replica",), "docker compose up")],
)
def test_a_password_is_asked_twice_hidden_and_written(folder: Path, words: tuple[str, ...], effect: str) -> None:
    [name] = words or ["jupyter"]
    code, shown = ask(folder, *words, answers=["cänary 1\n", "cänary 1\n"])
    assert (code, "nary" in shown) == (0, False), shown
    assert f"New password in .secrets/{name}_password." in shown and effect in shown
    path = folder / f"{name}_password"
    assert path.read_bytes() == "cänary 1\n".encode()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert read_password(name, folder) == "cänary 1"


def test_a_shorter_password_replaces_the_one_in_a_file_that_containers_have_mounted(folder: Path) -> None:
    path = folder / "jupyter_password"
    path.write_bytes("a long one\r\n".encode("utf-16"))
    before = path.stat().st_ino
    assert ask(folder, "jupyter_password", answers=["short\n", "short\n"])[0] == 0
    assert (path.read_bytes(), path.stat().st_ino) == (b"short\n", before)


@pytest.mark.parametrize(
    ("words", "answers", "said"),
    {
        "two passwords": ([], ["canary\n", "canari\n"], "jupyter: the two passwords differ"),
        "a space at the end": ([], ["canary \n"], "jupyter: the password begins or ends with a space"),
        "nothing": ([], ["\n"], ".secrets/jupyter_password: empty; run: "),
        "a quote for MySQL": (["mysql"], ["can'ary\n"], ".secrets/mysql_password: contains a quote or a backslash"),
        "another folder": (["../mysql"], [], "../mysql: invalid name"),
        "the end of input": ([], ["\x04"], "password: stopped; the password was not written"),
    }.values(),
)
def test_a_password_that_cannot_be_used_leaves_the_file_as_it_is(
    folder: Path, words: list[str], answers: list[str], said: str
) -> None:
    for name in ("jupyter", "mysql"):
        (folder / f"{name}_password").write_bytes(b"former\n")
    code, shown = ask(folder, *words, answers=answers)
    assert code and said in shown, shown
    assert "canar" not in shown
    assert {path.read_bytes() for path in folder.iterdir()} == {b"former\n"}


def test_without_a_terminal_the_file_is_named(folder: Path) -> None:
    with pytest.raises(ProjectError, match=r"standard input: not a terminal; .* write \.secrets/replica_password"):
        passwords.run(["replica"])
