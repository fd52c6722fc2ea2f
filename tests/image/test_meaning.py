from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from package_index import PackageIndex

from ds_docker_env.common.target import Target
from ds_docker_env.image import advisories, installed, meaning, releases
from ds_docker_env.image.meaning import words
from ds_docker_env.image.releases import Release, changelog_of
from ds_docker_env.pinning.moves import Moves
from ds_docker_env.pinning.parity import Locked

LINUX = Target("3.11")


def day(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=timezone.utc)


def known(version: str, *vulnerabilities: str) -> Release:
    """Return a release with these vulnerabilities, each by all its names."""
    return Release(version, vulnerabilities=frozenset(frozenset(each.split()) for each in vulnerabilities))


STEPS = {
    ("1.26.4", "2.2.6"): "major version",
    ("1.26.4", "1.27.0"): "",
    ("0.100.0", "0.115.0"): "minor version before 1.0",
    ("0.1.1", "0.1.2"): "",
    ("2.0", "1!1.0"): "major version",
    ("2.2.3", "2.1.0"): "older version",
    ("2.1.0", "1.9"): "older major version",
    ("0.4", "0.3"): "older minor version before 1.0",
    ("2.0", "2.0rc1"): "older version",
    ("2023.7.22", "2025.1.31"): "",
    ("2025.1", "2024.2"): "older version",
    ("2024b", "2025.1"): "",
    ("2021.1", "1.0"): "older major version",
    ("not-a-version", "2.0"): "",
}


@pytest.mark.parametrize(("move", "said"), STEPS.items(), ids=map(" -> ".join, STEPS))
def test_a_version_is_older_or_a_major_one_unless_it_is_a_date(move: tuple[str, str], said: str) -> None:
    assert "; ".join(words(*map(Release, move))) == said


def test_a_first_number_is_a_year_if_each_version_was_uploaded_in_its_own() -> None:
    attrs = Release("23.1.0", day("2023-04-16")), Release("25.1.0", day("2025-01-25"))
    assert words(*attrs) == ["21 months newer"]
    pyarrow = Release("25.0", day("2026-07-01")), Release("26.0", day("2026-10-01"))
    assert words(*pyarrow) == ["major version", "3 months newer"]


AGES = {
    ("2026-01-01", "2026-01-01"): "",
    ("2026-01-01", "2026-01-02"): "1 day newer",
    ("2026-01-01", "2026-02-15"): "45 days newer",
    ("2025-01-01", "2025-10-01"): "9 months newer",
    ("2023-01-01", "2026-01-01"): "3 years newer",
    ("2026-01-01", "2025-07-01"): "6 months older",
}


@pytest.mark.parametrize(("days", "said"), AGES.items(), ids=map(" to ".join, AGES))
def test_the_time_between_two_releases_is_printed(days: tuple[str, str], said: str) -> None:
    assert "".join(words(*(Release("1.0", day(each)) for each in days))) == said


ONE, OTHER = "PYSEC-2026-1 CVE-2026-1 GHSA-aaaa", "GHSA-bbbb PYSEC-2026-2"
VULNERABILITIES = {
    "fixed": (known("1", ONE, OTHER), known("1.1", OTHER), "fixes CVE-2026-1"),
    "new": (known("1"), known("1.1", OTHER), "introduces GHSA-bbbb"),
    "one for another": (known("1", OTHER), known("1.1", ONE), "introduces CVE-2026-1; fixes GHSA-bbbb"),
    "the same by another name": (known("1", ONE), known("1.1", "GHSA-aaaa"), ""),
    "many": (known("1", *(f"CVE-{each}" for each in range(5))), known("1.1"), "fixes CVE-0, CVE-1, CVE-2 and 2 more"),
    "of a version that no database knows": (known("1", ONE), Release("1.1"), ""),
    "of a package that is added": (None, known("1", ONE), "introduces CVE-2026-1"),
    "of a package that is removed": (known("1", ONE), None, "fixes CVE-2026-1"),
}


@pytest.mark.parametrize(("old", "new", "said"), VULNERABILITIES.values(), ids=VULNERABILITIES)
def test_a_move_fixes_and_introduces_vulnerabilities(old: Release | None, new: Release | None, said: str) -> None:
    assert "; ".join(words(old, new)) == said


def test_the_changelog_is_found_by_its_label_and_only_an_address_is_shown() -> None:
    pages = ["Documentation, https://a.example/docs", "Release notes, https://a.example/notes"]
    assert changelog_of(pages) == "https://a.example/notes"
    assert changelog_of([*pages, "What's New?, https://a.example/new"]) == "https://a.example/new"
    wrong = ["Changelog, javascript:alert(1)", "History, https://a.example/\x1b[2J", "Changes, https://a.example/a b"]
    assert changelog_of(wrong) == ""


def side(**versions: str) -> dict[str, Locked]:
    return {name: Locked(version, None) for name, version in versions.items()}


def answer_with(monkeypatch: pytest.MonkeyPatch, found: Mapping[str, Iterable[str]]) -> None:
    """Let the database of advisories know all versions, these with vulnerabilities."""

    def ask(lock: str, *_: object) -> list[dict[str, Any]]:
        return [
            {
                "name": pin.partition("==")[0],
                "version": pin.partition("==")[2],
                "vulns": [{"id": each, "aliases": []} for each in found.get(pin, ())],
            }
            for pin in lock.splitlines()
        ]

    monkeypatch.setattr(advisories, "ask", ask)


