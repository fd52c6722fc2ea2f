"""Releases of the last days, which a lock leaves out unless production has them."""

from __future__ import annotations

import os
import subprocess
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from conftest import Pin, committed, git, write_files
from package_index import PackageIndex

from ds_docker_env.common import uv
from ds_docker_env.common.errors import UvError
from ds_docker_env.pinning.cooldown import DAYS, Cooldown, time_of

UNDATED = "the index has no upload dates, so any release is allowed"


def yesterday() -> datetime:
    return datetime.now(timezone.utc) - timedelta(1)


def limit_of_today() -> str:
    return (datetime.now(timezone.utc) - timedelta(DAYS)).strftime("%Y-%m-%dT00:00:00Z")


def test_a_release_of_yesterday_is_left_out_unless_production_pins_it(pin: Pin, offline: PackageIndex) -> None:
    offline.add("prod", "1.0")
    offline.add("prod", "2.0", uploaded=yesterday())
    offline.add("pandas", "9999.2", uploaded=yesterday())
    generated = pin("prod==2.0\n")
    assert generated.locked["prod"] == "2.0"
    assert generated.locked["pandas"] == "9999.1"
    assert "Too new" not in generated.stdout
    assert f"index as of {limit_of_today()}\n" in generated.read("requirements.txt")
    # The command in the header, without the cooldown, makes the same lock.
    locked = generated.locked
    generated.lock_again()
    assert generated.locked == locked


def test_a_conda_package_that_was_left_out_is_not_exempt(pin: Pin, offline: PackageIndex) -> None:
    offline.add("six", "1.16")
    offline.add("six", "1.17", uploaded=yesterday())
    offline.add("prod", "1.0", requires=("six",))
    generated = pin("-r e.yml\nprod==1.0\n", beside={"e.yml": "dependencies: [six=9.9.9]\n"})
    assert generated.locked["six"] == "1.16"
    assert "Different:  six=9.9.9 (conda) in production, six==1.16 here" in generated.stdout


def test_only_a_release_that_production_forces_is_exempt(pin: Pin, offline: PackageIndex) -> None:
    offline.add("forced", "1.0")
    offline.add("forced", "2.0", uploaded=yesterday())
    offline.add("prod", "2.0", requires=("forced>=2",), uploaded=yesterday())
    offline.add("pandas", "9999.2", uploaded=yesterday())
    generated = pin("prod==2.0\n")
    assert generated.locked["forced"] == "2.0"
    assert generated.locked["pandas"] == "9999.1"
    assert f"Too new:    forced 2.0: released in the last {DAYS} days, but nothing older fits" in generated.stdout
    # Otherwise the next lock would move it back.
    assert "index as of " in generated.read("requirements.txt")
    assert f"index as of {limit_of_today()}" not in generated.read("requirements.txt")


def test_production_of_a_day_is_locked_with_packages_of_that_day(
    pin: Pin, offline: PackageIndex, tmp_path: Path
) -> None:
    repository = tmp_path / "shop"
    for when, version in (("2020-01-01T12:00:00Z", "2.0"), ("2026-04-01T12:00:00Z", "3.0")):
        write_files(repository, {"requirements.txt": f"prod=={version}\n"})
        committed(repository, when)
    # A copied index has newer upload times than its files.
    copied = datetime(2026, 5, 1, tzinfo=timezone.utc)
    offline.add("forced", "1.0")
    offline.add("forced", "2.0", uploaded=copied)
    offline.add("prod", "2.0", requires=("forced>=2",), uploaded=copied)
    offline.add("pandas", "9999.2", uploaded=copied)
    location = f"git+{repository.as_uri()}@{{}}#requirements.txt"
    refused = pin("", location=location.format("2020-01-02")).stderr
    assert refused.endswith("ipykernel>=6: the index has no release for Python 3.11 up to 2020-01-02; use a later day")
    generated = pin("", location=location.format("2026-03-01"))
    assert [generated.locked[name] for name in ("prod", "forced", "pandas")] == ["2.0", "2.0", "9999.1"]
    commit = f"commit {git('rev-parse', 'main~1', folder=repository).strip()} of 2020-01-01"
    said = generated.stdout.splitlines()
    assert f"Held at:    2026-03-01 (UTC): {commit}, and packages as the index had them then" in said
    for package, why in {"forced 2.0": "nothing older fits", "prod 2.0": "production pins it"}.items():
        assert f"Too new:    {package}: released after 2026-03-01, but {why}" in said
    production = generated.read("production.txt")
    assert f"# source: {location.format('2026-03-01')}\n# {commit}\n" in production
    assert "\n# at: 2026-03-01\n" in production
    assert ", index as of 2026-03-01T23:59:59Z\n" in generated.read("requirements.txt")


