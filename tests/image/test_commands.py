from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from offers import TEMPLATE

from ds_docker_env.common.errors import ProjectError, RefusedError
from ds_docker_env.image import commands, lock, project
from ds_docker_env.image.build import tools
from ds_docker_env.image.template import Template

FILES = TEMPLATE / "ds_docker_env" / "image" / "files"


@pytest.mark.parametrize("name", commands.COMMANDS)
def test_each_command_prints_its_purpose_and_its_options(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        commands.main(name, ["--help"])
    assert ended.value.code == 0
    said = capsys.readouterr().out
    assert said.startswith(f"Usage: {name}") and commands.COMMANDS[name].purpose in said
    assert all(f"\n  {words}  " in said for words in commands.COMMANDS[name].options)
    script = (FILES / "commands" / name).read_text()
    assert script.startswith("#!/opt/tools/bin/python -I\n")
    assert f'main("{name}")' in script


FAILURES = {
    "an error of ours": (
        ProjectError("a: is wrong; mend it"),
        2,
        r"lock: nothing was locked.*\n  a: is wrong; mend it\n",
    ),
    "an unreadable file": (
        PermissionError(13, "Permission denied", "a"),
        2,
        r"lock: nothing was .*: a: Permission .*\n",
    ),
    "a secret": (ValueError("https://ada:canary@h/x"), 2, r"lock: nothing was .*: ValueError: https://h/x; .*\n"),
    "an interruption": (KeyboardInterrupt(), 130, r"\nlock: stopped; nothing was locked\n"),
}


@pytest.mark.parametrize(("error", "code", "said"), FAILURES.values(), ids=FAILURES)
def test_a_command_that_fails_says_so_in_a_line(
    error: BaseException, code: int, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(_: object) -> int:
        raise error

    monkeypatch.setattr(lock, "run", fail)
    with pytest.raises(SystemExit) as ended:
        commands.main("lock", [])
    assert ended.value.code == code
    assert re.fullmatch(said, capsys.readouterr().err)


@pytest.mark.parametrize(("netrc", "named"), [("", True), ("/dev/shm/netrc", False)], ids=["a notebook", "the host"])
def test_a_notebook_without_the_logins_of_an_index_names_the_command_for_the_host(
    netrc: str, named: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(_: object) -> int:
        raise RefusedError("the index asks for a password")

    monkeypatch.setattr(lock, "run", fail)
    monkeypatch.setattr(project, "has_writer", lambda: True)
    monkeypatch.delenv("NETRC", raising=False)
    if netrc:
        monkeypatch.setenv("NETRC", netrc)
    with pytest.raises(SystemExit):
        commands.main("lock", ["--upgrade"])
    command = "a notebook; on the host, run: docker compose run --rm jupyter lock --upgrade\n"
    assert capsys.readouterr().err.endswith(command) is named


@pytest.mark.parametrize("name", ["check", "take-over"])
def test_a_project_without_production_says_so(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("ds_docker_env.image.template.template", lambda: Template("1", "2", [], {}, production=False))
    with pytest.raises(SystemExit) as ended:
        commands.main(name, [])
    assert ended.value.code == 2
    assert capsys.readouterr().err.endswith(
        "\n  production.txt: this project has no production file; generate it again with production_requirements\n"
    )


@pytest.mark.skipif(sys.platform != "linux", reason="it runs in the image, on Linux")
def test_a_certificate_that_is_not_pem_is_refused_in_a_line(tmp_path: Path) -> None:
    certificate = tmp_path / "company.crt"
    certificate.write_bytes(b"0\x82")
    with pytest.raises(SystemExit, match=r"^company\.crt: not a PEM certificate; convert it: openssl x509 -inform DER"):
        tools.require_pem(certificate)


def test_a_missing_module_ends_a_command_with_2(tmp_path: Path) -> None:
    (tmp_path / "rich.py").write_text("raise ImportError('No module named rich')\n")
    code = "from ds_docker_env.image.commands import main; main('check', [])"
    paths = os.pathsep.join([str(tmp_path), str(TEMPLATE)])
    environment = {**os.environ, "PYTHONPATH": paths}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert re.fullmatch(r"check: nothing was compared: ImportError: No module named rich; .*\n", done.stderr)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a device that is always full")
@pytest.mark.parametrize(("arguments", "code"), [(["--help"], 0), ([], 2)], ids=["for its help", "for a failure"])
def test_a_command_keeps_its_exit_code_where_its_output_cannot_be_written(
    tmp_path: Path, arguments: list[str], code: int
) -> None:
    program = f"from ds_docker_env.image.commands import main; main('lock', {arguments})"
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        done = subprocess.run(
            [sys.executable, "-c", program],
            cwd=tmp_path,
            # Buffered, so that the error comes at the end.
            env={**os.environ, "PYTHONPATH": str(TEMPLATE), "PYTHONUNBUFFERED": ""},
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == code
    assert not re.search("Traceback|Exception ignored", done.stderr)


@pytest.mark.skipif(sys.platform == "win32", reason="they run in the image, on Linux")
def test_shell_scripts_pass_shellcheck() -> None:
    scripts = [
        path for path in (FILES / "commands").iterdir() if path.read_text().startswith(("#!/bin/sh\n", "#!/bin/bash\n"))
    ]
    assert {path.name for path in scripts} >= {"as-owner", "dask-worker", "dvc", "h2o", "pip"}
    shellcheck = shutil.which("shellcheck", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    if not shellcheck:
        pytest.skip("shellcheck is not installed")
    scripts += (FILES / "etc").glob("*.sh")
    said = subprocess.run([shellcheck, *map(str, scripts)], capture_output=True, text=True, check=False)
    assert said.stdout == ""


def test_a_command_that_is_typed_in_a_notebook_of_src_works_on_the_project(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "src" / "deep").mkdir(parents=True)
    monkeypatch.setattr(project, "PROJECT", tmp_path)
    seen: list[Path] = []

    def run(_: object) -> int:
        seen.append(Path.cwd())
        return 0

    monkeypatch.setattr(lock, "run", run)
    for directory in (tmp_path, tmp_path / "src" / "deep"):
        monkeypatch.chdir(directory)
        with pytest.raises(SystemExit):
            commands.main("lock", [])
    assert seen == [tmp_path, tmp_path]
