from __future__ import annotations

from pathlib import Path

import pytest

from ds_docker_env.common.target import AMD64, ARM64, note
from ds_docker_env.image import audit

HASH = "    --hash=sha256:00\n    # via -r requirements.in\n"
LOCK = f"""\
{note()}
numpy==2.1.0 ; platform_machine == '{AMD64}' \\
{HASH}numpy==2.1.1 ; platform_machine == '{ARM64}' \\
{HASH}only-arm==1.0 ; platform_machine == '{ARM64}' \\
{HASH}six==1.17.0 \\
{HASH}"""


def test_the_versions_of_both_processors_are_audited_on_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "requirements.txt").write_text(LOCK)
    monkeypatch.chdir(tmp_path)
    asked = []

    def ask(lock: str, options: object) -> list[dict[str, object]]:
        # As pip-audit reads it, which takes one version of a package and obeys markers.
        asked.append([line.rstrip(" \\").partition("==")[::2] for line in lock.splitlines() if line[0].isalpha()])
        return [{"name": name, "version": version, "vulns": []} for name, version in asked[-1]]

    monkeypatch.setattr(audit, "_ask", ask)
    assert audit._audit_packages([]) == ("3 of 3 packages", [])
    assert asked == [[("numpy", "2.1.0"), ("only-arm", "1.0"), ("six", "1.17.0")], [("numpy", "2.1.1")]]