def test_a_dependency_of_production_may_be_newer_than_the_day(pin: Pin, offline: PackageIndex, tmp_path: Path) -> None:
    write_files(tmp_path / "shop", {"e.yml": "dependencies: [six=9.9.9, pip: [prod==1.0]]\n"})
    committed(tmp_path / "shop", "2020-01-01T12:00:00Z")
    offline.add("six", "1.16")
    offline.add("prod", "1.0", requires=("six", "young"))
    offline.add("young", "1.0", uploaded=datetime(2026, 4, 1, tzinfo=timezone.utc))
    generated = pin("", location=f"git+{(tmp_path / 'shop').as_uri()}@2026-03-01#e.yml")
    assert generated.locked["young"] == "1.0"


def test_packages_of_an_index_without_dates_are_taken_and_named(pin: Pin, offline: PackageIndex) -> None:
    offline.dates = False
    offline.add("prod", "1.0", requires=("ours",))
    offline.add("ours", "1.0", "2.0")
    offline.dates = True
    offline.add("pandas", "9999.2", uploaded=yesterday())
    generated = pin("prod==1.0\n")
    assert (generated.locked["ours"], generated.locked["pandas"]) == ("2.0", "9999.1")
    assert f"Undated:    ours: {UNDATED}" in generated.stdout


def test_an_index_without_dates_is_used_without_a_cooldown(pin: Pin, offline: PackageIndex) -> None:
    offline.dates = False
    for page in offline.folder.glob("simple/*/index.json"):
        page.unlink()
    offline.add("prod", "1.0", requires=("ours",))
    offline.add("ours", "1.0", "2.0")
    generated = pin("prod==1.0\n")
    assert (generated.locked["ours"], generated.locked["pandas"]) == ("2.0", "9999.1")
    assert generated.stdout.count("Undated:    ") == generated.stdout.count(UNDATED) == 1


def test_the_versions_of_the_lock_before_stay_available() -> None:
    def limit(noted: str) -> str:
        return Cooldown.of(f"# made by\n# uv 0.13.9, index as of {noted}\n", ()).limit

    assert limit("2020-01-01T00:00:00Z") == limit_of_today()
    assert limit("3 days") == limit_of_today()
    assert limit("2999-01-01T00:00:00Z") == "2999-01-01T00:00:00Z"
    assert limit("2999-01-01") == "2999-01-02T00:00:00Z"
    assert Cooldown.of("", ()).limit == limit_of_today()
    assert time_of("7 days") is None


@pytest.mark.skipif(os.name == "nt", reason="its settings are elsewhere there")
def test_a_users_limit_for_uv_replaces_the_cooldown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert Cooldown.of("", ["prod"]).options == [
        "--exclude-newer",
        limit_of_today(),
        "--exclude-newer-package=prod=false",
    ]
    (tmp_path / "uv").mkdir()
    (tmp_path / "uv" / "uv.toml").write_text('exclude-newer = "14 days"\n')
    assert Cooldown.of("", ["prod"]).options == []
    # A typed day overrides the setting.
    assert Cooldown.of("", [], given="2026-01-01").options == ["--exclude-newer", "2026-01-01T23:59:59Z"]
    (tmp_path / "uv" / "uv.toml").write_text("exclude-newer-package = { prod = false }\n")
    assert Cooldown.of("", ()).options == ["--exclude-newer", limit_of_today()]
    assert Cooldown.of("", (), settings='exclude-newer = "14 days"\n').options == []


def test_a_uv_that_cannot_exempt_a_package_is_too_old() -> None:
    said = "error: invalid value 'prod=false' for '--exclude-newer-package <EXCLUDE_NEWER_PACKAGE>': Invalid timestamp"
    with pytest.raises(UvError, match=r"uv: is too old \(.*\); run: pip install -U uv"):
        uv.checked(subprocess.CompletedProcess(["uv"], 2, "", said))
