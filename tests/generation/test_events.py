from __future__ import annotations

import os
import re
import shlex
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import TEMPLATE, Generated, Write, generate, run_in_home, write_files
from offers import DEBIAN, PYTHON
from package_index import PackageIndex

from ds_docker_env.common import uv
from ds_docker_env.common.shipped import shipped_analysis
from ds_docker_env.common.target import made_for
from ds_docker_env.generation.services import services_of

Run = Callable[..., Generated]


def without_uv() -> dict[str, str]:
    """Return an environment without uv."""
    return {"PATH": os.defpath, "UV": ""}


@pytest.fixture(scope="module")
def default(tmp_path_factory: pytest.TempPathFactory) -> Generated:
    """Generate without answers, a network and uv, and with modules of somebody else in the folder for temporary files.

    That is where cookiecutter puts the hooks.
    """
    folder = tmp_path_factory.mktemp("default")
    shared = folder / "shared"
    write_files(
        shared, {f"{name}.py": "raise SystemExit('from somebody else')\n" for name in ("json", "pathlib", "re")}
    )
    nowhere = {"UV_DEFAULT_INDEX": "http://127.0.0.1:9/", "HTTPS_PROXY": "http://127.0.0.1:9", **without_uv()}
    temporary = dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(shared))
    generated = generate(folder, environment={**nowhere, **temporary, "PWD": str(folder)})
    assert generated.exit_code == 0, generated.stderr
    assert {path.name for path in shared.iterdir()} == {"json.py", "pathlib.py", "re.py"}
    return generated


def test_the_default_project_has_the_packages_and_the_lock_that_are_shipped(default: Generated) -> None:
    for name, shipped in {
        "requirements.txt": f"requirements-{PYTHON}.txt",
        "requirements.in": "requirements.in",
    }.items():
        text = (TEMPLATE / "locks" / shipped).read_text()
        assert default.read(name) == made_for(text, DEBIAN)


def test_the_next_command_is_right_for_another_output_folder(default: Generated) -> None:
    assert f"Next:       cd {Path('output', 'data_science_analysis')}\n" in default.stdout


def test_the_password_is_random_shown_once_and_readable_by_its_owner_only(default: Generated, bake: Run) -> None:
    password, other = (one.read(".secrets/jupyter_password").strip() for one in (default, bake()))
    assert password != other
    assert len(password) >= 16
    assert default.stdout.count(password) == 1
    if os.name == "posix":
        assert stat.S_IMODE((default.project / ".secrets" / "jupyter_password").stat().st_mode) == 0o600
    folder = default.project.parents[1]
    files = [path for path in folder.rglob("*") if path.is_file() and path.parent.name != ".secrets"]
    assert [path for path in files if path.parent.name == ".cookiecutter_replay"]
    assert not [path for path in files if password.encode() in path.read_bytes()]


def test_a_path_is_relative_to_the_working_directory_with_uv_as_a_module_and_in_a_replay(
    cookiecutter: Run, offline: PackageIndex, tmp_path: Path
) -> None:
    offline.add("seen", "1.0")
    write_files(tmp_path, {"production/requirements.txt": "seen==1.0\n"})
    first = cookiecutter(
        folder=tmp_path / "production",
        production_requirements="../production/requirements.txt",
        question="Same?",
        environment=without_uv(),
    )
    assert first.exit_code == 0, first.stderr
    assert "\nseen==1.0 \\\n" in first.read("requirements.txt")
    command = ("cookiecutter", str(TEMPLATE), "--replay", "--output-dir", str(tmp_path / "replayed"))
    done = run_in_home(tmp_path / "home", *command, folder=tmp_path / "production")
    assert done.returncode == 0, done.stderr
    for name in ("README.md", "requirements.txt", "requirements.in", "Dockerfile"):
        again = (tmp_path / "replayed" / "data_science_analysis" / name).read_text(encoding="utf-8")
        texts = [re.sub("index as of .*", "", text) for text in (again, first.read(name))]
        assert texts[0] == texts[1], name


@pytest.mark.skipif(sys.platform == "darwin", reason="names of files are stored in another form")
def test_a_path_may_begin_at_home_and_is_escaped_for_a_console_that_lacks_a_letter(
    cookiecutter: Run, offline: PackageIndex, tmp_path: Path
) -> None:
    offline.add("a", "1.0")
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "ό.txt").write_text("a==1.0\n", encoding="utf-8")
    generated = cookiecutter(environment={"PYTHONIOENCODING": "cp1252"}, production_requirements="~/ό.txt")
    assert generated.exit_code == 0, generated.stderr
    assert "\\u03cc.txt" in generated.stdout


def test_a_missing_uv_is_named_with_the_command_that_installs_it() -> None:
    code = "import sys; sys.path.insert(0, sys.argv[1]); from ds_docker_env.common import uv; uv.find()"
    # Without installed modules.
    command = [sys.executable, "-S", "-c", code, str(TEMPLATE)]
    environment = {**os.environ, **without_uv()}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert "run: pip install uv" in done.stderr


BROKEN_UV = {
    "crashes": "import os; os.abort()",
    "prints megabytes": "import sys; sys.stderr.write('x' * 5_000_000); sys.exit(2)",
    "succeeds without a lock": "pass",
    "has no space": "import sys; sys.exit('failed to write to file `/cache/.tmp`: No space left on device')",
    "is too old": "import sys; sys.exit(\"error: unexpected argument '--python-platform' found\")",
}


@pytest.mark.skipif(os.name != "posix", reason="a script cannot stand in for uv.exe")
@pytest.mark.parametrize("code", BROKEN_UV.values(), ids=BROKEN_UV)
def test_generation_stops_with_one_message_when_uv(
    pin: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, code: str
) -> None:
    (tmp_path / "uv").write_text(f"#!{sys.executable}\n{code}\n")
    (tmp_path / "uv").chmod(0o755)
    monkeypatch.setenv("UV", str(tmp_path / "uv"))
    # Which is kept for the next test.
    monkeypatch.setattr(uv, "version", lambda: "uv 0.13.9")
    refused = pin("a==1\n")
    assert refused.exit_code == 1
    assert "nothing was generated; fix this first:\n  " in refused.stderr
    assert len(refused.stderr) < 6_000


def test_the_hooks_are_short_and_run_after_the_prompts() -> None:
    hooks = {path.name: path.read_text() for path in (TEMPLATE / "hooks").glob("*.py")}
    assert hooks.keys() == {"pre_gen_project.py", "post_gen_project.py"}
    for text in hooks.values():
        assert len(text.splitlines()) <= 15
        expressions = {"cookiecutter | for_hooks | tojson", "cookiecutter | images | tojson", "template_root"}
        assert set(re.findall(r"{{ (.*?) }}", text)) <= expressions


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
    # This line appears only with an old engine.
    said = re.sub(r"^Docker: .*\n", "", said, flags=re.MULTILINE)
    assert re.sub(varying, "...", said).strip() == re.sub(varying, "...", shown).strip()
