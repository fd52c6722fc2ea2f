from __future__ import annotations

import netrc
import os
import re
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from pathlib import Path

import pytest
from conftest import Generated, Pin, Write
from offers import PYTHON
from package_index import PackageIndex

from ds_docker_env.common import uv
from ds_docker_env.common.analysis import package_name
from ds_docker_env.common.logins import as_netrc, logins
from ds_docker_env.common.shipped import shipped_analysis
from ds_docker_env.common.target import Target
from ds_docker_env.pinning.resolver import header


@pytest.fixture
def generate(bake: Callable[..., Generated], offline: PackageIndex, write: Write) -> Pin:
    """Generate a whole project for a production file with this content."""

    def _generate(content: str, beside: dict[str, str] | None = None) -> Generated:
        return bake(project_name="a", python_version=PYTHON, production_requirements=write(content, beside))

    return _generate


def test_productions_version_wins_over_a_newer_one_and_over_the_templates(generate: Pin, offline: PackageIndex) -> None:
    offline.add("Prod_Package", "1.5")
    offline.add("Prod_Package", "2.0")
    offline.add("pandas", "1.4")
    generated = generate("Prod.Package==1.5  # as in production\npandas==1.4\n")
    versions = generated.locked
    assert versions["prod-package"] == "1.5"
    assert versions["pandas"] == "1.4"
    added = {package_name(line) for line in shipped_analysis(PYTHON).requirements} - {"pandas"}
    assert {versions[name] for name in added} == {"9999.1"}
    assert "Production: 2 of 2 pins kept exactly" in generated.stdout
    assert f"Added:      {len(added) + Target(PYTHON).has_setuptools} packages" in generated.stdout


def test_every_line_of_the_lock_has_a_hash(pin: Pin, offline: PackageIndex) -> None:
    digest = offline.add("hashed", "1.0")
    lock = pin("hashed==1.0\n").read("requirements.txt")
    assert f"hashed==1.0 \\\n    --hash={digest}" in lock
    assert lock.count("--hash=") >= 10
    assert all(line.endswith("\\") for line in lock.splitlines() if "==" in line and not line.startswith("#"))


def test_production_txt_says_where_the_pins_came_from(pin: Pin, offline: PackageIndex, tmp_path: Path) -> None:
    offline.add("provenance", "1.0")
    text = pin("# a comment\nprovenance==1.0\n").read("production.txt")
    assert f"# source: {tmp_path}/production/requirements.txt\n" in text
    assert re.search(r"^# sha256: [0-9a-f]{64}$", text, re.MULTILINE)
    assert re.search(r"^# taken over on: \d{4}-\d\d-\d\d$", text, re.MULTILINE)
    assert [line for line in text.splitlines() if line and not line.startswith("#")] == ["provenance==1.0"]


def test_markers_decide_which_pins_apply_on_linux_and_the_chosen_python(pin: Pin, offline: PackageIndex) -> None:
    for version in ("1.0", "2.0"):
        offline.add("marked", version)
    generated = pin(
        "marked==1.0 ; python_version < '3.11'\n"
        "marked==2.0 ; python_version >= '3.11'\n"
        "nowhere==1.0 ; sys_platform == 'win32'\n"
    )
    assert generated.locked["marked"] == "2.0"
    assert "nowhere" not in generated.locked
    assert "Production: 1 of 1 pins kept exactly" in generated.stdout
    assert 'Elsewhere:  nowhere==1.0 ; sys_platform == "win32" does not apply' in generated.stdout


def test_extras_bring_what_they_need(pin: Pin, offline: PackageIndex) -> None:
    offline.add("backend", "3.0")
    offline.add("extra-user", "1.0", requires=('backend ; extra == "fast"',))
    assert pin("extra-user[fast]==1.0\n").locked["backend"] == "3.0"


def test_included_files_are_read_and_constraints_only_bound(pin: Pin, offline: PackageIndex) -> None:
    for name in ("included", "bounded", "unused", "user"):
        for version in ("1.0", "2.0"):
            offline.add(name, version, requires=("bounded",) if name == "user" else ())
    generated = pin(
        "-r base/common.txt\n-c constraints.txt\nuser==2.0\n",
        beside={
            "base/common.txt": "-r deeper.txt\n",
            "base/deeper.txt": "included==1.0\n",
            "constraints.txt": "bounded==1.0\nunused==1.0\n",
        },
    )
    versions = generated.locked
    assert (versions["included"], versions["bounded"], versions["user"]) == ("1.0", "1.0", "2.0")
    assert "unused" not in versions
    assert "-c constraints.txt\n" in generated.read("production.txt")
    assert {"bounded==1.0", "unused==1.0"} <= set(generated.read("constraints.txt").splitlines())


