"""A key pair of cosign."""

from __future__ import annotations

import shutil
from pathlib import Path

from docker.conftest import missing
from docker.project import sh

PASSWORD = "of-the-key"


def key_pair(folder: Path) -> Path:
    """Write cosign.key and cosign.pub into this new directory."""
    if not shutil.which("cosign"):
        missing("no cosign, which .ci/engine installs")
    folder.mkdir()
    sh("cosign", "generate-key-pair", folder=folder, environment={"COSIGN_PASSWORD": PASSWORD})
    return folder