def test_an_index_and_the_database_of_advisories_are_asked_for_both_versions(
    offline: PackageIndex, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    offline.add("moved", "1.26.4", yanked="broken", uploaded=day("2025-01-01"))
    offline.add("moved", "2.2.6", uploaded=day("2025-10-01"), urls=("Changes, https://moved.example/changes",))
    offline.add("new", "1.0", yanked="broken")
    for version in ("1.0", "1.1"):
        offline.add("quiet", version)
    offline.add("lost", "2.0")
    answer_with(monkeypatch, {"moved==1.26.4": ["CVE-2026-1234"], "quiet==1.1": []})
    moves = Moves(
        side(moved="1.26.4", quiet="1.0", lost="1.0+company", gone="3"),
        side(moved="2.2.6", quiet="1.1", lost="2.0", new="1.0"),
    )
    assert meaning.lines(moves, LINUX) == [
        "Moved:      lost 1.0+company -> 2.0  major version",
        "Moved:      moved 1.26.4 -> 2.2.6  major version; 1.26.4 is yanked; fixes CVE-2026-1234; 9 months newer; "
        "https://moved.example/changes",
        "Moved:      quiet 1.0 -> 1.1",
        "New:        new 1.0  1.0 is yanked",
        "Gone:       gone 3",
    ]
    assert meaning.lines(Moves(side(quiet="1.0"), side(quiet="1.0")), LINUX) == []


@pytest.mark.skipif(sys.platform == "win32", reason="it runs in the image, on Linux")
def test_an_index_of_production_is_asked_and_the_metadata_of_the_old_version_has_the_changelog_too(
    offline: PackageIndex, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(installed, "ANALYSIS", tmp_path)
    answer_with(monkeypatch, {})
    info = tmp_path / "lib" / "python3.11" / "site-packages" / "ours-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Name: Ours\nVersion: 1.0\nProject-URL: History, https://ours.example/history\n")
    with PackageIndex(tmp_path / "private") as index:
        index.add("ours", "1.0", uploaded=day("2025-01-01"))
        index.add("ours", "1.1", uploaded=day("2025-01-31"))
        said = meaning.lines(Moves(side(ours="1.0"), side(ours="1.1")), LINUX, [f"--extra-index-url {index.url}"])
    assert said == ["Moved:      ours 1.0 -> 1.1  30 days newer; https://ours.example/history"]


def test_sources_that_do_not_answer_are_named_and_other_facts_are_printed(
    offline: PackageIndex, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def silent(*_: object) -> None:
        raise ValueError("503 Server Error")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    offline.refusing = True
    answer_with(monkeypatch, {"a==1.0": ["CVE-2026-1"]})
    moves = Moves(side(a="1.0"), side(a="2.0"))
    moved = "Moved:      a 1.0 -> 2.0  major version"
    index = "Not known:  yanked releases and release dates: the package index cannot be reached"
    assert meaning.lines(moves, LINUX) == [f"{moved}; fixes CVE-2026-1", index]
    monkeypatch.setattr(advisories, "ask", silent)
    why = "not looked up, because the database of advisories does not answer (run audit to see why)"
    database = f"Not known:  vulnerabilities: {why}"
    assert meaning.lines(moves, LINUX) == [moved, index, database]
    monkeypatch.setattr(releases, "LONGEST", 0)
    assert meaning.lines(moves, LINUX)[1].endswith("release dates: no answer within 0 s")


@pytest.mark.skipif(sys.platform == "win32", reason="it runs in the image, on Linux")
def test_a_broken_package_and_broken_settings_are_printed_and_do_not_stop_a_command(
    offline: PackageIndex, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(installed, "ANALYSIS", tmp_path)
    answer_with(monkeypatch, {"a==1.0": ["CVE-2026-1"]})
    info = tmp_path / "lib" / "python3.11" / "site-packages" / "a-2.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_bytes(b"\xff")
    (tmp_path / "uv.toml").write_text("unknown = 3\n")
    moved, index, changelogs = meaning.lines(Moves(side(a="1.0"), side(a="2.0")), LINUX)
    assert moved == "Moved:      a 1.0 -> 2.0  major version; fixes CVE-2026-1"
    assert index.startswith("Not known:  yanked releases and release dates: unknown field `unknown`, expected one of ")
    assert changelogs.startswith("Not known:  changelogs: ")


def test_only_the_first_of_many_moves_are_looked_up(
    offline: PackageIndex, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(meaning, "MOST", 1)
    answer_with(monkeypatch, {"a==1.0": ["CVE-2026-1"], "b==1.0": ["CVE-2026-2"]})
    said = meaning.lines(Moves(side(a="1.0", b="1.0"), side(a="2.0", b="2.0")), LINUX)
    assert said == [
        "Moved:      a 1.0 -> 2.0  major version; fixes CVE-2026-1",
        "Moved:      b 1.0 -> 2.0  major version",
        "Not known:  details of 1 more packages: only the first 1 are looked up",
    ]
