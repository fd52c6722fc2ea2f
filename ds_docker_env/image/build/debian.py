"""Debian packages in the image, the same ones in every build."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from ds_docker_env.image.build.running import EPOCH

SOURCES = Path("/etc/apt/sources.list.d")
# Files of Debian's tools that hold timestamps or random bytes.
LEFT_BEHIND = (
    *("/var/cache/apt/*.bin", "/var/cache/ldconfig/*", "/var/cache/debconf/*-old", "/var/lib/dpkg/*-old"),
    *("/var/lib/dbus/machine-id", "/var/log/*.log", "/var/log/apt"),
)
_SNAPSHOT = re.compile(r"^# (http://snapshot\.debian\.org/\S+)\nURIs: http://deb\.debian\.org/\S+$", re.MULTILINE)


def main(names: str) -> None:
    """Install the packages of these names; exit with apt's code, or one line where the sources are unclear."""
    if (packages := names.split()) and (code := install(packages)):
        sys.exit(code)


def install(packages: list[str]) -> int:
    """Install packages from the archive as it was on the day that the base image names; return apt's exit code."""
    with tempfile.TemporaryDirectory() as folder:
        sources = Path(folder, "sources")
        shutil.copytree(SOURCES, sources)
        for file in sources.glob("*.sources"):
            file.write_text(of_the_day(file.read_text(encoding="utf-8"), SOURCES / file.name), encoding="utf-8")
        for name in ("cache/archives/partial", "lists/partial", "log"):
            Path(folder, name).mkdir(parents=True)
        options = {
            **{"Dir::Etc::SourceParts": sources, "Acquire::Check-Valid-Until": "false", "Acquire::Retries": 3},
            **{"Dir::Cache": f"{folder}/cache", "Dir::State::lists": f"{folder}/lists", "Dir::Log": f"{folder}/log"},
            # Its own user may not enter the folder.
            "APT::Sandbox::User": "root",
        }
        apt = ["apt-get", *(part for name, value in options.items() for part in ("-o", f"{name}={value}"))]
        environment = {**os.environ, "SOURCE_DATE_EPOCH": EPOCH, "DEBIAN_FRONTEND": "noninteractive"}
        for command in (["update"], ["install", "--yes", "--no-install-recommends", *packages]):
            if code := subprocess.run([*apt, *command], env=environment, check=False).returncode:
                return code
    for path in (path for pattern in LEFT_BEHIND for path in Path("/").glob(pattern[1:])):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    return 0


def of_the_day(sources: str, name: Path) -> str:
    """Return apt's sources with the snapshot that the official image notes in place of the archive that moves.

    Sources of another archive stay as they are. Exit with one line if a snapshot is noted and cannot be taken. Format:
    https://github.com/debuerreotype/debuerreotype/blob/master/scripts/debuerreotype-debian-sources-list
    """
    noted = len(re.findall(r"^# http://snapshot\.debian\.org/", sources, re.MULTILINE))
    moving = len(re.findall(r"^URIs:.*//deb\.debian\.org/", sources, re.MULTILINE))
    taken, count = _SNAPSHOT.subn(r"URIs: \1", sources)
    if count != min(noted, moving):
        sys.exit(f"{name}: unknown format of Debian's snapshot; install the packages in a base image")
    return taken
