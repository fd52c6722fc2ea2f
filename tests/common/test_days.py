"""Production's file as it was on a day."""

from __future__ import annotations

import os
import shutil
from datetime import datetime, timedelta, timezone
from pathlib import Path

import conftest
import pytest
from package_index import PackageIndex

from ds_docker_env.common.day import today
from ds_docker_env.common.errors import DayError, GenerationError, SourceError
from ds_docker_env.common.sources import day_of, git, on_day, source_of
from ds_docker_env.common.sources.git import GitFile


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ignore the developer's configuration."""
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a repository whose main branch merged a branch of February in March."""
    folder = tmp_path_factory.mktemp("made") / "shop.git"

    def commit(when: str, files: dict[str, str]) -> None:
        conftest.write_files(folder, files)
        conftest.committed(folder, when)

    commit("2026-01-10T12:00:00Z", {"deploy/base.txt": "b==1\n", "deploy/api.txt": "-r base.txt\n"})
    commit("2026-01-20T12:00:00Z", {"requirements.txt": "a==1\n"})
    conftest.git("checkout", "--quiet", "-b", "feature", folder=folder)
    commit("2026-02-05T12:00:00Z", {"merged.txt": "", "requirements.txt": "a==9\n"})
    conftest.git("checkout", "--quiet", "main", folder=folder)
    commit("2026-02-20T12:00:00Z", {"requirements.txt": "a==2\n", "deploy/base.txt": "b==2\n"})
    # The next day in UTC.
    commit("2026-03-01T23:30:00-05:00", {"requirements.txt": "a==3\n"})
    author = ("-c", "user.name=Ada", "-c", "user.email=ada@example.com")
    merge = (*author, "merge", "--quiet", "--no-ff", "--strategy-option=theirs", "--message=Merge", "feature")
    conftest.git(*merge, folder=folder, when="2026-03-10T12:00:00Z")
    return folder


@pytest.fixture
def repository(made: Path, tmp_path: Path) -> Path:
    """Return a copy of the repository."""
    return Path(shutil.copytree(made, tmp_path / "shop.git"))


def read(location: str) -> str:
    return source_of(location).read().decode()


def refusal(location: str) -> str:
    with pytest.raises((DayError, SourceError)) as caught:
        read(location)
    (problem,) = caught.value.problems
    return problem.removeprefix(f"{location}: ")


def test_a_day_takes_the_last_commit_of_the_branch_up_to_its_end_in_utc(repository: Path) -> None:
    url = f"git+{repository.as_uri()}"
    days = {
        # The branch was merged later.
        "2026-02-10": "a==1\n",
        "2026-03-01": "a==2\n",
        "main@2026-03-01": "a==2\n",
        "2026-03-02": "a==3\n",
        "2026-03-10": "a==9\n",
        today(): "a==9\n",
        "feature@2026-02-10": "a==9\n",
    }
    assert {at: read(f"{url}@{at}#requirements.txt") for at in days} == days
    commit = conftest.git("rev-parse", "main~2", folder=repository).strip()
    assert source_of(f"{url}@2026-03-01").provenance == f"commit {commit} of 2026-02-20"
    assert read(f"{url}@{commit}@2026-03-01") == "a==2\n"


def test_an_included_file_is_of_that_day_too(repository: Path) -> None:
    file = GitFile(f"git+{repository}@2026-03-01#deploy/api.txt")
    included = GitFile(file.beside("base.txt"))
    assert included.location == f"git+{repository}@2026-03-01#deploy/base.txt"
    assert (included.read(), included.place) == (b"b==2\n", file.place)


SERVERS = {
    "gives commits alone": ({"uploadpack.allowFilter": "true"}, {"blob": 1, "tree": 2}),
    "gives names of files": ({"uploadpack.allowFilter": "true", "uploadpackfilter.tree.allow": "false"}, {"blob": 1}),
    "gives all": ({}, {}),
}


@pytest.mark.parametrize(("settings", "fetched"), SERVERS.values(), ids=SERVERS)
def test_a_day_is_found_where_a_server(repository: Path, settings: dict[str, str], fetched: dict[str, int]) -> None:
    for name, value in settings.items():
        conftest.git("config", name, value, folder=repository)
    file = GitFile(f"git+{repository.as_uri()}@2026-02-25#deploy/base.txt")
    assert file.read() == b"b==2\n"
    folder, *_ = git._FETCHED[file._parts()[:3]]
    here = conftest.git("cat-file", "--batch-all-objects", "--batch-check=%(objecttype)", folder=folder).split()
    assert {kind: here.count(kind) for kind in fetched} == fetched


def test_a_day_is_found_on_a_plain_web_server(repository: Path, tmp_path: Path) -> None:
    conftest.git("update-server-info", folder=repository)
    with PackageIndex(tmp_path) as server:
        assert read(f"git+{server.url.removesuffix('/simple/')}/shop.git/.git@2026-02-25") == "a==2\n"


def test_a_tag_or_a_branch_with_a_name_like_a_day_is_not_taken_for_one(repository: Path) -> None:
    url = f"git+{repository.as_uri()}"
    conftest.git("tag", "2026-03-01", "main~3", folder=repository)
    conftest.git("branch", "api@2026-03-01", "main~3", folder=repository)
    assert refusal(f"{url}@2026-03-01#requirements.txt") == (
        "refs/tags/2026-03-01 also exists; write @refs/tags/2026-03-01 for it, "
        "or @refs/heads/BRANCH@2026-03-01 for a branch on that day"
    )
    commit = conftest.git("rev-parse", "main~3", folder=repository).strip()
    assert f"; write @{commit} for it, or @refs/heads/api@2026-03-01 for" in refusal(f"{url}@api@2026-03-01")
    assert read(f"{url}@refs/tags/2026-03-01") == read(f"{url}@{commit}") == "a==1\n"
    assert read(f"{url}@main@2026-03-01") == "a==2\n"


def test_a_ref_in_full_may_have_a_day_and_keeps_its_meaning_on_another_day(repository: Path) -> None:
    conftest.git("tag", "v1", "main~3", folder=repository)
    conftest.git("branch", "v1", "main", folder=repository)
    conftest.git("update-ref", "refs/pull/1/head", "main", folder=repository)
    conftest.git("branch", "v1@2026-03-01", "main", folder=repository)
    for ref in ("refs/heads/v1", "refs/tags/v1", "refs/pull/1/head"):
        location = GitFile(f"git+{repository}@{ref}").on("2026-03-01")
        assert location == f"git+{repository}@{ref}@2026-03-01#requirements.txt"
        assert read(location) == ("a==1\n" if "tags" in ref else "a==2\n")
        assert GitFile(location).on("") == f"git+{repository}@{ref}#requirements.txt"


def test_a_day_before_the_first_commit_is_refused_with_the_date_of_that_commit(
    repository: Path, tmp_path: Path
) -> None:
    url = f"git+{repository.as_uri()}"
    assert refusal(f"{url}@2026-01-09") == (
        "the first commit, of 2026-01-10 (UTC), is later than 2026-01-09; use a later day"
    )
    commit = conftest.git("rev-parse", "main~4", folder=repository)[:10]
    assert refusal(f"{url}@2026-01-15") == (
        f"requirements.txt is not in commit {commit} of 2026-01-10; choose from deploy/api.txt and 1 more"
    )
    conftest.git("clone", "--quiet", "--depth=1", repository.as_uri(), "shallow", folder=tmp_path)
    shallow = (tmp_path / "shallow").as_uri()
    assert read(f"git+{shallow}@2026-03-10") == "a==9\n"
    refused = refusal(f"git+{shallow}@2026-03-01")
    assert refused.endswith("use a later day, or run in this shallow repository: git fetch --unshallow")
    later = (datetime.now(timezone.utc) + timedelta(2)).date().isoformat()
    assert refusal(f"{url}@{later}") == f"{later} is in the future; use a day up to {today()} (today in UTC)"
    for at in ("2026-3-1", "main@20260301"):
        assert refusal(f"{url}@{at}").endswith(f"; write a day as YYYY-MM-DD, such as {today()}")
    assert refusal(f"{url}@2026-02-30") == f"'2026-02-30' is not a date; write YYYY-MM-DD, such as {today()}"


LOCATIONS = {
    "git+https://host/org/app": ("", "git+https://host/org/app@2026-03-01#requirements.txt"),
    "git+https://host/org/app.git@main#a/b.txt": ("", "git+https://host/org/app.git@main@2026-03-01#a/b.txt"),
    "git+ssh://git@host/org/app@refs/heads/v@1": ("", "git+ssh://git@host/org/app@refs/heads/v@1"),
    "git+ssh://git@host:22/org/app.git@2025-12-31#a.txt": (
        "2025-12-31",
        "git+ssh://git@host:22/org/app.git@2026-03-01#a.txt",
    ),
    "git+/app@v@1@2025-12-31": ("2025-12-31", "git+/app@v@1@2026-03-01#requirements.txt"),
}


@pytest.mark.parametrize(("location", "expected"), LOCATIONS.items(), ids=LOCATIONS)
def test_a_location_is_moved_to_another_day_and_back(location: str, expected: tuple[str, str]) -> None:
    day, moved = expected
    assert day_of(location) == day
    assert on_day(location, "2026-03-01").startswith(moved)
    assert day_of(on_day(location, "2026-03-01")) == "2026-03-01"
    assert day_of(on_day(on_day(location, "2026-03-01"), "")) == ""
    assert GitFile(location).name == location


def test_a_file_without_history_is_refused_with_a_fix() -> None:
    with pytest.raises(GenerationError) as caught:
        on_day("https://host/requirements.txt", "2026-03-01")
    assert str(caught.value) == (
        "https://host/requirements.txt: is a file without history; use its git repository, such as "
        "git+https://HOST/TEAM/REPOSITORY@2026-03-01#PATH, or a file from that day: take-over --at 2026-03-01 FILE"
    )
    assert on_day("requirements/api.txt", "") == "requirements/api.txt"
