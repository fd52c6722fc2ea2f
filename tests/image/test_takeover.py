from __future__ import annotations

import re
import signal
import time
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path

import conftest
import pytest
from package_index import PackageIndex

from ds_docker_env.common.errors import DayError, GenerationError, ProjectError, SourceError
from ds_docker_env.common.target import AMD64, ARM64, Target, machines
from ds_docker_env.image import check, hold, project, takeover
from ds_docker_env.image.takeover import take_over
from ds_docker_env.image.template import Template
from ds_docker_env.pinning.builds import Building

LINUX = Target("3.11")
FILES = {
    "production.txt": "# source: /api/requirements.txt\n\nprod==1.0\n",
    "requirements.in": "# Edited.\nipykernel>=6\nadded>=1  # for the plots\n# late>=2: left out, it cannot live\n",
    "requirements.txt": "added==1.0\ngone==1.0\nipykernel==6.5\nprod==1.0\n",
    "constraints.txt": "old==1.0\n",
    "overrides.txt": "old==1.0\n",
    "uv.toml": Building(setuptools="setuptools<58").render(),
}


@pytest.fixture(autouse=True)
def interruptions() -> Iterator[None]:
    """Restore interruptions, which a replacement disables."""
    before = [(number, signal.getsignal(number)) for number in (signal.SIGINT, signal.SIGTERM)]
    yield
    for number, handler in before:
        signal.signal(number, handler)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    for name, text in FILES.items():
        (folder / name).write_text(text)
    monkeypatch.chdir(folder)
    return folder


def contents(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir()}


def test_a_new_production_file_replaces_the_old_one_and_moves_nothing_else(
    folder: Path, offline: PackageIndex, tmp_path: Path
) -> None:
    for name, version in (("prod", "2.0"), ("added", "1.0"), ("added", "3.0"), ("late", "2.0"), ("ipykernel", "6.5")):
        offline.add(name, version)
    newer = tmp_path / "newer.txt"
    newer.write_text("prod==2.0\n")
    said = take_over(str(newer), Target("3.11", ARM64))
    assert "Production: 1 of 1 pins kept exactly, from " + str(newer) in said
    assert {"Moved:      prod 1.0 -> 2.0  major version", "New:        late 2.0", "Gone:       gone 1.0"} <= set(said)
    now = contents(folder)
    assert set(now) == {"production.txt", "requirements.in", "requirements.txt"}
    assert "\nadded==1.0 \\\n" in now["requirements.txt"]
    assert machines(now["requirements.txt"]) == [AMD64, ARM64]
    assert "\nadded>=1  # for the plots\nlate>=2\n" in now["requirements.in"]
    assert f"# source: {newer}\n" in now["production.txt"]
    assert "a path in the container" in now["production.txt"]


def test_build_requirements_stay_while_the_index_moves_on_and_go_with_their_source(
    folder: Path, offline: PackageIndex, tmp_path: Path
) -> None:
    (folder / "uv.toml").unlink()
    offline.add("prod", "2.0")
    offline.add_source("old", "1.0", files={"setup.py": ""})
    newer = tmp_path / "newer.txt"
    newer.write_text("prod==2.0\nold==1.0\n")
    offline.add_setuptools("90.0")
    take_over(str(newer), LINUX)
    locked = contents(folder)["build-requirements.txt"]
    assert "\n# old==1.0\nsetuptools==90.0 \\\n    --hash=sha256:" in locked
    offline.add_setuptools("91.0")
    take_over(str(newer), LINUX)
    assert contents(folder)["build-requirements.txt"] == locked
    newer.write_text("prod==2.0\n")
    take_over(str(newer), LINUX)
    assert "build-requirements.txt" not in contents(folder)


def test_moves_on_the_other_processor_are_printed(folder: Path, offline: PackageIndex, tmp_path: Path) -> None:
    offline.add("prod", "2.0")
    offline.add("only-arm", "1.0")
    newer = tmp_path / "newer.txt"
    newer.write_text("prod==2.0\nonly-arm==1.0 ; platform_machine == 'aarch64'\n")
    assert "New:        only-arm 1.0 on linux/arm64" in take_over(str(newer), LINUX)
    newer.write_text("prod==2.0\n")
    assert take_over(str(newer), LINUX)[-1] == "Gone:       only-arm 1.0 on linux/arm64"


