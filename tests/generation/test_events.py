from __future__ import annotations

import os
import re
import shlex
import stat
import subprocess
import sys
import venv
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import TEMPLATE, Generated, Write
from offers import PYTHON
from package_index import PackageIndex

from ds_docker_env.common.shipped import shipped_analysis
from ds_docker_env.generation.services import services_of

Run = Callable[..., Generated]


def without_uv() -> dict[str, str]:
    """Return an environment in which uv is neither named nor on PATH."""
    return {"PATH": os.defpath, "UV": ""}


def test_the_default_project_needs_no_network_and_no_uv(cookiecutter: Run) -> None:
    nowhere = {"UV_DEFAULT_INDEX": "http://127.0.0.1:9/", "HTTPS_PROXY": "http://127.0.0.1:9", **without_uv()}
    generated = cookiecutter(environment=nowhere)
    assert generated.exit_code == 0, generated.stderr
    shipped = TEMPLATE / "locks" / f"requirements-{PYTHON}.txt"
    assert generated.read("requirements.txt") == shipped.read_text()


def test_the_password_is_random_shown_once_and_readable_by_its_owner_only(cookiecutter: Run) -> None:
    first, second = cookiecutter(project_slug="a"), cookiecutter(project_slug="b")
    passwords = [generated.read(".secrets/jupyter_password").strip() for generated in (first, second)]
    assert len(set(passwords)) == 2
    assert all(len(password) >= 16 for password in passwords)
    assert first.stdout.count(passwords[0]) == 1
    if os.name == "posix":
        assert stat.S_IMODE((first.project / ".secrets" / "jupyter_password").stat().st_mode) == 0o600
    for path in first.project.rglob("*"):
        assert path.is_dir() or path.parent.name == ".secrets" or passwords[0].encode() not in path.read_bytes()


def test_the_password_is_in_no_replay_file(cookiecutter: Run, tmp_path: Path) -> None:
    password = cookiecutter().read(".secrets/jupyter_password").strip()
    replays = list((tmp_path / "home").rglob("*.json"))
    assert replays
    assert all(password not in replay.read_text() for replay in replays)


@pytest.mark.parametrize("typed", ["../production/requirements.txt", "~/pins.txt"])
def test_a_path_is_seen_from_where_the_command_was_typed(
    cookiecutter: Run, offline: PackageIndex, tmp_path: Path, typed: str
) -> None:
    offline.add("seen", "1.0")
    for file in (tmp_path / "production" / "requirements.txt", tmp_path / "home" / "pins.txt"):
        file.parent.mkdir()
        file.write_text("seen==1.0\n")
    generated = cookiecutter(folder=tmp_path / "production", production_requirements=typed)
    assert generated.exit_code == 0, generated.stderr
    assert "\nseen==1.0 \\\n" in generated.read("requirements.txt")


