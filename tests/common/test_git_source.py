from __future__ import annotations

import os
import shlex
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import conftest
import pytest
from package_index import PackageIndex

from ds_docker_env.common.errors import SourceError
from ds_docker_env.common.sources import LocalFile, command, git
from ds_docker_env.common.sources.git import GitFile


@dataclass(frozen=True)
class Repository:
    """Production's repository."""

    folder: Path

    @property
    def url(self) -> str:
        return f"git+{self.folder.as_uri()}"

    def git(self, *arguments: str) -> str:
        return conftest.git(*arguments, folder=self.folder).strip()

    def commit(self, files: dict[str, str]) -> None:
        conftest.write_files(self.folder, files)
        conftest.committed(self.folder)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give git another home, to ignore the developer's configuration."""
    folder = tmp_path / "home"
    conftest.write_files(folder, {".gitconfig": "[init]\ndefaultBranch = main\n"})
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(folder))
    return folder


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """Make a repository with a==2 on main, and a==1 on the branch release/1 and two tags."""
    repository = Repository(tmp_path_factory.mktemp("made") / "shop.git")
    repository.commit(
        {"requirements.txt": "a==1\n", "deploy/base.txt": "b==1\n", "deploy/api.txt": "-r base.txt\nc==1\n"}
    )
    repository.git("branch", "release/1")
    repository.git("tag", "api@1.0")
    repository.git("-c", "user.name=Ada", "-c", "user.email=ada@example.com", "tag", "--message", "one", "v1.0")
    repository.commit({"requirements.txt": "a==2\n"})
    return repository


@pytest.fixture
def repository(made: Repository, tmp_path: Path) -> Repository:
    """Return a copy of the repository."""
    return Repository(shutil.copytree(made.folder, tmp_path / "shop.git"))


def refusal(location: str) -> str:
    with pytest.raises(SourceError) as caught:
        GitFile(location).read()
    (problem,) = caught.value.problems
    return problem


def test_a_file_is_read_at_a_branch_or_a_tag(repository: Repository) -> None:
    for at in ("", "@main"):
        assert GitFile(f"{repository.url}{at}#requirements.txt").read() == b"a==2\n"
    for at in ("@release/1", "@v1.0", "@api@1.0", "@refs/tags/v1.0"):
        assert GitFile(f"{repository.url}{at}#requirements.txt").read() == b"a==1\n"
    # A path to a repository also works.
    assert GitFile(f"git+{repository.folder}@v1.0#deploy/base.txt").read() == b"b==1\n"


def test_a_file_is_read_at_a_commit_by_a_short_or_a_long_hash(repository: Repository) -> None:
    first = repository.git("rev-parse", "main~1")
    for ref in (first, first[:10], "v1.0"):
        file = GitFile(f"{repository.url}@{ref}")
        assert file.read() == b"a==1\n"
        assert file.provenance == f"commit {first}"


@pytest.mark.parametrize("version", ["0", "2"])
def test_a_commit_is_found_if_the_server_does_not_serve_hashes(
    repository: Repository, monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "protocol.version")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", version)
    second = repository.git("rev-parse", "main")
    repository.commit({"requirements.txt": "a==3\n"})
    assert GitFile(f"{repository.url}@{second}").read() == b"a==2\n"


def test_an_included_file_comes_from_the_same_commit_if_the_branch_moves(repository: Repository) -> None:
    file = GitFile(f"{repository.url}@main#deploy/api.txt")
    assert file.read() == b"-r base.txt\nc==1\n"
    repository.commit({"deploy/base.txt": "b==666\n"})
    included = GitFile(file.beside("base.txt"))
    assert included.location == f"{repository.url}@main#deploy/base.txt"
    assert included.read() == b"b==1\n"
    assert included.provenance == file.provenance


def test_an_included_location_keeps_the_repository_and_the_ref() -> None:
    file = GitFile("git+https://example.com/shop.git@v1#deploy/api.txt")
    assert file.beside("../requirements.txt") == "git+https://example.com/shop.git@v1#requirements.txt"
    assert file.beside("./more/c.txt") == "git+https://example.com/shop.git@v1#deploy/more/c.txt"
    assert file.beside("https://example.com/c.txt") == "https://example.com/c.txt"