def test_a_url_is_read_again_unless_it_holds_a_secret_which_is_not_stored(folder: Path, offline: PackageIndex) -> None:
    offline.add("prod", "2.0")
    (offline.folder / "requirements.txt").write_text("prod==2.0\n")
    url = f"{offline.url.removesuffix('simple/')}requirements.txt"
    said = take_over(f"{url}?ref=v2", LINUX)
    assert project.named_source((folder / "production.txt").read_text(), "take-over") == f"{url}?ref=v2"
    said += take_over(f"{url}?ref=v2;canary#access=canary", LINUX)
    kept = (folder / "production.txt").read_text()
    assert "canary" not in "".join([*said, *contents(folder).values()])
    for production in (kept, kept.replace(";", "&share=")):
        with pytest.raises(SourceError, match=r"\?ref=v2[;&].*: \.\.\. stands for a value .*; use the full URL"):
            project.named_source(production, "take-over")


def test_a_project_goes_back_to_an_earlier_day_and_follows_production_again_later(
    folder: Path,
    offline: PackageIndex,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(takeover, "read_target", lambda _: LINUX)
    monkeypatch.setattr(takeover, "template", lambda: Template("1", "2", [], {}))
    url = f"git+{(tmp_path / 'shop').as_uri()}"
    for month, version in ((2, "1.0"), (4, "2.0")):
        conftest.write_files(tmp_path / "shop", {"requirements.txt": f"prod=={version}\n"})
        conftest.committed(tmp_path / "shop", f"2026-0{month}-20T12:00:00Z")
        released = datetime(2026, month, 10, tzinfo=timezone.utc)
        offline.add("prod", version, uploaded=released)
        offline.add("added", version, uploaded=released)
    offline.add("ipykernel", "6.5")
    offline.add("late", "2.0", uploaded=datetime(2026, 5, 1, tzinfo=timezone.utc))

    def run(*words: str) -> str:
        assert takeover.run(words) == 0
        return capsys.readouterr().out

    run(url)
    now = contents(folder)
    assert "\nadded==1.0 \\\n" in now["requirements.txt"]
    dry = run("--at", "2026-03-01", "--dry-run")
    assert contents(folder) == now
    there = run("--at", "2026-03-01")
    march = contents(folder)
    again = "nothing was written; to apply this, run: docker compose run --rm jupyter take-over --at 2026-03-01"
    assert dry == there.replace("Next:       docker compose up --build", f"Next:       {again}")
    assert re.search(r"Moved:      prod 2.0 -> 1.0  older .*\nGone:       late 2.0\n", there)
    late = "late>=2: left out, no compatible release up to 2026-03-01"
    assert f"# {late}\n" in march["requirements.in"]
    assert f"# source: {url}@2026-03-01#requirements.txt\n" in march["production.txt"]
    # A day gives the same lock again, whichever lock came between.
    (folder / "requirements.txt").write_text(now["requirements.txt"])
    run()
    assert contents(folder) == march
    [line] = hold.lines(march["production.txt"])
    follow = f"{url}#requirements.txt"
    assert line.startswith("Held at:    2026-03-01")
    assert line.endswith(f'run: docker compose run --rm jupyter take-over "{follow}"')
    run(follow)
    assert hold.lines(contents(folder)["production.txt"]) == []
    assert "\nlate==2.0" in contents(folder)["requirements.txt"]

    # A file lacks a history, but a named file counts as one from that day.
    (folder / "march.txt").write_text("prod==1.0\n")
    assert "Held at:    2026-03-01 (UTC): packages as" in run("march.txt", "--at", "2026-03-01")
    assert "# at: 2026-03-01\n" in contents(folder)["production.txt"]
    run()
    assert hold.held_here() == "2026-03-01"
    for words in (["--at", "2026-03-02"], [f"{offline.url}r.txt", "--at", "2026-03-02"]):
        with pytest.raises(
            DayError, match=r": is a file without history; .* from that day: take-over --at 2026-03-02 FILE"
        ):
            takeover.run(words)


REFUSED = {
    "contradicts itself": ("prod==1\nprod==2\n", {}, "contradicts prod==1 at"),
    "is not available": ("missing==1\n", {}, "missing==1 is not on the package index in any version"),
    "meets no notebook": ("prod==2.0\n", {"requirements.in": "pandas\n"}, "ipykernel is missing"),
    "meets a line of another kind": ("prod==2.0\n", {"requirements.in": "-r more.in\n"}, "invalid requirement '-r "),
}


@pytest.mark.parametrize(("text", "edited", "message"), REFUSED.values(), ids=REFUSED)
def test_every_file_stays_if_production(
    folder: Path, offline: PackageIndex, tmp_path: Path, text: str, edited: dict[str, str], message: str
) -> None:
    for name, content in edited.items():
        (folder / name).write_text(content)
    (tmp_path / "newer.txt").write_text(text)
    with pytest.raises(GenerationError, match=message):
        take_over(str(tmp_path / "newer.txt"), LINUX)
    assert contents(folder) == FILES | edited


def test_take_over_keeps_the_client_of_a_service(folder: Path, offline: PackageIndex, tmp_path: Path) -> None:
    (folder / "requirements.in").write_text("ipykernel>=6\nredis>=2.10\n")
    before = contents(folder)
    offline.add("redis", "9.9.9", requires=("prod<2",))
    offline.add("prod", "2.0")
    (tmp_path / "newer.txt").write_text("prod==2.0\n")
    with pytest.raises(
        GenerationError, match=r"services: redis needs redis>=2\.10: .* production's prod==2\.0; leave redis out"
    ):
        take_over(str(tmp_path / "newer.txt"), LINUX, clients={"redis": "redis", "h2o": "h2o"})
    assert contents(folder) == before


def test_replaced_files_come_back_if_one_cannot_be_replaced(folder: Path) -> None:
    (folder / "tools.txt").mkdir()
    with pytest.raises(ProjectError, match=r"cannot be written"):
        project.replace({"production.txt": "new\n", "tools.txt": "new\n", "constraints.txt": ""})
    (folder / "tools.txt").rmdir()
    assert contents(folder) == FILES


UNSEEN = {
    "../api/requirements.txt": '--volume "DIRECTORY:/api:ro" jupyter check "/api/requirements.txt"',
    "/srv/my api/pins.txt": '--volume "/srv/my api:/srv/my api:ro" jupyter check "/srv/my api/pins.txt"',
    "image:registry/team/api:1.4.2": "-m pip freeze | docker compose run --rm --no-deps -T jupyter check -",
    "requirements.txt": "is a file of this project",
    "standard input": "pipe the file into: check -",
}


@pytest.mark.parametrize(("location", "message"), UNSEEN.items(), ids=UNSEEN)
def test_a_source_that_a_container_cannot_read_is_reported_with_a_command_that_mounts_it(
    folder: Path, location: str, message: str
) -> None:
    with pytest.raises(GenerationError) as caught:
        project.visible(location, "check")
    assert message in str(caught.value)


def test_a_command_for_the_host_works_in_every_shell_and_mounts_the_file_again() -> None:
    run = "docker compose run --rm"
    assert project.on_host("take-over", "a b#c", location="a b#c") == f'{run} jupyter take-over "a b#c"'
    assert project.on_host("take-over", "-", location="-") == f"{run} -T jupyter take-over -"
    assert (
        project.on_host("take-over", location="/api/r.txt") == f'{run} --volume "DIRECTORY:/api:ro" jupyter take-over'
    )


def test_a_source_that_never_answers_times_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "read_production", lambda *_: time.sleep(5))
    with pytest.raises(GenerationError, match=r"^https://public\.example/r\.txt: not downloaded within 0\.05 s"):
        check._within(0.05, "https://user:secret@public.example/r.txt", LINUX)
