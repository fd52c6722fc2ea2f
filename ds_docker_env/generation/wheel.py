"""The package as one file for a project, in whose container it runs again: a zipapp (PEP 441)."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Collection
from pathlib import Path

from ds_docker_env.common.shipped import shipped_analysis, shipped_names

PACKAGE = Path(__file__).parent
_MAIN = """\
import signal

# Until the command knows what to say when it is interrupted.
signal.signal(signal.SIGINT, signal.SIG_DFL)

from ds_docker_env.image.commands import main

main()
"""
_HOOKS_ONLY = {
    *("answers.py", "archive.py", "base_image.py", "configuration.py", "data.py", "generation.py"),
    *("pipelines.py", "refusals.py", "services.py", "staging.py", "updating.py"),
}


def pack(python: str, options: Collection[str] = ()) -> bytes:
    """Return the file for a project on this Python with these options; the same code gives the same bytes everywhere.

    Nothing is compressed, because every zlib does that in its own way.
    """
    members = {
        f"{PACKAGE.name}/{path.relative_to(PACKAGE).as_posix()}": path.read_text(encoding="utf-8")
        for path in PACKAGE.rglob("*.py")
        if path.name not in _HOOKS_ONLY
    }
    members["__main__.py"] = _MAIN
    shipped = {"names": shipped_names(python), "clients": shipped_analysis(python, options).clients}
    members[f"{PACKAGE.name}/shipped.json"] = json.dumps(shipped, indent=0)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(members):
            member = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            member.create_system, member.external_attr = 3, 0o644 << 16
            archive.writestr(member, members[name])
    return buffer.getvalue()
