"""Hosts that differ: umasks, teams, links to other disks. Owners are real users, not root."""

from __future__ import annotations

import json
import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from docker.conftest import copied
from docker.kernel import started_kernel
from docker.project import SETUP, Project, sh

pytestmark = [
    pytest.mark.docker,
    pytest.mark.skipif(sys.platform == "win32" or os.geteuid() != 0, reason="only root can give files to others"),
]

ANA, ANALYSTS = 4242, 4300
HOME = "import os, pwd; print(pwd.getpwuid(os.getuid()).pw_dir)"
WORK = f"whoami && mkdir -p src/made && touch src/made/file && python -c '{HOME}'"
LINKED = "start: src/data: links to /mnt/nowhere, which is not in the container; mount it (README.md, Data)"


def own(path: Path, user: int = ANA, group: int = ANA) -> None:
    if sys.platform != "win32":
        os.chown(path, user, group, follow_symlinks=False)


def give(project: Project, *, directories: int, files: int, group: int = ANA) -> None:
    """Give a project to Ana, with these modes."""
    for path in (project.folder, *project.folder.rglob("*")):
        own(path, group=group)
        if not path.is_symlink():
            path.chmod(directories if path.is_dir() else files)


@pytest.fixture
def anas(built: Project, tmp_path: Path) -> Iterator[Project]:
    """Give Ana a copy of the project in a directory that only she may enter."""
    beside = tmp_path / "home"
    beside.mkdir()
    project = copied(built, beside)
    own(beside)
    beside.chmod(0o700)
    yield project
    project.remove()


@pytest.mark.parametrize("mode", [0o700, 0o750, 0o755], ids=["umask 077", "umask 027", "umask 022"])
def test_a_project_starts_under_any_umask_and_its_owner_has_a_name_and_a_home(anas: Project, mode: int) -> None:
    (anas.folder / ".env").unlink()
    give(anas, directories=mode, files=mode & 0o666)
    sh(*SETUP, folder=anas.folder)
    assert (anas.folder / ".env").stat().st_uid == ANA
    assert anas.run("sh", "-c", WORK).stdout.split() == ["owner", f"/home/{ANA}"]
    assert (anas.folder / "src" / "made" / "file").stat().st_uid == ANA


def test_team_members_can_change_each_others_files(anas: Project) -> None:
    give(anas, directories=0o2775, files=0o664, group=ANALYSTS)
    with anas.up(), started_kernel(anas) as kernel:
        assert kernel.run("import os; os.mkdir('src/made'); open('src/made/file', 'w').close()") == ""
        body = {"type": "file", "format": "text", "content": ""}
        assert anas.api("/api/contents/src/saved.txt", method="PUT", body=body).status == 201
        anas.compose("exec", "--no-TTY", "jupyter", "bash", "-c", "mkdir src/typed && touch src/typed/file")
        for name in ("made", "made/file", "saved.txt", "typed", "typed/file"):
            made = (anas.folder / "src" / name).stat()
            assert made.st_gid == ANALYSTS, name
            assert stat.S_IMODE(made.st_mode) == (0o2775 if stat.S_ISDIR(made.st_mode) else 0o664), name


def test_data_may_be_linked_or_mounted_from_another_disk(anas: Project, tmp_path: Path) -> None:
    data = anas.folder / "src" / "data"
    data.rmdir()
    data.symlink_to("/mnt/nowhere")
    sh("git", "init", "--quiet", folder=anas.folder)
    assert "src/data" not in sh("git", "status", "--porcelain", "--untracked-files=all", folder=anas.folder).stdout
    assert "src/data" not in sh("git", "add", "--dry-run", ".", folder=anas.folder).stdout
    give(anas, directories=0o755, files=0o644)
    started = anas.run("id", "-u")
    assert (started.stdout.strip(), LINKED in started.stderr) == (str(ANA), True)

    disk = tmp_path / "disk"
    disk.mkdir()
    (disk / "customers.csv").write_text("1\n")
    override = {"services": {"jupyter": {"volumes": [f"{disk}:/project/src/data:ro"]}}}
    (anas.folder / "docker-compose.override.yml").write_text(json.dumps(override))
    mounted = anas.run("cat", "src/data/customers.csv")
    assert (mounted.stdout, mounted.stderr.count("start:")) == ("1\n", 0)


def test_notebooks_in_subdirectories_and_scripts_import_modules_of_src(anas: Project) -> None:
    (anas.folder / "src" / "total.py").write_text("def of(numbers):\n    return sum(numbers)\n")
    # A file in src must not shadow the standard library.
    (anas.folder / "src" / "random.py").write_text("raise RuntimeError\n")
    (anas.folder / "src" / "deep").mkdir()
    give(anas, directories=0o755, files=0o644)
    notebook = anas.write_notebook("import random, total\ntotal.of([1, 2])", name="src/deep/below.ipynb")
    own(anas.folder / notebook)
    said = anas.run("jupyter", "nbconvert", "--to", "notebook", "--stdout", "--execute", notebook)
    assert '"text/plain": [\n       "3"' in said.stdout
    assert anas.run("python", "-c", "import random, total; print(total.of([1, 2]))").stdout == "3\n"


def test_git_in_the_container_reads_a_foreign_repository_but_cannot_change_it(anas: Project) -> None:
    sh("git", "init", "--quiet", folder=anas.folder)
    give(anas, directories=0o755, files=0o644)
    # On Docker Desktop another user seems to own the repository.
    for path in (anas.folder / ".git", *(anas.folder / ".git").rglob("*")):
        own(path, ANALYSTS)
        path.chmod(0o777)
    with anas.up():
        said = anas.compose(
            "exec", "--no-TTY", "jupyter", "bash", "-c", "git status --short README.md; git add README.md", check=False
        )
        assert said.stdout == "?? README.md\n"
        assert "Read-only file system" in said.stderr
