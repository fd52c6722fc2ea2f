from __future__ import annotations

import re
from pathlib import Path

import pytest

from ds_docker_env.image.build import debian
from ds_docker_env.image.build.debian import of_the_day

SNAPSHOT = "http://snapshot.debian.org/archive/debian/20261103T000000Z"
OFFICIAL = f"""\
Types: deb
# {SNAPSHOT}
URIs: http://deb.debian.org/debian
Suites: trixie trixie-updates
Components: main
"""
NAME = Path("debian.sources")


def test_packages_come_from_the_snapshot_of_the_official_image() -> None:
    assert of_the_day(OFFICIAL, NAME) == OFFICIAL.replace(
        f"# {SNAPSHOT}\nURIs: http://deb.debian.org/debian", f"URIs: {SNAPSHOT}"
    )


@pytest.mark.parametrize(
    "sources", [OFFICIAL.replace("deb.debian.org", "mirror.example.com"), "URIs: http://deb.debian.org/debian\n"]
)
def test_a_mirror_and_sources_without_a_snapshot_stay(sources: str) -> None:
    assert of_the_day(sources, NAME) == sources


def test_a_snapshot_in_an_unknown_format_fails_the_build() -> None:
    changed = OFFICIAL.replace("URIs: http://deb", "Enabled: yes\nURIs: http://deb")
    with pytest.raises(SystemExit, match=r"^debian\.sources: unknown format of Debian's snapshot; "):
        of_the_day(changed, NAME)


def test_apt_installs_its_packages_and_leaves_nothing_that_outlives_the_build(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = tmp_path / "asked"
    (tmp_path / "apt-get").write_text(f'#!/bin/sh\necho "$@" >>{asked}\nfor last; do :; done\n[ "$last" != missing ]\n')
    (tmp_path / "apt-get").chmod(0o755)
    (tmp_path / "sources.list.d").mkdir()
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    monkeypatch.setattr(debian, "SOURCES", tmp_path / "sources.list.d")
    monkeypatch.setattr(debian, "LEFT_BEHIND", ())
    assert debian.install(["hello", "dbus"]) == 0
    update, install = asked.read_text().splitlines()
    assert update.endswith(" update") and install.endswith(" install --yes --no-install-recommends hello dbus")
    folders = set(re.findall(r"Dir::[\w:]+=(\S+)", install))
    assert len(folders) == 4 and not any(Path(folder).exists() for folder in folders)
    assert debian.install(["missing"]) != 0