def test_only_the_files_that_are_read_are_fetched(repository: Repository) -> None:
    repository.git("config", "uploadpack.allowFilter", "true")
    big = "".join(f"{number:064x}" for number in range(20_000))
    repository.commit({"requirements.txt": "a==3\n", "model.bin": big})
    file = GitFile(repository.url)
    assert file.read() == b"a==3\n"
    folder, *_ = git._FETCHED[file._parts()[:3]]
    here = conftest.git("cat-file", "--batch-all-objects", "--batch-check=%(objecttype)", folder=folder).split()
    assert here.count("blob") == 1
    assert here.count("commit") == 1


def test_a_link_is_followed_only_within_the_repository(repository: Repository) -> None:
    (repository.folder / "link.txt").symlink_to("deploy/base.txt")
    (repository.folder / "out.txt").symlink_to("/etc/passwd")
    repository.commit({})
    assert GitFile(f"{repository.url}#link.txt").read() == b"b==1\n"
    assert "out.txt is a link in commit" in refusal(f"{repository.url}#out.txt")


def test_programs_in_the_settings_of_repository_and_user_are_not_run(repository: Repository, home: Path) -> None:
    marker = home / "ran"
    hooks = home / "hooks"
    hooks.mkdir()
    for name in ("post-checkout", "reference-transaction", "post-merge"):
        (hooks / name).write_text(f"#!/bin/sh\ntouch {marker}\n")
        (hooks / name).chmod(0o755)
    (home / ".gitconfig").write_text(
        f"[core]\nhooksPath = {hooks}\n[init]\ntemplateDir = {home}\n"
        f'[filter "run"]\nsmudge = touch {marker}\nclean = cat\nrequired = true\n'
    )
    repository.git("config", "core.hooksPath", "/nowhere")
    repository.commit({".gitattributes": "* filter=run\n"})
    marker.unlink(missing_ok=True)
    assert GitFile(repository.url).read() == b"a==2\n"
    assert not marker.exists()


def test_a_repository_whose_hook_runs_the_template_is_not_changed(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "another"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "index"))
    assert GitFile(repository.url).read() == b"a==2\n"
    assert not (tmp_path / "another").exists()


MISSING = {
    "a branch": ("@realease/1", "unknown branch, tag or commit realease/1; choose from release/1 and 3 more"),
    "a commit": ("@" + "0123456789" * 4, "unknown branch, tag or commit 0123456789"),
    "a short commit": ("@0123456", "unknown branch, tag or commit 0123456; choose from main, release/1, api@1.0, v1.0"),
    "a file": ("#deploy/apis.txt", "; choose from deploy/api.txt, deploy/base.txt, requirements.txt"),
    "a file in a folder": ("#deploy", "deploy is a directory in commit"),
}


@pytest.mark.parametrize(("where", "message"), MISSING.values(), ids=MISSING)
def test_a_missing_file_or_ref_is_refused_with_suggestions(repository: Repository, where: str, message: str) -> None:
    problem = refusal(repository.url + where)
    assert problem.startswith(f"{repository.url}{where}: ")
    assert message in problem


def test_a_repository_without_a_default_branch_is_refused_with_its_branches(
    repository: Repository, tmp_path: Path
) -> None:
    repository.git("symbolic-ref", "HEAD", "refs/heads/gone")
    assert "has no default branch; use one, such as @main" in refusal(repository.url)
    conftest.git("init", "--quiet", "empty.git", folder=tmp_path)
    assert "the repository has no default branch; push one first" in refusal(f"git+{tmp_path}/empty.git")


def test_a_missing_repository_is_named(tmp_path: Path) -> None:
    problem = refusal(f"git+file://{tmp_path}/nothing.git@v1")
    assert "does not appear to be a git repository" in problem
    assert "check the repository's URL" in problem


def test_a_file_that_is_too_large_is_refused(repository: Repository) -> None:
    repository.commit({"large.txt": "#" * 10_000_001})
    assert "is larger than 10 MB" in refusal(f"{repository.url}#large.txt")


