"""Write the list of conda packages that are also on the package index: ``uv run locks/conda_names.py``."""

from __future__ import annotations

import hashlib
import json
import re
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from packaging.utils import canonicalize_name

sys.path.insert(0, str(Path(__file__).parents[1]))

from ds_docker_env.common import uv
from ds_docker_env.common.shipped import LOCKS
from ds_docker_env.pinning.production.formats import conda_names

SOURCE = "conda-pypi"
# The source sometimes takes a digest in a URL for a name.
_DIGEST = re.compile(r"[0-9a-f]{40,}")


def render(mapping: dict[str, dict[str, str]], ours: str, source: str, licence: str) -> str:
    """Return the file of names; ``ours`` override those of ``mapping``, whose licence is included."""
    known = {
        entry["conda_name"]: name for name, entry in sorted(mapping.items(), reverse=True) if not _DIGEST.match(name)
    }
    for line in ours.splitlines():
        if not line.startswith("#"):
            conda, _, name = line.partition(" ")
            known[conda] = name or conda
    names = {canonicalize_name(conda): canonicalize_name(name) for conda, name in known.items()}
    body = "".join(f"{conda}\n" if conda == name else f"{conda} {name}\n" for conda, name in sorted(names.items()))
    notes = [
        "Names of conda packages that the package index has too: conda's, and the index's where it differs.",
        f"From locks/conda-names.list and {source}; made by locks/conda_names.py.",
        f"sha256 of the names: {hashlib.sha256(body.encode()).hexdigest()}",
        "",
        *licence.strip().splitlines(),
    ]
    return "".join(f"# {line}".rstrip() + "\n" for line in notes) + body


def main() -> None:
    """Download the newest release of the source and write the list; print the number of names."""
    with TemporaryDirectory() as folder:
        done = uv.run("pip", "install", "--no-deps", "--target", folder, SOURCE, folder=Path(folder))
        if done.returncode:
            sys.exit(done.stderr)
        data = Path(folder, "conda_pypi", "grayskull_pypi_mapping.json").read_bytes()
        info = next(Path(folder).glob("conda_pypi-*.dist-info"))
        licence = (info / "licenses" / "LICENSE").read_text(encoding="utf-8")
    version = info.name.split("-")[1].removesuffix(".dist")
    source = f"{SOURCE} {version} (its data have sha256 {hashlib.sha256(data).hexdigest()})"
    ours = (LOCKS / "conda-names.list").read_text(encoding="utf-8")
    conda_names.FILE.write_text(render(json.loads(data), ours, source, licence), encoding="utf-8", newline="\n")
    print(f"{len(conda_names.names()):,} names")


if __name__ == "__main__":
    main()