def test_a_file_in_git_is_taken_at_its_tag_with_the_commit(pin: Pin, offline: PackageIndex, tmp_path: Path) -> None:
    for version in ("1.0", "2.0"):
        offline.add("tagged", version)
    repository = tmp_path / "repository"
    git = ("git", "-c", "user.name=Ada", "-c", "user.email=ada@example.com", "-C", str(repository))
    subprocess.run(["git", "init", "--quiet", str(repository)], check=True)
    for version, tag in (("1.0", "v1"), ("2.0", "v2")):
        (repository / "api").mkdir(exist_ok=True)
        (repository / "api" / "requirements.txt").write_text(f"tagged=={version}\n")
        subprocess.run([*git, "add", "."], check=True)
        subprocess.run([*git, "commit", "--quiet", "--message", tag], check=True)
        subprocess.run([*git, "tag", tag], check=True)
    generated = pin("", location=f"git+file://{repository}@v1#api/requirements.txt")
    assert generated.locked["tagged"] == "1.0"
    assert re.search(r"^# commit [0-9a-f]{40}$", generated.read("production.txt"), re.MULTILINE)


def test_a_lock_of_another_tool_is_taken_as_it_is(pin: Pin, offline: PackageIndex, tmp_path: Path) -> None:
    for version in ("1.0", "2.0"):
        offline.add("piped", version)
    lock = tmp_path / "Pipfile.lock"
    lock.write_text(
        '{"_meta": {}, "default": {"piped": {"version": "==1.0"}}, "develop": {"pytest": {"version": "==1"}}}'
    )
    generated = pin("", location=str(lock))
    assert generated.locked["piped"] == "1.0"
    assert "pytest" not in generated.locked


def test_what_conda_installs_is_named_as_not_in_the_notebook(pin: Pin, offline: PackageIndex, tmp_path: Path) -> None:
    offline.add("piped", "1.0")
    environment = tmp_path / "environment.yml"
    environment.write_text("dependencies:\n  - python=3.11\n  - gdal=3.9\n  - pip:\n      - piped==1.0\n")
    generated = pin("", location=str(environment))
    assert generated.locked["piped"] == "1.0"
    assert "Not here:   gdal=3.9 (conda) is not from an index" in generated.stdout


def test_what_production_leaves_open_is_locked_and_reported(pin: Pin, offline: PackageIndex) -> None:
    offline.add("pinned", "1.0")
    offline.add("open", "3.2")
    generated = pin("pinned==1.0\nopen>=3\n")
    assert generated.locked["open"] == "3.2"
    assert "Not pinned: open>=3 is open in production; the notebook has 3.2" in generated.stdout


def test_productions_own_code_is_left_out_and_named(pin: Pin, offline: PackageIndex) -> None:
    offline.add("known", "1.0")
    own = ["-e .", "./libs/scoring", "-e git+https://git.example.com/team/models.git@v1#egg=models"]
    generated = pin("\n".join(["known==1.0", *own, ""]))
    assert generated.locked["known"] == "1.0"
    for line in own:
        assert f"Not here:   {line} " in generated.stdout
        assert f"#   {line}\n" in generated.read("production.txt")


def test_a_package_that_cannot_live_beside_production_is_left_out_with_the_pin_that_is_the_reason(
    generate: Pin, offline: PackageIndex
) -> None:
    offline.add("old-core", "1.0")
    offline.add("unrelated", "1.0")
    lines = [line for line in shipped_analysis(PYTHON).requirements if package_name(line) != "ipykernel"]
    stays, line = lines[0], lines[-1]
    for version in ("9999.1", line.partition(">=")[2]):
        offline.add(package_name(line), version, requires=("old-core>=2",))
    generated = generate("unrelated==1.0\nold-core==1.0\n")
    assert package_name(line) not in generated.locked
    assert package_name(stays) in generated.locked
    reason = f"# {line}: left out, it cannot live beside production's old-core==1.0\n"
    assert reason in generated.read("requirements.in")
    assert f"Left out:   {line}, it cannot live beside production's old-core==1.0" in generated.stdout


