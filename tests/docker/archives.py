"""What two images hold that is not the same, for a person who has to find out why."""

from __future__ import annotations

import json
import sys
import tarfile
from itertools import zip_longest
from pathlib import Path

from docker.project import sh


def differences(first: str, second: str, folder: Path) -> str:
    """Say which files of two images of the engine differ, and how."""
    archive = folder / "images.tar"
    sh("docker", "save", "--output", str(archive), first, second)
    with tarfile.open(archive) as images:
        images.extractall(folder)
    archive.unlink()
    manifests = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    parts = {tag: [image["Config"], *image["Layers"]] for image in manifests for tag in image["RepoTags"]}
    pairs = zip_longest(parts[f"{first}:latest"], parts[f"{second}:latest"], fillvalue="/dev/null")
    said = "\n".join(_compared(folder / one, folder / other) for one, other in pairs if one != other)
    return said or f"{first} and {second} hold the same, and only their manifests can differ"


def _compared(one: Path, other: Path) -> str:
    """Ask diffoscope, which opens what it knows, and cut what it says of one file after some lines."""
    diffoscope = Path(sys.executable).with_name("diffoscope")
    short = ("--no-progress", "--max-diff-block-lines=20", "--max-text-report-size=20000")
    said = sh(str(diffoscope), *short, str(one), str(other), check=False)
    return said.stdout or said.stderr
