"""The shell scripts and settings of the image, run on this machine beside stand-ins for what they start."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from offers import TEMPLATE

from ds_docker_env.image.passwords import main as check_passwords
from ds_docker_env.image.passwords import read_password

FILES = TEMPLATE / "ds_docker_env" / "image" / "files"
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="it runs in the image, on Linux")
Script = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def script(tmp_path: Path) -> Script:
    """Run a script in an empty folder, where the programs that it starts print what they were given."""
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("dumb-init", "uv", "as-owner", "setpriv"):
        (programs / name).write_text(f'#!/bin/sh\necho {name} "$@"; echo HOME=$HOME\n')
        (programs / name).chmod(0o755)

    def _script(name: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["sh", str(FILES / "commands" / name), *arguments],
            cwd=tmp_path,
            env={"PATH": f"{programs}:{os.environ['PATH']}", "HOME": str(tmp_path), **environment},
            capture_output=True,
            text=True,
            check=False,
        )

    return _script


@on_linux
def test_each_script_starts_its_program_and_pip_installs_nothing_and_says_how_a_package_is_added(
    script: Script,
) -> None:
    said = script("pip", "install", "humanize")
    assert (said.returncode, said.stdout) == (1, "")
    assert "requirements.in" in said.stderr and "README.md" in said.stderr
    assert script("pip", "list", "--outdated").stdout.startswith("uv pip list --outdated\n")
    assert script("dvc", "pull", "a b").stdout.splitlines()[0].endswith("/dvc pull a b")
    assert "dumb-init -- jupyter lab" in script("as-owner", "jupyter", "lab").stdout
    # Outside of the container of a service.
    assert script("h2o").returncode != 0
    assert script("dask-worker").returncode != 0


def test_a_password_may_come_from_any_editor(tmp_path: Path) -> None:
    for content in (b"four random words\n", b"four random words\r\n", b"\xef\xbb\xbffour random words"):
        (tmp_path / "jupyter_password").write_bytes(content)
        assert read_password("jupyter_password", tmp_path) == "four random words"
    assert read_password("missing", tmp_path) == ""


def test_a_password_that_powershell_wrote_is_refused_in_a_line_that_does_not_show_it(tmp_path: Path) -> None:
    (tmp_path / "jupyter_password").write_text("canary", encoding="utf-16")
    with pytest.raises(SystemExit) as ended:
        read_password("jupyter_password", tmp_path)
    assert str(ended.value.code).startswith(".secrets/jupyter_password: not UTF-8 text; write another password")
    assert "canary" not in str(ended.value.code)


REFUSED = {
    "that PowerShell wrote": ("postgres_password", "canary".encode("utf-16"), "not UTF-8 text"),
    "that is blank": ("postgres_password", b" \r\n", "empty"),
    "of two lines": ("mysql_password", b"canary\ncanary\n", "more than one line"),
    "with a quote, for MySQL": ("mysql_password", b"can'ary\n", "contains a quote or a backslash"),
}


@pytest.mark.parametrize(("name", "content", "problem"), REFUSED.values(), ids=REFUSED)
def test_a_database_does_not_start_with_a_password(tmp_path: Path, name: str, content: bytes, problem: str) -> None:
    (tmp_path / "jupyter_password").write_bytes(b"fine\n")
    (tmp_path / name).write_bytes(content)
    with pytest.raises(SystemExit) as ended:
        check_passwords(tmp_path)
    assert str(ended.value.code).startswith(f".secrets/{name}: {problem}; write another password, as one line")
    assert "canary" not in str(ended.value.code)
    assert "\n" not in str(ended.value.code)


def test_a_database_starts_with_a_password_from_any_other_editor(tmp_path: Path) -> None:
    (tmp_path / "mysql_password").write_bytes(b"secret\r\n")
    (tmp_path / "postgres_password").write_bytes(b"\xef\xbb\xbfit's \xc3\xa4 secret")
    check_passwords(tmp_path)


class Settings(SimpleNamespace):
    """Jupyter's configuration, as far as attributes of attributes go."""

    def __getattr__(self, name: str) -> Any:
        setattr(self, name, Settings())
        return getattr(self, name)


@pytest.mark.parametrize("port", [8888, 8889])
def test_jupyters_settings_name_the_address_that_is_published(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PORT", raising=False)
    if port != 8888:
        monkeypatch.setenv("PORT", str(port))
    path = FILES / "etc" / "jupyter" / "jupyter_config.py"
    settings = Settings()
    exec(compile(path.read_text(), path, "exec"), {"get_config": lambda: settings, "__file__": str(path)})
    assert settings.ServerApp.custom_display_url == f"http://127.0.0.1:{port}"
    assert settings.ServerApp.port == port
    [templates] = settings.ServerApp.extra_template_paths
    assert ".secrets/jupyter_password" in Path(templates, "login.html").read_text(encoding="utf-8")