REFUSED = {
    "an option as the ref": "git+file:///shop.git@--upload-pack=touch ran",
    "a refspec as the ref": "git+file:///shop.git@main:refs/heads/x",
    "a blank ref": "git+file:///shop.git@",
    "an option as the path": "git+file:///shop.git#--output=ran",
    "a path out of the repository": "git+file:///shop.git#../../etc/passwd",
    "an absolute path": "git+file:///shop.git#/etc/passwd",
    "a line break": "git+file:///shop.git#a\nb",
    "a transport helper": "git+ext::sh -c touch% ran",
    "another scheme": "git+ftp://example.com/shop.git",
    "a relative path": "git+shop.git",
    "an option as the host": "git+ssh://-oProxyCommand=touch ran/shop.git",
    "no host": "git+https:///shop.git",
    "a colon after the host": "git+ssh://git@example.com:team/shop.git",
}


@pytest.mark.parametrize("location", REFUSED.values(), ids=REFUSED)
def test_git_is_not_started_for(location: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def _run(*_: object, **__: object) -> None:
        raise AssertionError("git was run")

    monkeypatch.setattr(git, "run", _run)
    assert "; " in refusal(location)


def test_a_transport_helper_in_the_users_configuration_is_not_run(home: Path) -> None:
    (home / ".gitconfig").write_text(f'[url "ext::touch {home}/ran "]\ninsteadOf = https://example.com/\n')
    assert "transport 'ext' not allowed" in refusal("git+https://example.com/shop.git")
    assert not (home / "ran").exists()


def test_missing_git_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert "apt-get install git" in refusal("git+https://example.com/shop.git")


@contextmanager
def served(folder: Path, login: str = "") -> Iterator[str]:
    """Serve a directory with a plain web server, which does not support shallow clones; return its URL."""
    with PackageIndex(folder, login) as server:
        yield server.url.removesuffix("/simple/")


def test_a_server_without_shallow_clones_is_read_with_the_password_in_netrc(
    repository: Repository, home: Path, tmp_path: Path
) -> None:
    (home / ".netrc").write_text("machine 127.0.0.1 login me password canary\n")
    repository.git("update-server-info")
    with served(tmp_path, "me:canary") as web:
        assert GitFile(f"git+{web}/shop.git/.git@v1.0#requirements.txt").read() == b"a==1\n"


@pytest.mark.parametrize(
    ("login", "message"),
    {"me:canary": "a private repository needs a password in ~/.netrc", "": "not found); check the repository"}.items(),
)
def test_an_unauthorized_repository_is_refused_at_once(tmp_path: Path, login: str, message: str) -> None:
    with served(tmp_path, login) as web:
        assert message in refusal(f"git+{web}/nothing.git")


def test_credentials_are_not_shown(tmp_path: Path) -> None:
    with served(tmp_path) as web:
        with_password = web.replace("//", "//me:canary@")
        for location in (f"{with_password}/nothing.git", with_password.replace("http:", "https:") + "/shop.git@v1"):
            with pytest.raises(SourceError) as caught:
                GitFile(f"git+{location}").read()
            assert "canary" not in str(caught.value)
            assert "canary" not in caught.value.report()
            assert "canary" not in GitFile(f"git+{location}").name


@pytest.mark.parametrize("scheme", ["http", "https", "git", "ssh"])
def test_a_silent_server_is_a_timeout(monkeypatch: pytest.MonkeyPatch, scheme: str) -> None:
    monkeypatch.setattr(git, "SECONDS", 0.3)
    began = time.monotonic()
    with socket.create_server(("127.0.0.1", 0)) as silence:
        location = f"git+{scheme}://127.0.0.1:{silence.getsockname()[1]}/shop.git"
        assert "git received nothing within 0.3 s; try again" in refusal(location)
    assert time.monotonic() - began < 20


def test_all_processes_of_git_are_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started = tmp_path / "started"
    ssh = tmp_path / "ssh"
    ssh.write_text(f"#!/bin/sh\necho $$ > {shlex.quote(str(started))}\nexec sleep 20\n")
    ssh.chmod(0o755)
    monkeypatch.setenv("GIT_SSH_COMMAND", str(ssh))
    # On busy processors git may not have started the process yet.
    for seconds in (0.3, 3, 10):
        monkeypatch.setattr(git, "SECONDS", seconds)
        assert "git received nothing" in refusal("git+ssh://git@example.com/team/shop.git@v1")
        if started.exists() and started.read_text():
            break
    pid = int(started.read_text())
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and _alive(pid):
        time.sleep(0.01)
    assert not _alive(pid)


def _alive(pid: int) -> bool:
    """Say whether a process still runs; it may be a zombie."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    except OSError:
        return False


@pytest.mark.parametrize(
    ("configured", "expected"), [("", "-o BatchMode=yes"), ("[core]\nsshCommand = ssh -i key", "-i key")]
)
def test_ssh_does_not_prompt_and_has_the_users_settings(
    tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch, configured: str, expected: str
) -> None:
    ssh = tmp_path / "ssh"
    ssh.write_text('#!/bin/sh\necho "$*: Permission denied (publickey)." >&2\nexit 255\n')
    ssh.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    (home / ".gitconfig").write_text(configured)
    problem = refusal("git+ssh://git@example.com/team/shop.git@v1")
    assert expected in problem
    assert "or an ssh key" in problem


def test_a_command_with_output_may_take_longer() -> None:
    steady = "for number in 1 2 3 4; do echo $number; sleep 0.4; done"
    done = command.run(["sh", "-c", steady], seconds=1.2, environment=os.environ)
    assert done.stdout == b"1\n2\n3\n4\n"


def test_a_slow_drip_ends_at_the_overall_limit() -> None:
    with pytest.raises(subprocess.TimeoutExpired):
        command.run(["sh", "-c", "while :; do echo; sleep 0.1; done"], seconds=5, environment=os.environ, longest=0.5)


def test_a_flood_is_cut_off_at_the_size_that_is_read() -> None:
    done = command.run(["sh", "-c", "exec cat /dev/zero"], seconds=20, environment=os.environ)
    assert done.returncode < 0
    assert len(done.stdout) == 10_001_000


def test_a_path_in_a_work_tree_names_the_commit_of_the_file_and_whether_it_was_changed_since(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = repository.folder / "requirements.txt"
    commit = repository.git("rev-parse", "HEAD")
    repository.commit({"other.txt": "b==1\n"})
    # As in a hook of another repository.
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    assert LocalFile(str(path)).provenance == f"commit {commit}"
    path.write_text("a==3\n")
    assert LocalFile(str(path)).provenance == f"commit {commit}, changed since"


def test_a_path_outside_of_git_lacks_a_commit(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("a==1\n")
    assert LocalFile(str(tmp_path / "requirements.txt")).provenance == ""


def test_line_endings_do_not_count_as_a_change(repository: Repository) -> None:
    """As git for Windows writes them."""
    path = repository.folder / "deploy" / "api.txt"
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert LocalFile(str(path)).provenance == f"commit {repository.git('rev-parse', 'main~1')}"


def test_the_commit_is_found_in_a_shallow_clone_in_a_second_work_tree_and_through_a_link(
    repository: Repository, tmp_path: Path
) -> None:
    commit = f"commit {repository.git('rev-parse', 'HEAD')}"
    conftest.git("clone", "--quiet", "--depth=1", repository.folder.as_uri(), "shallow", folder=tmp_path)
    repository.git("worktree", "add", "--quiet", "--detach", str(tmp_path / "second"))
    (tmp_path / "link.txt").symlink_to(repository.folder / "requirements.txt")
    for path in ("shallow/requirements.txt", "second/requirements.txt", "link.txt"):
        assert LocalFile(str(tmp_path / path)).provenance == commit


def test_a_repository_with_other_hashes_has_a_commit(tmp_path: Path) -> None:
    folder = tmp_path / "sha256"
    conftest.git("init", "--quiet", "--object-format=sha256", str(folder), folder=tmp_path)
    Repository(folder).commit({"requirements.txt": "a==1\n"})
    commit = Repository(folder).git("rev-parse", "HEAD")
    assert len(commit) == 64
    assert LocalFile(str(folder / "requirements.txt")).provenance == f"commit {commit}"


LAZY = "promisor = true\npartialclonefilter = blob:none\n[extensions]\npartialClone = origin\n"
# Settings that run a program, and the command that runs it.
PREPARED = {
    "a hook": ("", "status"),
    "another hook": ("[core]\nhooksPath = {folder}/hooks\n", "status"),
    "a filter": ('[filter "run"]\nclean = {run}; cat\n', "status"),
    "a process as filter": ('[filter "run"]\nprocess = {run}\n', "status"),
    "an included file": ("[include]\npath = {folder}/included\n", "status"),
    "a monitor of the file system": ("[core]\nfsmonitor = {folder}/program\n", "status"),
    "a signature": ("[log]\nshowSignature = true\n[gpg]\nprogram = {folder}/program\n", "log -1"),
    "a comparison": ("[diff]\nexternal = {folder}/program\n", "diff HEAD~1"),
    "a conversion": ('[diff "run"]\ntextconv = {folder}/program\n', "diff HEAD~1"),
    "ssh": ('[core]\nsshCommand = {run};\n[remote "origin"]\nurl = ssh://git@127.0.0.1/x\n' + LAZY, "ls-tree HEAD"),
    "the other end": ('[remote "origin"]\nurl = {folder}\nuploadpack = {run};\n' + LAZY, "ls-tree HEAD"),
}


@pytest.mark.parametrize(("settings", "usual"), PREPARED.values(), ids=PREPARED)
def test_programs_in_the_settings_of_a_paths_repository_are_not_run(
    repository: Repository, tmp_path: Path, settings: str, usual: str
) -> None:
    folder, marker = tmp_path / "prepared", tmp_path / "ran"
    names = {"folder": str(folder), "run": f"touch {marker}"}
    program = f"#!/bin/sh\ntouch {marker}\n"
    included = '[filter "run"]\nclean = {run}; cat\n'.format(**names)
    conftest.write_files(folder, {"program": program, "hooks/post-index-change": program, "included": included})
    repository.commit({".gitattributes": "* filter=run diff=run\n"})
    # As `git commit --gpg-sign` would.
    signature = b"gpgsig -----BEGIN PGP SIGNATURE-----\n \n x\n -----END PGP SIGNATURE-----\n\n"
    commit = (
        conftest.git("cat-file", "commit", "HEAD", folder=repository.folder)
        .encode()
        .replace(b"\n\n", b"\n" + signature, 1)
    )
    (tmp_path / "commit").write_bytes(commit)
    repository.git("reset", "--soft", repository.git("hash-object", "-t", "commit", "-w", str(tmp_path / "commit")))
    tree = repository.git("rev-parse", "HEAD^{tree}")
    path = repository.folder / "requirements.txt"
    os.utime(path, (1, 1))
    for made in (folder / "program", folder / "hooks/post-index-change"):
        made.chmod(0o755)
    if not settings:
        shutil.copy(folder / "hooks/post-index-change", repository.folder / ".git/hooks/post-index-change")
    with (repository.folder / ".git/config").open("a") as file:
        file.write(settings.format(**names))
    if "promisor" in settings:
        (repository.folder / ".git/objects" / tree[:2] / tree[2:]).unlink()
    shutil.copytree(repository.folder, tmp_path / "copy")

    assert LocalFile(str(path)).provenance == (
        "" if "promisor" in settings else f"commit {repository.git('rev-parse', 'HEAD~1')}"
    )
    assert not marker.exists()
    subprocess.run(["git", *usual.split()], cwd=tmp_path / "copy", capture_output=True, check=False)
    assert marker.exists()


def test_a_repository_that_is_too_large_is_refused_and_removed(
    repository: Repository, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(git, "MOST", 1_000_000)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "fetched"))
    (tmp_path / "fetched").mkdir()
    (repository.folder / "model.bin").write_bytes(os.urandom(3_000_000))
    repository.commit({})
    repository.git("config", "uploadpack.allowFilter", "false")
    assert "git would fetch more than 0.001 GB; clone it and use the file in the clone" in refusal(repository.url)
    assert list((tmp_path / "fetched").iterdir()) == []


def test_an_object_that_unpacks_to_gigabytes_is_refused(
    repository: Repository, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(git, "_MEMORY", 20_000_000)
    (tmp_path / "message").write_text("x" * 30_000_000)
    tree = repository.git("rev-parse", "HEAD^{tree}")
    who = ("-c", "user.name=Ada", "-c", "user.email=ada@example.com")
    commit = repository.git(*who, "commit-tree", tree, "-F", str(tmp_path / "message"))
    repository.git("update-ref", "refs/heads/main", commit)
    repository.git("repack", "-adq")
    repository.git("update-server-info")
    with served(tmp_path) as web:
        said = refusal(f"git+{web}/shop.git/.git")
    assert said.endswith("an object exceeds 0.02 GB; clone it and use the file in the clone")
