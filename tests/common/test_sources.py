from __future__ import annotations

import os
import socket
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingTCPServer
from unittest.mock import Mock

import pytest

from ds_docker_env.common.errors import GenerationError, MissingError
from ds_docker_env.common.redaction import redacted, without_credentials
from ds_docker_env.common.sources import source_of, web
from ds_docker_env.common.target import Target
from ds_docker_env.pinning.production.reader import read_production

LINUX = Target("3.11")


class Answer(BaseHTTPRequestHandler):
    """Answers with a file, a status, endless silence, endless drops, a flood or a circle."""

    def do_GET(self) -> None:
        what = self.path.strip("/")
        if what.isdigit():
            self.send_error(int(what))
        elif what == "circle":
            self.send_response(302)
            self.send_header("Location", "/circle")
            self.end_headers()
        elif what == "silence":
            self.server.released.wait(20)  # type: ignore[attr-defined]
        elif what in ("drops", "flood"):
            self._pour(what)
        else:
            self._send_file(what)

    def _send_file(self, name: str) -> None:
        files = {
            "requirements.txt": "-r base/common.txt\na==1\n",
            "base/common.txt": "b==2\n",
            "curious.txt": f"a==1\n-r file://{__file__}\n-c image:theirs\n",
            "private.txt": "c==3\n" if self.headers["Authorization"] else "",
        }
        body = files.get(name, "").encode()
        self.send_response(200 if body else 401)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _pour(self, what: str) -> None:
        self.send_response(200)
        self.end_headers()
        for _ in range(200):
            try:
                self.wfile.write(b"#" if what == "drops" else b"#" * 1_000_000)
            except OSError:
                return
            if what == "drops" and self.server.released.wait(0.05):  # type: ignore[attr-defined]
                return

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[str]:
    with ThreadingTCPServer(("127.0.0.1", 0), Answer) as running:
        running.released = threading.Event()  # type: ignore[attr-defined]
        threading.Thread(target=running.serve_forever, args=[0.01], daemon=True).start()
        yield f"http://127.0.0.1:{running.server_address[1]}"
        running.released.set()  # type: ignore[attr-defined]
        running.shutdown()


def test_a_url_is_read_with_the_files_that_it_includes(server: str) -> None:
    production = read_production(f"{server}/requirements.txt", LINUX)
    assert sorted(pin.name for pin in production.pins) == ["a", "b"]
    assert production.source == f"{server}/requirements.txt"


def test_a_file_from_the_web_cannot_include_files_of_this_machine(server: str) -> None:
    with pytest.raises(GenerationError) as refused:
        read_production(f"{server}/curious.txt", LINUX)
    of_the_host, of_an_image = refused.value.problems
    assert of_the_host.startswith(f"file://{__file__}: is not read, because {server}/curious.txt is from elsewhere")
    assert of_an_image.startswith("image:theirs: is not read, because")


