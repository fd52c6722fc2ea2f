"""URLs of repositories in pip's notation."""

from __future__ import annotations

import re

# git@host:path; a single letter before the colon is a Windows drive.
_SCP = re.compile(r"([\w.-]+@[\w.-]+|[\w-]+(?:\.[\w-]+)+):([^\s\\]+)")


def vcs_url(address: str, commit: str = "", subdirectory: str = "", kind: str = "git") -> str:
    """Return ``git+url@commit#subdirectory=…``, or nothing for a path on production's machine."""
    address = address.removeprefix(f"{kind}+")
    if "://" not in address:
        scp = _SCP.fullmatch(address)
        if not scp:
            return ""
        address = f"ssh://{scp[1]}/{scp[2]}"
    revision = f"@{commit}" if commit else ""
    return f"{kind}+{address}{revision}" + (f"#subdirectory={subdirectory}" if subdirectory else "")
