"""Data under DVC, with nothing on the host but Docker, against an S3 on this machine."""

from __future__ import annotations

import hashlib
import random
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from docker.conftest import copied, image_of
from docker.project import SETUP, Project, blocks, eventually, sh

if TYPE_CHECKING:
    from docker.storage import Storage

pytestmark = pytest.mark.docker

BUCKET = "bucket"

SECRET = Path(".secrets", "aws_credentials")
POINTER = Path("src", "data", "customers.csv.dvc")
CUSTOMERS = b"id,city\n1,Bonn\n2,Ulm\n"
ADA = {f"GIT_{who}_{what}": "ada@example.com" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
# Print the files that the image's DVC writes with `dvc init` and the settings.
REAL = f"""\
cd "$(mktemp -d)" && git init --quiet && export DVC_SITE_CACHE_DIR="$PWD/.git/site"
{{ dvc init && dvc remote add --default storage s3://{BUCKET}/churn/ &&
dvc config core.analytics false && dvc config core.check_update false; }} >/dev/null
for name in .dvc/.gitignore .dvc/config .dvcignore; do cat "$name"; printf '\\0'; done
git status --porcelain --untracked-files=all | cut -c 4-
"""


@pytest.fixture(scope="module")
def storage(host: str) -> Iterator[Storage]:
    # This import takes half a second, which fast tests do not need.
    from docker.storage import Storage

    with Storage(host, BUCKET) as storage:
        yield storage


@pytest.fixture(scope="module")
def author(
    storage: Storage, generate: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Project]:
    """Generate where ``~/.aws/credentials`` is, build, and push one file."""
    home = tmp_path_factory.mktemp("home")
    (home / ".aws").mkdir()
    (home / ".aws" / "credentials").write_text(storage.credentials)
    answers = {"dvc_s3_url": f"s3://{BUCKET}/churn/", "python_version": "3.13", "debian_release": "trixie"}
    with image_of(partial(generate, home), **answers) as project:
        with (project.folder / ".env").open("a") as settings:
            settings.write(f"AWS_ENDPOINT_URL={storage.url}\n")
        (project.folder / "src" / "data" / "customers.csv").write_bytes(CUSTOMERS)
        keep = next(block for block in blocks(project.read("README.md"), "sh") if "dvc add" in block)
        assert "dvc add src/data/customers.csv\n" in keep
        sh("bash", "-euc", keep, folder=project.folder, environment=project.environment | ADA)
        yield project


@pytest.fixture
def mine(author: Project, tmp_path: Path) -> Iterator[Project]:
    """Give a test its own copy of the author's project."""
    project = copied(author, tmp_path)
    yield project
    project.remove()


def untracked(folder: Path) -> set[str]:
    said = sh("git", "status", "--porcelain", "--untracked-files=all", folder=folder).stdout
    return {line[3:] for line in said.splitlines() if line.startswith("??")}


def clone(project: Project, folder: Path) -> Project:
    """Clone, and run the README's first command."""
    sh("git", "clone", "--quiet", str(project.folder), str(folder))
    sh(*SETUP, folder=folder)
    (folder / ".env").write_text(project.read(".env"))
    name = f"{project.name}-clone"
    sh("docker", "tag", project.image, name)
    return replace(project, folder=folder, image=name, name=name)


def digests(folder: Path) -> dict[str, str]:
    files = [path for path in folder.rglob("*") if path.is_file() and not path.name.endswith((".dvc", ".gitignore"))]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def forget(project: Project, *names: str) -> None:
    """Delete data and their copies on this machine."""
    for name in names:
        project.run("rm", "-r", f"src/data/{name}")
    project.run("rm", "-r", ".dvc/cache")


def fill(folder: Path) -> None:
    """Make 1,000 small files and one of 200 MB."""
    made = random.Random(4)
    (folder / "many").mkdir()
    for number in range(1000):
        (folder / "many" / f"{number}.json").write_bytes(made.randbytes(made.randrange(1, 4000)))
    (folder / "large.bin").write_bytes(b"".join(made.randbytes(1_000_000) for _ in range(200)))


def test_the_rendered_dvc_files_match_the_real_commands(author: Project) -> None:
    real = sh("docker", "run", "--rm", author.image, "bash", "-c", REAL).stdout.split("\0")
    names = [".dvc/.gitignore", ".dvc/config", ".dvcignore"]
    assert [author.read(name) for name in names] == real[:3]
    assert real[3].split() == names


def test_git_tracks_the_pointer_but_neither_data_nor_settings(author: Project) -> None:
    assert untracked(author.folder) == set()
    tracked = sh("git", "ls-files", folder=author.folder).stdout.split()
    assert POINTER.as_posix() in tracked
    assert not {"src/data/customers.csv", ".env"} & set(tracked)


@pytest.mark.parametrize("target", ["src/data/folder/deep/a.csv", "src/data"])
def test_a_nested_file_and_the_whole_data_directory_can_be_added(mine: Project, target: str) -> None:
    deep = mine.folder / "src" / "data" / "folder" / "deep"
    deep.mkdir(parents=True)
    (deep / "a.csv").write_bytes(b"a\n")
    (deep / "b.csv").write_bytes(b"b\n")
    if target == "src/data":
        sh("git", "rm", "--quiet", str(POINTER), folder=mine.folder)
    before = digests(mine.folder / "src" / "data")
    mine.run("dvc", "add", target)
    mine.run("dvc", "push")
    added = untracked(mine.folder)
    assert f"{target}.dvc" in added
    assert all(name.endswith((".dvc", ".gitignore")) for name in added)
    mine.run("rm", "-r", target, ".dvc/cache")
    mine.run("dvc", "pull")
    assert digests(mine.folder / "src" / "data") == before


def test_a_clone_pulls_the_same_bytes(author: Project, tmp_path: Path) -> None:
    other = clone(author, tmp_path / "other")
    try:
        assert not (other.folder / "src" / "data" / "customers.csv").exists()
        other.run("dvc", "pull")
        assert (other.folder / "src" / "data" / "customers.csv").read_bytes() == CUSTOMERS
        assert untracked(other.folder) == set()
    finally:
        other.remove()


def test_many_files_and_a_large_one_survive_a_storage_failure_during_a_push(mine: Project, storage: Storage) -> None:
    data = mine.folder / "src" / "data"
    fill(data)
    before = digests(data)
    assert untracked(mine.folder) == set()
    mine.run("dvc", "add", "src/data/many", "src/data/large.bin")
    assert untracked(mine.folder) == {"src/data/.gitignore", "src/data/large.bin.dvc", "src/data/many.dvc"}
    there = len(storage.objects())
    with ThreadPoolExecutor() as aside:
        pushed = aside.submit(mine.run, "dvc", "push", check=False)
        eventually(lambda: len(storage.objects()) > there + 50, "some files arrived")
        storage.stop()
        begin = time.monotonic()
        try:
            push = pushed.result(timeout=400)
        finally:
            storage.start()
    assert push.returncode != 0
    assert "ERROR: failed to push data to the cloud" in push.stdout + push.stderr
    # Retries for each file would take half an hour.
    assert time.monotonic() - begin < 300
    assert 50 < len(storage.objects()) - there < 1001
    assert digests(data) == before
    mine.run("dvc", "push")
    forget(mine, "many", "large.bin", "customers.csv")
    assert "deleted" in mine.run("dvc", "status", "-c").stdout
    mine.run("dvc", "pull")
    assert digests(data) == before
    status = mine.run("dvc", "status", "-c")
    assert "in sync" in status.stdout + status.stderr
    owner = mine.folder.stat().st_uid
    assert {path.stat().st_uid for path in data.rglob("*")} == {owner}


def test_the_notebook_starts_without_credentials_and_dvc_asks_for_them(mine: Project, storage: Storage) -> None:
    gone = f"AWS_SHARED_CREDENTIALS_FILE={mine.folder}/gone\n"
    (mine.folder / ".env").write_text(f"AWS_ENDPOINT_URL={storage.url}\n{gone}")
    assert f"{mine.folder}/gone" in mine.compose("up", "--detach", check=False).stderr
    (mine.folder / ".env").write_text(f"AWS_ENDPOINT_URL={storage.url}\n")
    with mine.up():
        assert mine.api("/api/contents").status == 200
        forget(mine, "customers.csv")
        said = mine.compose("exec", "--no-TTY", "jupyter", "dvc", "pull", check=False)
        assert said.returncode != 0
        assert "dvc: AWS credentials are missing, or their file is invalid; " in said.stderr
        assert "see aws_credentials in README.md" in said.stderr
        (mine.folder / SECRET).write_text(storage.credentials)
        mine.compose("up", "--detach", "--force-recreate")
        mine.compose("exec", "--no-TTY", "jupyter", "dvc", "pull")
    assert (mine.folder / "src" / "data" / "customers.csv").read_bytes() == CUSTOMERS


def test_invalid_credentials_are_named_with_their_source(mine: Project, storage: Storage) -> None:
    (mine.folder / ".env").write_text(f"AWS_ENDPOINT_URL={storage.url}\n")
    (mine.folder / SECRET).write_text(storage.credentials.replace("secret_access_key = ", "secret_access_key = wrong"))
    said = mine.run("dvc", "push", check=False)
    assert said.returncode != 0
    assert "if S3 refused it: the AWS credentials are of profile default in your file" in said.stderr
    (mine.folder / ".env").write_text(f"AWS_ENDPOINT_URL={storage.url}\nAWS_PROFILE=team\n")
    assert "dvc: AWS credentials of profile team are missing" in mine.run("dvc", "push", check=False).stderr
    (mine.folder / SECRET).write_text(storage.credentials.replace("[default]", "[team]"))
    mine.run("dvc", "push")


def test_a_cell_reads_from_s3_with_pandas_and_boto3(mine: Project, storage: Storage) -> None:
    storage.s3.put_object(Bucket=BUCKET, Key="shared/cities.csv", Body=CUSTOMERS)
    with (mine.folder / ".env").open("a") as settings:
        settings.write("AWS_DEFAULT_REGION=eu-central-1\n")
    printed = mine.outputs(
        f"import pandas as pd; print(pd.read_csv('s3://{BUCKET}/shared/cities.csv').city.tolist())",
        f"import boto3; print(boto3.client('s3').list_objects_v2(Bucket='{BUCKET}', Prefix='shared/')['KeyCount'])",
        "!dvc status -c --quiet && echo in sync",
        "print(boto3.Session().region_name)",
    )
    assert printed == ["['Bonn', 'Ulm']", "1", "in sync", "eu-central-1"]


def inside_a_bigger_repository(project: Project, tmp_path: Path) -> Project:
    big = tmp_path / "big"
    sh("git", "init", "--quiet", str(big))
    sh("cp", "-r", str(project.folder), str(big / "analysis"))
    sh("rm", "-r", "-f", str(big / "analysis" / ".git"))
    return replace(project, folder=big / "analysis", name=f"{project.name}-big")


def as_a_worktree(project: Project, tmp_path: Path) -> Project:
    folder = tmp_path / "worktree"
    original = copied(project, tmp_path).folder
    sh("git", "worktree", "add", "--quiet", str(folder), folder=original)
    sh("cp", "-r", str(project.folder / ".secrets"), str(project.folder / ".env"), str(folder))
    return replace(project, folder=folder, name=f"{project.name}-worktree")


@pytest.mark.parametrize("laid_out", [inside_a_bigger_repository, as_a_worktree])
def test_dvc_works_in_a_subdirectory_of_a_repository_and_in_a_worktree(
    author: Project, tmp_path: Path, laid_out: Callable[[Project, Path], Project]
) -> None:
    project = laid_out(author, tmp_path)
    try:
        (project.folder / "src" / "data" / "more.csv").write_bytes(b"more\n")
        project.run("dvc", "add", "src/data/more.csv")
        project.run("dvc", "push")
        project.run("rm", "-r", "src/data/more.csv", ".dvc/cache")
        project.run("dvc", "pull")
        assert (project.folder / "src" / "data" / "more.csv").read_bytes() == b"more\n"
        assert (project.folder / "src" / "data" / "customers.csv").read_bytes() == CUSTOMERS
        assert not {name for name in untracked(project.folder) if name.endswith(".csv")}
    finally:
        project.remove()


def test_dvc_on_the_host_and_in_the_container_share_data(mine: Project, tmp_path: Path, storage: Storage) -> None:
    [version] = {line.split()[0] for line in mine.read("tools.txt").splitlines() if line.startswith("dvc==")}
    home = tmp_path / "home"
    (home / ".aws").mkdir(parents=True)
    (home / ".aws" / "credentials").write_text(storage.credentials)
    cache = sh(sys.executable, "-m", "uv", "cache", "dir").stdout.strip()
    settings = {"HOME": str(home), "DVC_SITE_CACHE_DIR": str(home / "site"), "UV_CACHE_DIR": cache}
    settings["AWS_ENDPOINT_URL"] = storage.url

    def dvc(*arguments: str) -> None:
        asked = ("-m", "uv", "tool", "run", "--from", version.replace("dvc", "dvc[s3]"), "dvc", *arguments)
        sh(sys.executable, *asked, folder=mine.folder, environment=settings)

    (mine.folder / "src" / "data" / "host.csv").write_bytes(b"host\n")
    dvc("add", "src/data/host.csv")
    dvc("push")
    assert untracked(mine.folder) == {"src/data/host.csv.dvc"}
    forget(mine, "host.csv", "customers.csv")
    mine.run("dvc", "pull")
    assert (mine.folder / "src" / "data" / "host.csv").read_bytes() == b"host\n"
    forget(mine, "host.csv", "customers.csv")
    dvc("pull")
    assert (mine.folder / "src" / "data" / "host.csv").read_bytes() == b"host\n"