def test_the_password_for_a_url_comes_from_netrc(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password canary\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    assert [pin.name for pin in read_production(f"{server}/private.txt", LINUX).pins] == ["c"]


UNREADABLE = {
    "404": ("/404", "answered 404 Not Found"),
    "a missing password": ("/401", "the password in ~/.netrc"),
    "silence": ("/silence", "no answer within"),
    "a trickle": ("/drops", "not downloaded within"),
    "a flood": ("/flood", "is larger than 10 MB"),
    "a circle of redirects": ("/circle", "cannot be reached"),
}


@pytest.mark.parametrize(("path", "message"), UNREADABLE.values(), ids=UNREADABLE)
def test_a_url_is_refused_for(server: str, path: str, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # A busy machine may need longer for the others.
    for limited, limit, seconds in (("/silence", "SILENCE", 0.3), ("/drops", "WHOLE", 0.6)):
        if path == limited:
            monkeypatch.setattr(web, limit, seconds)
    with pytest.raises(GenerationError) as caught:
        source_of(server.replace("//", "//me:canary@") + path).read()
    (problem,) = caught.value.problems
    assert problem.startswith(server + path)
    assert message in problem
    assert "canary" not in problem
    assert isinstance(caught.value, MissingError) == (path == "/404")


def test_a_refused_connection_is_named() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        with pytest.raises(GenerationError, match=r"cannot be reached \(connection refused\)"):
            source_of(f"http://127.0.0.1:{closed.getsockname()[1]}/requirements.txt").read()


def test_another_kind_of_url_is_refused_by_name() -> None:
    with pytest.raises(GenerationError, match="s3:// is not supported; use a path,") as caught:
        source_of("s3://me:canary@example.com/requirements.txt")
    assert "canary" not in str(caught.value)


# Older versions leave the check to the connection.
LOOKS_INTO_BRACKETS = pytest.mark.skipif(sys.version_info < (3, 11, 4), reason="urlsplit takes it as it is")


@pytest.mark.parametrize(
    "host", [pytest.param("[nowhere]", marks=LOOKS_INTO_BRACKETS), "me:canary@exa\u2100mple.com", "[::1?share=canary"]
)
def test_an_invalid_url_is_refused_without_its_secret(host: str) -> None:
    with pytest.raises(GenerationError, match="is not a valid URL; correct it") as caught:
        source_of(f"https://{host}/r.txt?share=canary#canary")
    assert "canary" not in str(caught.value)


def test_a_login_does_not_go_to_the_host_before_a_backslash() -> None:
    """Another library would look up the host after the @ in netrc."""
    with pytest.raises(GenerationError, match=r"contains a backslash; write / instead"):
        source_of("https://127.0.0.1:9\\@packages.example.com/requirements.txt")


def test_a_file_url_is_a_path(tmp_path: Path) -> None:
    path = tmp_path / "with space.txt"
    path.write_text("a==1\n")
    assert source_of(path.as_uri()).read() == b"a==1\n"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no named pipes in folders")
def test_a_named_pipe_is_refused_at_once(tmp_path: Path) -> None:
    if sys.platform != "win32":
        os.mkfifo(tmp_path / "pipe")
    with pytest.raises(GenerationError, match="is not a regular file"):
        source_of(str(tmp_path / "pipe")).read()


SECRETS = {
    "https://me:canary@example.com/x": "https://example.com/x",
    "https://canary@example.com/x": "https://example.com/x",
    "https://me:canary/pw@example.com/x": "https://example.com/x",
    "https://me@corp.com:canary/pw@example.com/x": "https://example.com/x",
    "https://example.com/simple?token=canary&x=1": "https://example.com/simple?token=...&x=1",
    "https://example.com/r.txt?ref=main;token=canary&x=1": "https://example.com/r.txt?ref=main;token=...&x=1",
    "https://example.com/r.txt#access_token=canary&x=1": "https://example.com/r.txt#access_token=...&x=1",
    "https://example.com/x.zip#sha256=00&egg=x": "https://example.com/x.zip#sha256=00&egg=x",
    "git+https://example.com:8443/team/x@v1": "git+https://example.com:8443/team/x@v1",
    "git+ssh://git@example.com/team/x.git@v1#r.txt": "git+ssh://git@example.com/team/x.git@v1#r.txt",
    "git+ssh://git:canary@example.com/x": "git+ssh://example.com/x",
}


@pytest.mark.parametrize(("url", "clean"), SECRETS.items())
def test_credentials_are_removed_from_a_url(url: str, clean: str) -> None:
    assert without_credentials(f"at {url}, see") == f"at {clean}, see"


def test_a_comment_does_not_belong_to_an_address() -> None:
    assert without_credentials("https://example.com/x  #key=2\n#key=1\n") == "https://example.com/x  #key=2\n#key=1\n"


PLACES = {
    "https://me:canary@example.com/r.txt?auth=canary&raw=1": "https://example.com/r.txt?auth=...&raw=1",
    "https://example.com/r.txt?canary": "https://example.com/r.txt?...",
    "https://example.com/raw?ref=v1.4.2&share=canary": "https://example.com/raw?ref=v1.4.2&share=...",
    "https://example.com/items?path=/r.txt&versionDescriptor.version=main": None,
    "https://example.com/r.txt?raw": None,
    "https://example.com/r.txt?ref=main;share=canary;canary": "https://example.com/r.txt?ref=main;share=...;...",
    "https://example.com/r.txt?raw=1#access_token=canary2": "https://example.com/r.txt?raw=1",
    "https://me:ca#nary@example.com/r.txt#canary": "https://example.com/r.txt",
    "git+https://example.com/team/x.git@v1#deep/r.txt": None,
}


@pytest.mark.parametrize(("url", "kept"), PLACES.items())
def test_a_query_keeps_only_parameters_for_a_file_and_its_version(url: str, kept: str | None) -> None:
    assert source_of(url).name == redacted(url) == (kept or url)


def test_an_unreadable_path_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "requirements.txt"
    path.write_text("a==1\n")

    monkeypatch.setattr(Path, "open", Mock(side_effect=PermissionError(13, "Permission denied")))
    with pytest.raises(GenerationError, match=r"cannot be read \(Permission denied\)"):
        source_of(str(path)).read()