def test_replaying_the_answers_gives_the_same_project(cookiecutter: Run, offline: PackageIndex, tmp_path: Path) -> None:
    offline.add("again", "1.0")
    (tmp_path / "requirements.txt").write_text("again==1.0\n")
    first = cookiecutter(production_requirements="requirements.txt", question="Same?")
    kept = {name: first.read(name) for name in ("README.md", "requirements.txt", "requirements.in", "Dockerfile")}
    done = subprocess.run(
        [sys.executable, "-m", "cookiecutter", str(TEMPLATE), "--replay", "-o", str(tmp_path / "replayed")],
        env={**os.environ, "HOME": str(tmp_path / "home"), "USERPROFILE": str(tmp_path / "home")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    replayed = tmp_path / "replayed" / "data_science_analysis"
    for name, text in kept.items():
        again = (replayed / name).read_text(encoding="utf-8")
        assert [line for line in again.splitlines() if "index as of" not in line] == [
            line for line in text.splitlines() if "index as of" not in line
        ], name


def test_a_missing_uv_is_said_with_the_command_that_installs_it(tmp_path: Path) -> None:
    venv.create(tmp_path / "bare", with_pip=False)
    python = next((tmp_path / "bare").rglob("python3" if os.name == "posix" else "python.exe"))
    code = "import sys; sys.path.insert(0, sys.argv[1]); from ds_docker_env.common import uv; uv.find()"
    done = subprocess.run(
        [python, "-c", code, str(TEMPLATE)],
        env={**os.environ, **without_uv()},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "install it with: pip install uv" in done.stderr


def test_uv_is_found_as_a_module_of_this_python(cookiecutter: Run, offline: PackageIndex, tmp_path: Path) -> None:
    offline.add("found", "1.0")
    (tmp_path / "requirements.txt").write_text("found==1.0\n")
    generated = cookiecutter(production_requirements="requirements.txt", environment=without_uv())
    assert generated.exit_code == 0, generated.stderr


BROKEN_UV = {
    "crashes": "import os; os.abort()",
    "prints megabytes": "import sys; sys.stderr.write('x' * 5_000_000); sys.exit(2)",
    "succeeds without a lock": "pass",
    "is too old": "import sys; sys.exit(\"error: unexpected argument '--python-platform' found\")",
}


@pytest.mark.skipif(os.name != "posix", reason="a script cannot stand in for uv.exe")
@pytest.mark.parametrize("code", BROKEN_UV.values(), ids=BROKEN_UV)
def test_generation_stops_with_one_message_when_uv(cookiecutter: Run, tmp_path: Path, code: str) -> None:
    fake = tmp_path / "uv"
    fake.write_text(f"#!{sys.executable}\n{code}\n")
    fake.chmod(0o755)
    (tmp_path / "requirements.txt").write_text("a==1\n")
    generated = cookiecutter(production_requirements="requirements.txt", environment={"UV": str(fake)})
    assert generated.exit_code != 0
    assert "ds-docker-env: nothing was generated; fix this first:\n  " in generated.stderr
    assert "Traceback" not in generated.stderr
    assert len(generated.stderr) < 6_000
    assert not generated.project.exists()


def test_a_refusal_before_rendering_shows_no_traceback_at_all(cookiecutter: Run) -> None:
    generated = cookiecutter(project_slug="Churn", ticket_url="DS-1")
    assert generated.exit_code == 1
    assert generated.stderr.startswith("ds-docker-env: nothing was generated; fix these 2 things first:\n")
    assert "Traceback" not in generated.stdout + generated.stderr


def test_the_hooks_stay_thin_and_hold_one_jinja_expression_a_line() -> None:
    for hook in ("pre_gen_project.py", "post_gen_project.py"):
        text = (TEMPLATE / "hooks" / hook).read_text()
        assert len(text.splitlines()) <= 15
        expressions = {"cookiecutter | for_hooks | tojson", "cookiecutter | base_image | tojson", "template_root"}
        assert set(re.findall(r"{{ (.*?) }}", text)) <= expressions


def test_no_module_comes_from_the_folder_for_temporary_files(cookiecutter: Run, tmp_path: Path) -> None:
    """In which cookiecutter puts the hooks, and anybody else what they like."""
    shared = tmp_path / "shared"
    shared.mkdir()
    for name in ("json", "pathlib", "re"):
        (shared / f"{name}.py").write_text("raise SystemExit('from somebody else')\n")
    generated = cookiecutter(environment={"TMPDIR": str(shared), "TEMP": str(shared), "TMP": str(shared)})
    assert generated.exit_code == 0, generated.stderr
    assert {path.name for path in shared.iterdir()} == {"json.py", "pathlib.py", "re.py"}


def test_no_hook_runs_before_the_prompts() -> None:
    assert not list((TEMPLATE / "hooks").glob("pre_prompt*"))


def test_the_next_command_is_right_for_another_output_folder(cookiecutter: Run, tmp_path: Path) -> None:
    generated = cookiecutter(environment={"PWD": str(tmp_path)})
    assert f"Next:       cd {Path('output', 'data_science_analysis')}\n" in generated.stdout


@pytest.mark.skipif(sys.platform == "darwin", reason="names of files are stored in another form")
def test_a_console_of_windows_that_lacks_a_letter_gets_it_escaped(
    cookiecutter: Run, offline: PackageIndex, tmp_path: Path
) -> None:
    offline.add("a", "1.0")
    (tmp_path / "ό.txt").write_text("a==1.0\n", encoding="utf-8")
    answers = {"production_requirements": str(tmp_path / "ό.txt")}
    generated = cookiecutter(environment={"PYTHONIOENCODING": "cp1252"}, **answers)
    assert generated.exit_code == 0, generated.stderr
    assert "\\u03cc.txt" in generated.stdout


def test_the_transcript_in_the_readme_is_what_a_person_sees(
    cookiecutter: Run, offline: PackageIndex, write: Write
) -> None:
    transcript = (TEMPLATE / "README.md").read_text().partition("```console\n")[2].partition("```")[0]
    command, _, shown = transcript.replace("\\\n", "").partition("\n")
    answers = dict(word.split("=", 1) for word in shlex.split(command) if "=" in word)
    pins = {f"seen-{number}": "1.0" for number in range(5)}
    clients = shipped_analysis(PYTHON, services_of(answers["services"])).clients
    for name, version in (pins | dict.fromkeys(clients, "9999.1")).items():
        offline.add(name, version)
    answers["production_requirements"] = write("".join(f"{name}=={version}\n" for name, version in pins.items()))
    generated = cookiecutter(**answers)
    assert generated.exit_code == 0, generated.stderr
    # The index of the tests has fewer packages.
    varying = r"/\S+/requirements.txt|(?<=Added:      )\d+|(?<=Password:   )\S+|(?<=Next:       ).+"
    said = generated.stderr.lstrip() + generated.stdout
    assert re.sub(varying, "...", said).strip() == re.sub(varying, "...", shown).strip()