def test_no_floor_is_lowered_for_production(pin: Pin, offline: PackageIndex) -> None:
    offline.add("pymysql", "0.9")
    generated = pin("pymysql==0.9\n")
    assert generated.locked["pymysql"] == "0.9"
    assert "# pymysql>=0.10: left out, production has pymysql==0.9" in generated.read("requirements.in")


def test_setuptools_is_in_the_notebook_as_it_is_in_productions_image_without_a_pin(
    pin: Pin, offline: PackageIndex
) -> None:
    offline.add("setuptools", "80.0")
    generated = pin("pymysql==0.10\n")
    assert generated.locked["setuptools"] == "79.0.1"
    assert generated.read("requirements.in").endswith("import its pkg_resources.\nsetuptools<80\n")


def test_setuptools_that_production_pins_is_productions(pin: Pin, offline: PackageIndex) -> None:
    offline.add("setuptools", "82.0.1")
    generated = pin("setuptools==82.0.1\n")
    assert generated.locked["setuptools"] == "82.0.1"
    assert "setuptools" not in generated.read("requirements.in")


def test_production_without_room_for_a_kernel_is_refused_with_the_pin_that_is_the_reason(
    pin: Pin, offline: PackageIndex
) -> None:
    offline.add("ipykernel", "5.0")
    generated = pin("ipykernel==5.0\n")
    assert "ipykernel>=6 cannot live beside ipykernel==5.0" in generated.stderr


def test_a_pin_for_another_python_is_refused_with_the_pythons_that_would_do(pin: Pin, offline: PackageIndex) -> None:
    offline.add("modern", "1.0", python=">=3.12")
    generated = pin("\nmodern==1.0\n")
    assert (
        "requirements.txt:2: modern==1.0 does not run on Python 3.11; it does on 3.12, 3.13, 3.14" in generated.stderr
    )


def test_a_pin_that_has_a_wheel_for_other_pythons_only_is_reported(pin: Pin, offline: PackageIndex) -> None:
    offline.add("numpy", "1.19.5", tag="cp39-cp39-manylinux_2_17_x86_64")
    offline.add_source("numpy", "1.19.5")
    generated = pin("numpy==1.19.5\n")
    assert generated.locked["numpy"] == "1.19.5"
    assert "Compiled:   numpy==1.19.5 has no wheel for Python 3.11, so the image builds it; Python 3.9 has one" in (
        generated.stdout
    )


def test_all_versions_that_are_gone_are_refused_with_their_lines(pin: Pin, offline: PackageIndex) -> None:
    offline.add("here", "1.0")
    offline.add("gone", "1.0")
    offline.add("user-of-gone", "1.0", requires=("gone==0.9",))
    message = pin("gone==0.9\nhere==1.0\nnever==1.0\nuser-of-gone==1.0\n").stderr
    assert "requirements.txt:1: gone==0.9 cannot be had for Linux" in message
    assert "requirements.txt:3: never==1.0 cannot be had for Linux" in message
    assert "fix these 2 things first" in message


def test_a_package_from_git_that_another_one_needs_from_the_index_is_reported(pin: Pin, offline: PackageIndex) -> None:
    offline.add("shared", "2.0")
    offline.add("user", "1.0", requires=("shared",))
    generated = pin("user==1.0\nshared @ git+https://git.example.com/team/shared@1.5\n")
    assert generated.locked["shared"] == "2.0"
    assert (
        "Different:  shared @ git+https://git.example.com/team/shared@1.5 in production, shared==2.0 from the index"
        in (generated.stdout)
    )


def test_productions_constraints_decide_and_count_where_they_bind(pin: Pin, offline: PackageIndex) -> None:
    offline.add("numpy", "1.26")
    generated = pin(
        "-c constraints.txt\nscikit-learn\n", beside={"constraints.txt": "numpy==1.26\nscikit-learn==0.24\n"}
    )
    assert (generated.locked["numpy"], generated.locked["scikit-learn"]) == ("1.26", "0.24")
    assert "Production: 2 of 2 pins kept exactly" in generated.stdout
    assert "Left out" not in generated.stdout
    assert "Not pinned" not in generated.stdout


def test_the_header_of_the_lock_says_which_uv_made_it_and_how_new_the_index_could_be(
    pin: Pin, offline: PackageIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    offline.add("ours", "1.0")
    installed = subprocess.run([*uv.find(), "--version"], capture_output=True, text=True, check=True).stdout.split()[1]
    today = datetime.now(timezone.utc).date().isoformat()
    third = pin("ours==1.0\n").read("requirements.txt").splitlines()[2]
    assert third.startswith(f"# uv {installed}, index as of {today}T")
    monkeypatch.setenv("UV_EXCLUDE_NEWER", "2025-01-31")
    assert header("uv pip compile").endswith("index as of 2025-01-31")


@pytest.fixture
def quarrel(offline: PackageIndex) -> str:
    """Return pins of production's that exclude each other."""
    for version in ("1.0", "2.0"):
        offline.add("wanted", version)
    offline.add("wants", "1.0", requires=("wanted>=2",))
    offline.add("peaceful", "1.0")
    return "peaceful==1.0\nwants==1.0\nwanted==1.0\n"


def test_pins_that_exclude_each_other_are_locked_as_production_runs_them(pin: Pin, quarrel: str) -> None:
    generated = pin(quarrel)
    assert {"wants": "1.0", "wanted": "1.0", "peaceful": "1.0", "pandas": "9999.1"}.items() <= generated.locked.items()
    assert "Production: 3 of 3 pins kept exactly" in generated.stdout
    assert "Contradict: wants==1.0 and wanted==1.0 exclude each other" in generated.stdout
    header = generated.read("requirements.txt").splitlines()[:3]
    assert "--overrides overrides.txt" in header[1]
    assert header[2] == ("# production runs all its pins, though wants==1.0 and wanted==1.0 exclude each other")
    assert "peaceful" not in generated.read("overrides.txt")


def test_pins_that_fall_out_over_an_open_version_are_locked_with_the_one_that_suits_the_others(
    pin: Pin, offline: PackageIndex
) -> None:
    for version in ("0.92", "0.99"):
        offline.add("fastapi", version)
    offline.add("cors", "1.0", requires=("fastapi>=0.99",))
    offline.add("request-id", "1.0", requires=("fastapi<0.93",))
    generated = pin("cors==1.0\nrequest-id==1.0\n")
    assert {"cors": "1.0", "request-id": "1.0", "fastapi": "0.99"}.items() <= generated.locked.items()
    assert "exclude each other over fastapi==0.99, which production does not pin" in generated.stdout


def test_a_missing_version_is_no_quarrel_with_a_pin_that_needs_the_package(pin: Pin, offline: PackageIndex) -> None:
    offline.add("zone", "2.0")
    offline.add("frame", "1.0", requires=("zone>=1",))
    assert "requirements.txt:2: zone==1.5 cannot be had" in pin("frame==1.0\nzone==1.5\n").stderr


def test_every_missing_pin_is_named_behind_pins_that_exclude_each_other(pin: Pin, quarrel: str) -> None:
    message = pin(f"{quarrel}gone==1\nlost==2\n").stderr
    assert "requirements.txt:4: gone==1 cannot be had" in message
    assert "requirements.txt:5: lost==2 cannot be had" in message


def test_a_pin_for_older_pythons_than_any_notebook_has_says_so(pin: Pin, offline: PackageIndex) -> None:
    for tag in ("cp36-cp36m-manylinux1_x86_64", "cp37-cp37m-manylinux1_x86_64"):
        offline.add("tensorflow", "2.1", tag=tag)
    message = pin("tensorflow==2.1\n").stderr
    assert "requirements.txt:1: tensorflow==2.1 has wheels for Python 3.6, 3.7 only" in message


def test_a_version_that_its_authors_withdrew_is_kept_and_reported(pin: Pin, offline: PackageIndex) -> None:
    offline.add("bad", "1.0", yanked="broken")
    offline.add("bad", "1.1")
    generated = pin("bad==1.0\n")
    assert generated.locked["bad"] == "1.0"
    assert "Yanked:     bad==1.0 was withdrawn by its authors" in generated.stdout


def test_the_analysis_does_not_overlook_what_it_needs_where_production_does(
    pin: Pin, quarrel: str, offline: PackageIndex
) -> None:
    for version in ("2021.4", "9999.1"):
        offline.add("s3fs", version, requires=("wanted>=2",))
    generated = pin(quarrel)
    assert generated.locked["wanted"] == "1.0"
    assert "s3fs" not in generated.locked
    assert "Left out:   s3fs>=2021.4, it cannot live beside production's wanted==1.0" in generated.stdout


def test_the_command_in_the_header_locks_again_to_the_same_lock(pin: Pin, quarrel: str) -> None:
    generated = pin(quarrel)
    before = generated.locked
    generated.lock_again()
    assert generated.locked == before


def test_a_package_that_is_added_later_gets_the_version_of_productions_constraints(
    pin: Pin, offline: PackageIndex
) -> None:
    for version in ("5.0", "8.0"):
        offline.add("redis", version)
    offline.add("known", "1.0")
    generated = pin("-c constraints.txt\nknown==1.0\n", beside={"constraints.txt": "redis==5.0\nmatplotlib<3.4\n"})
    assert generated.locked["matplotlib"] == "3.3"
    with (generated.project / "requirements.in").open("a") as file:
        file.write("redis\n")
    generated.lock_again()
    assert generated.locked["redis"] == "5.0"


def test_productions_index_stays_in_the_lock_when_locking_again(
    pin: Pin, offline: PackageIndex, tmp_path: Path
) -> None:
    with PackageIndex(tmp_path / "other-index") as other:
        other.add("ours", "1.0")
        generated = pin(f"--extra-index-url {other.url}\nours==1.0\n")
        generated.lock_again()
        assert generated.locked["ours"] == "1.0"
        assert f"--extra-index-url {other.url}" in generated.read("requirements.txt")


def test_a_pin_that_exists_for_windows_only_is_reported_and_not_needed(pin: Pin, offline: PackageIndex) -> None:
    offline.add("portable", "1.0")
    offline.add("pywin32", "306", tag="cp311-cp311-win_amd64")
    generated = pin("portable==1.0\npywin32==306\n")
    assert "pywin32" not in generated.locked
    assert "Production: 1 of 1 pins kept exactly" in generated.stdout
    assert 'Elsewhere:  pywin32==306 ; sys_platform == "win32" does not apply on Linux' in generated.stdout
    assert 'pywin32==306 ; sys_platform == "win32"\n' in generated.read("production.txt")


def test_a_package_behind_a_url_that_cannot_be_reached_is_left_out_and_named(
    pin: Pin, offline: PackageIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    offline.add("here", "1.0")
    line = "models @ http://127.0.0.1:9/models-1.0-py3-none-any.whl"
    generated = pin(f"here==1.0\n{line}\n")
    assert "models" not in generated.locked
    assert f"Not here:   {line} cannot be reached" in generated.stdout


def test_an_index_of_productions_that_cannot_be_reached_is_named_with_its_line(
    pin: Pin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("UV_DEFAULT_INDEX")
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    message = pin("# ours\n--index-url http://127.0.0.1:9/simple\na==1\n").stderr
    assert (
        "requirements.txt:2: the index http://127.0.0.1:9/simple, which production names, cannot be reached" in message
    )


def test_a_source_that_no_longer_builds_is_named_with_its_line(pin: Pin, offline: PackageIndex) -> None:
    offline.add_source("ours", "0.5.4", said="SyntaxError: Missing parentheses in call to 'print'")
    message = pin("\nours==0.5.4\n").stderr
    assert "requirements.txt:2: ours==0.5.4 has no wheel" in message
    assert "its source no longer builds" in message


def test_a_build_from_another_index_is_refused_with_the_way_there(pin: Pin, offline: PackageIndex) -> None:
    offline.add("torch", "2.0.1")
    message = pin("torch==2.0.1+cpu\n").stderr
    assert "requirements.txt:1: torch==2.0.1+cpu is not on the package index" in message
    assert "--extra-index-url" in message


def test_a_wrong_hash_stops_generation_and_leaves_nothing(generate: Pin, pin: Pin, offline: PackageIndex) -> None:
    right, wrong = offline.add("guarded", "1.0"), "sha256:" + "0" * 64
    assert pin(f"guarded==1.0 --hash={right}\n").locked["guarded"] == "1.0"
    generated = generate(f"guarded==1.0 \\\n    --hash={wrong}\n")
    assert "guarded==1.0 has the hash sha256:0000000000000000..., unknown to the index" in generated.stderr
    assert generated.exit_code == -1
    assert not generated.project.exists()


def test_all_wrong_lines_are_reported_together_with_their_numbers(pin: Pin) -> None:
    message = pin("a=1=b\n\n!!\nx==1\nx==2\n").stderr
    assert "fix these 3 things first" in message
    for where in ("requirements.txt:1: ", "requirements.txt:3: ", "requirements.txt:5: "):
        assert where in message


def test_passwords_in_production_stay_out_of_every_file_and_message(generate: Pin, offline: PackageIndex) -> None:
    offline.add("private", "1.0")
    with_password = offline.url.replace("http://", "http://me:canary@")
    generated = generate(
        f"--extra-index-url {with_password} --trusted-host me:canary@127.0.0.1\n"
        "private==1.0\n"
        "own @ git+https://me:canary/x@git.example.com/team/own@v1\n"
    )
    assert generated.locked["private"] == "1.0"
    for path in generated.project.rglob("*"):
        assert path.is_dir() or b"canary" not in path.read_bytes()
    assert "canary" not in generated.stdout + generated.stderr


@pytest.fixture
def guarded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PackageIndex]:
    """Serve a package of production's for a password, which nobody here has yet."""
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    with PackageIndex(tmp_path / "guarded", login="me:canary") as index:
        index.add("ours", "1.0")
        yield index


def test_an_index_that_asks_for_a_password_is_named_with_its_line_and_the_way_in(
    pin: Pin, guarded: PackageIndex
) -> None:
    message = pin(f"# ours\n--extra-index-url {guarded.url}\nours==1.0\n").stderr
    assert f"requirements.txt:2: the index {guarded.url} asks for a password" in message
    assert "~/.netrc: machine 127.0.0.1 login NAME password PASSWORD" in message


def test_the_password_in_netrc_goes_to_the_image_build_and_nowhere_else(
    generate: Pin, guarded: PackageIndex, tmp_path: Path
) -> None:
    login = "machine 127.0.0.1 login me password canary\n"
    (tmp_path / "netrc").write_text(
        f"machine git.example.com login me password mine\n{login}default login a password b\n"
    )
    generated = generate(f"--extra-index-url {guarded.url}\nours==1.0\n")
    assert generated.locked["ours"] == "1.0"
    assert generated.read(".secrets/netrc") == login
    assert "Logins:     for 127.0.0.1, copied from this machine, in .secrets/netrc" in generated.stdout
    assert "canary" not in generated.stdout + generated.stderr
    holding = [path.name for path in generated.project.rglob("*") if path.is_file() and b"canary" in path.read_bytes()]
    assert holding == ["netrc"]
    if os.name == "posix":
        assert stat.S_IMODE((generated.project / ".secrets" / "netrc").stat().st_mode) == 0o600


def test_the_index_of_a_fork_is_asked_instead_of_every_other_and_gets_its_login(
    bake: Callable[..., Generated], write: Write, guarded: PackageIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    guarded.add_analysis_packages()
    monkeypatch.setenv("UV_DEFAULT_INDEX", "http://127.0.0.1:9/")
    production = write("--index-url http://127.0.0.1:9/\nours==1.0\n")
    refused = bake(production_requirements=production, _package_index=guarded.url)
    assert f"the index {guarded.url} asks for a password" in refused.stderr
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password canary\n")
    generated = bake(production_requirements=production, _package_index=guarded.url)
    assert generated.locked["ours"] == "1.0"
    assert f"\nENV PIP_INDEX_URL={guarded.url} UV_DEFAULT_INDEX={guarded.url} PIP_TRUSTED_HOST=" in generated.read(
        "Dockerfile"
    )
    shipped = bake(_package_index=guarded.url)
    for project in (generated, shipped):
        assert project.read(".secrets/netrc") == (tmp_path / "netrc").read_text()
        assert "\n      secrets: [netrc]\n" in project.read("docker-compose.yml")
        assert f"\nPackages come from {guarded.url}, " in project.read("README.md")
    assert "://" not in shipped.read("requirements.txt") + shipped.read("tools.txt")


def test_a_password_in_uvs_own_settings_stays_out_of_the_lock(
    pin: Pin, offline: PackageIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    offline.add("ours", "1.0")
    monkeypatch.setenv("UV_DEFAULT_INDEX", offline.url.replace("//", "//me:canary@"))
    lock = pin(f"--extra-index-url {offline.url}\nours==1.0\n").read("requirements.txt")
    assert f"\n--index-url {offline.url}\n" in lock
    assert "canary" not in lock
    assert logins(lock) == logins(f"ours @ {offline.url}ours.whl\n") == {"127.0.0.1": ("me", "canary")}


def test_hashes_that_cannot_be_compared_or_are_gone_are_reported(pin: Pin, offline: PackageIndex) -> None:
    known, other = offline.add("known", "1.0"), "sha256:" + "0" * 64
    offline.add("sums", "1.0")
    generated = pin(f"known==1.0 --hash={known} --hash={other}\nsums==1.0 --hash=sha512:{'0' * 128}\n")
    assert "Hashes:     not compared, as production has no sha256 of them: sums" in generated.stdout
    assert "Hashes:     no longer on the index are some of known (1 of 2)" in generated.stdout


@pytest.mark.parametrize("form", ["{url}#sha256={digest}", "{url} --hash=sha256:{digest}"])
def test_what_comes_from_a_url_is_kept_if_it_is_still_the_same(pin: Pin, offline: PackageIndex, form: str) -> None:
    digest = offline.add("model", "1.0").removeprefix("sha256:")
    url = f"{offline.url}model/model-1.0-py3-none-any.whl"
    generated = pin(f"model @ {form.format(url=url, digest=digest)}\n")
    assert f"model @ {url} \\\n    --hash=sha256:{digest}" in generated.read("requirements.txt")
    assert f"From a URL: model @ {url}, with the hash of what is there now" in generated.stdout


def test_a_download_that_is_not_what_production_knew_stops_generation(pin: Pin, offline: PackageIndex) -> None:
    offline.add("model", "1.0")
    url = f"{offline.url}model/model-1.0-py3-none-any.whl"
    assert "requirements.txt:1: model has the hash sha256:0000" in pin(f"model @ {url}#sha256={'0' * 64}\n").stderr


def test_options_of_a_single_line_are_reported(pin: Pin, offline: PackageIndex) -> None:
    offline.add("ours", "1.0")
    generated = pin('ours==1.0 --global-option="--fast" --config-settings "a=b"\n--pre\n')
    for option in ("--fast of ours", "--config-settings", "--pre"):
        assert f"Ignored:    {option} means nothing to a lock" in generated.stdout


@pytest.mark.skipif(sys.version_info < (3, 11), reason="netrc in Python 3.10 knows no quotes")
def test_a_password_with_odd_characters_arrives_as_it_is(tmp_path: Path) -> None:
    odd = {"a.example.com": ("me", 'p w"\\#:@'), "b.example.com": ("token", "#1")}
    (tmp_path / "netrc").write_text(as_netrc(odd))
    assert {host: (found[0], found[2]) for host, found in netrc.netrc(tmp_path / "netrc").hosts.items()} == odd


def test_a_source_archive_of_a_kind_that_uv_refuses_is_named_as_such(pin: Pin, offline: PackageIndex) -> None:
    offline.add_file("twisted", "Twisted-19.10.0.tar.bz2", b"")
    message = pin("twisted==19.10.0\n").stderr
    assert "requirements.txt:1: twisted==19.10.0 is on the package index only as a source archive" in message


def test_three_pins_that_exclude_each_other_in_turn_are_locked(pin: Pin, offline: PackageIndex) -> None:
    for version in ("1.0", "2.0"):
        offline.add("cryptography", version)
    offline.add("pyopenssl", "1.0", requires=("cryptography<2",))
    offline.add("pyopenssl", "2.0", requires=("cryptography<2",))
    offline.add("salt", "1.0", requires=("pyopenssl>=2", "cryptography>=2"))
    generated = pin("salt==1.0\npyopenssl==1.0\ncryptography==1.0\n")
    assert {"salt": "1.0", "pyopenssl": "1.0", "cryptography": "1.0"}.items() <= generated.locked.items()
    assert "salt==1.0 and pyopenssl==1.0 exclude each other" in generated.stdout
    assert "salt==1.0 and cryptography==1.0 exclude each other" in generated.stdout


def test_what_production_leaves_open_is_not_pushed_back_by_the_analysis(pin: Pin, offline: PackageIndex) -> None:
    for version in ("1.0", "2.0"):
        offline.add("fsspec", version)
    offline.add("datasets", "1.0", requires=("fsspec",))
    offline.add("datasets", "5.0", requires=("fsspec<2",))
    offline.add("s3fs", "2021.4", requires=("fsspec",))
    offline.add("s3fs", "9999.1", requires=("fsspec>=2",))
    versions = pin("datasets\n").locked
    assert (versions["datasets"], versions["s3fs"]) == ("5.0", "2021.4")
