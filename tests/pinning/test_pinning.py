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
from conftest import Generated, Pin, Write, committed, git, write_files
from offers import PYTHON
from package_index import PackageIndex

from ds_docker_env.common import uv
from ds_docker_env.common.analysis import package_name
from ds_docker_env.common.logins import as_netrc, logins
from ds_docker_env.common.shipped import shipped_analysis
from ds_docker_env.common.target import Target, note
from ds_docker_env.pinning.production.reader import read_production
from ds_docker_env.pinning.resolver import Attempt, Resolver, header
from ds_docker_env.pinning.search import Search


@pytest.fixture
def generate(bake: Callable[..., Generated], offline: PackageIndex, write: Write) -> Pin:
    """Generate a whole project for a production file with this content."""

    def _generate(content: str, beside: dict[str, str] | None = None) -> Generated:
        return bake(project_name="a", python_version=PYTHON, production_requirements=write(content, beside))

    return _generate


def test_productions_version_wins_over_a_newer_one_and_over_the_templates(generate: Pin, offline: PackageIndex) -> None:
    offline.add("Prod_Package", "1.5", "2.0")
    offline.add("pandas", "1.4")
    generated = generate("Prod.Package==1.5  # as in production\npandas==1.4\n")
    versions = generated.locked
    assert versions["prod-package"] == "1.5"
    assert versions["pandas"] == "1.4"
    added = {package_name(line) for line in shipped_analysis(PYTHON).requirements} - {"pandas"}
    assert {versions[name] for name in added} == {"9999.1"}
    assert "Production: 2 of 2 pins kept exactly" in generated.stdout
    assert f"Added:      {len(added) + Target(PYTHON).has_setuptools} packages" in generated.stdout


def test_the_lock_has_hashes_and_production_txt_names_the_source_of_the_pins(
    pin: Pin, offline: PackageIndex, tmp_path: Path
) -> None:
    digest = offline.add("hashed", "1.0")
    generated = pin("# a comment\nhashed==1.0\n")
    lock, text = generated.read("requirements.txt"), generated.read("production.txt")
    assert lock.splitlines()[2] == note()
    assert lock.splitlines()[3].startswith("# uv ")
    assert f"hashed==1.0 \\\n    --hash={digest}" in lock
    assert lock.count("--hash=") >= 10
    assert all(line.endswith("\\") for line in lock.splitlines() if "==" in line and not line.startswith("#"))
    assert f"# source: {tmp_path}/production/requirements.txt\n" in text
    assert re.search(r"^# sha256: [0-9a-f]{64}$", text, re.MULTILINE)
    assert re.search(r"^# taken over on: \d{4}-\d\d-\d\d$", text, re.MULTILINE)
    assert [line for line in text.splitlines() if line and not line.startswith("#")] == ["hashed==1.0"]


ODD = """\
--pre
-r environment.yml
marked==1.0 ; python_version < '3.11'
marked==2.0 ; python_version >= '3.11'
nowhere==1.0 ; sys_platform == 'win32'
pywin32==306
user[fast]==1.0 --global-option="--fast" --config-settings "a=b"
numpy==1.19.5
withdrawn==1.0
known==1.0 --hash={known} --hash=sha256:{zeros}
sums==1.0 --hash=sha512:{zeros}{zeros}
open>=3
-e .
./libs/scoring
-e git+https://git.example.com/team/models.git@v1#egg=models
needed @ git+https://git.example.com/team/needed@1.5
far @ http://127.0.0.1:9/far-1.0-py3-none-any.whl
"""
WORTH_A_LOOK = """\
Open:       2 may differ from production: open, needed; to pin all, use its pip freeze or image:NAME
Added:      9 packages for the analysis, with their dependencies
Compiled:   numpy==1.19.5 in the image: no wheel for Python 3.11; Python 3.9 has one
Not fixed:  build requirements of numpy==1.19.5: its build may request more
Yanked:     withdrawn==1.0: withdrawn by the authors
Elsewhere:  marked==1.0, nowhere==1.0, pywin32==306: not for Linux and Python 3.11
Hashes:     not compared, because production's file has no sha256: sums
Hashes:     files no longer on the index: known (1 of 2)
Conda:      0 of 1 packages pinned to conda's version, 1 not on the package index: gdal
Not here:   -e .: not from a package index
Not here:   ./libs/scoring: not from a package index
Not here:   -e git+https://git.example.com/team/models.git@v1#egg=models: not from a package index
Different:  needed @ git+https://git.example.com/team/needed@1.5 in production, needed==2.0 here
Not here:   far @ http://127.0.0.1:9/far-1.0-py3-none-any.whl: its URL cannot be reached
Ignored:    --global-option of user, --config-settings of user, --pre: does not affect the lock
"""


def test_the_summary_names_every_difference_from_production(
    pin: Pin, offline: PackageIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    for name, version in {"marked": "1.0", "sums": "1.0", "open": "3.2", "piped": "1.0"}.items():
        offline.add(name, version, "2.0")
    offline.add("pywin32", "306", tag="cp311-cp311-win_amd64")
    offline.add("user", "1.0", requires=('needed ; extra == "fast"',))
    offline.add("needed", "2.0")
    offline.add("numpy", "1.19.5", tag="cp39-cp39-manylinux_2_17_x86_64")
    offline.add_source("numpy", "1.19.5")
    offline.add("withdrawn", "1.0", yanked="broken")
    offline.add("withdrawn", "1.1")
    generated = pin(
        ODD.format(known=offline.add("known", "1.0"), zeros="0" * 64),
        beside={"environment.yml": "dependencies: [python=3.11, gdal=3.9, pip: [piped==1.0]]\n"},
    )
    first, *summary = generated.stdout.splitlines()
    assert first.startswith("Production: 7 of 14 packages pinned and kept exactly (5 not taken over), from ")
    assert summary == WORTH_A_LOOK.splitlines()
    locked = {"marked": "2.0", "numpy": "1.19.5", "withdrawn": "1.0", "piped": "1.0", "needed": "2.0", "open": "3.2"}
    assert locked.items() <= generated.locked.items()
    assert generated.locked.keys().isdisjoint({"nowhere", "pywin32", "models", "far"})
    text = generated.read("production.txt")
    assert 'pywin32==306 ; sys_platform == "win32"\n' in text
    for line in ("-e .", "./libs/scoring", "-e git+https://git.example.com/team/models.git@v1#egg=models"):
        assert f"#   {line}\n" in text


def test_included_files_are_read_and_constraints_bound_also_packages_that_are_added_later(
    pin: Pin, offline: PackageIndex
) -> None:
    offline.add("numpy", "1.26")
    for name in ("included", "bounded", "unused", "redis"):
        offline.add(name, "1.0", "2.0")
    offline.add("user", "2.0", requires=("bounded",))
    constraints = {"bounded==1.0", "unused==1.0", "redis==1.0", "numpy==1.26", "scikit-learn==0.24", "matplotlib<3.4"}
    generated = pin(
        "-r base/common.txt\n-c constraints.txt\nuser==2.0\nscikit-learn\n",
        beside={
            "base/common.txt": "-r deeper.txt\n",
            "base/deeper.txt": "included==1.0\n",
            "constraints.txt": "\n".join(constraints),
        },
    )
    bound = {"bounded": "1.0", "numpy": "1.26", "scikit-learn": "0.24", "matplotlib": "3.3"}
    assert ({"included": "1.0", "user": "2.0"} | bound).items() <= generated.locked.items()
    assert generated.locked.keys().isdisjoint({"unused", "redis"})
    assert "Production: 5 of 5 pins kept exactly" in generated.stdout
    assert "Left out" not in generated.stdout
    assert "Not pinned" not in generated.stdout
    assert "-c constraints.txt\n" in generated.read("production.txt")
    assert constraints <= set(generated.read("constraints.txt").splitlines())
    with (generated.project / "requirements.in").open("a") as file:
        file.write("redis\n")
    generated.lock_again()
    assert generated.locked["redis"] == "1.0"


def test_a_file_in_git_is_taken_at_its_tag_with_the_commit(pin: Pin, offline: PackageIndex, tmp_path: Path) -> None:
    offline.add("tagged", "1.0", "2.0")
    repository = tmp_path / "repository"
    write_files(repository, {"api/requirements.txt": "tagged==1.0\n"})
    committed(repository)
    git("tag", "v1", folder=repository)
    write_files(repository, {"api/requirements.txt": "tagged==2.0\n"})
    committed(repository)
    generated = pin("", location=f"git+file://{repository}@v1#api/requirements.txt")
    assert generated.locked["tagged"] == "1.0"
    assert re.search(r"^# commit [0-9a-f]{40}$", generated.read("production.txt"), re.MULTILINE)


def test_a_package_that_conflicts_with_production_is_left_out_with_the_pin_that_is_the_reason(
    pin: Pin, offline: PackageIndex
) -> None:
    offline.add("old-core", "1.0")
    offline.add("s3fs", "2021.4", "9999.1", requires=("old-core>=2",))
    offline.add("pymysql", "0.9")
    generated = pin("old-core==1.0\npymysql==0.9\n")
    assert "s3fs" not in generated.locked
    assert {"pandas": "9999.1", "pymysql": "0.9"}.items() <= generated.locked.items()
    reasons = {"s3fs>=2021.4": "conflicts with production's old-core==1.0"}
    reasons["pymysql>=0.10"] = "production has pymysql==0.9"
    for line, reason in reasons.items():
        assert f"# {line}: left out, {reason}\n" in generated.read("requirements.in")
    assert f"Left out:   s3fs>=2021.4: {reasons['s3fs>=2021.4']}" in generated.stdout
    assert f"Older:      pymysql>=0.10: {reasons['pymysql>=0.10']}" in generated.stdout


@pytest.mark.parametrize(
    ("production", "version", "added"), [("pymysql==0.10\n", "79.0.1", True), ("setuptools==82.0.1\n", "82.0.1", False)]
)
def test_setuptools_is_in_the_notebook_as_in_productions_image(
    pin: Pin, offline: PackageIndex, production: str, version: str, added: bool
) -> None:
    offline.add("setuptools", "80.0", "82.0.1")
    generated = pin(production)
    assert generated.locked["setuptools"] == version
    assert generated.read("requirements.in").endswith("import its pkg_resources.\nsetuptools<80\n") == added


@pytest.mark.parametrize(
    ("production", "python", "version", "reason"),
    [
        ("ipykernel==5.5\n", "3.11", "5.5", "production has ipykernel==5.5"),
        ("jedi==0.15\n", "3.11", "5.5", "conflicts with production's jedi==0.15; the lock has ipykernel==5.5"),
        ("ipykernel<6\n", "3.11", "5.5", "conflicts with production's pins in combination; the lock has"),
    ],
)
def test_an_old_kernel_is_used_if_production_has_one_or_excludes_newer_ones(
    pin: Pin, offline: PackageIndex, production: str, python: str, version: str, reason: str
) -> None:
    old_kernels(offline)
    generated = pin(production, python=python)
    assert generated.locked["ipykernel"] == version
    # Old kernels import it, but do not require it.
    assert generated.locked["ipython-genutils"] == "0.2.0" and generated.locked["ipython"] == "8.0"
    assert f"Older:      ipykernel>=6: {reason}" in generated.stdout
    assert f"# ipykernel>=6: left out, {reason}" in generated.read("requirements.in")


def test_an_old_kernel_of_another_python_changes_nothing(pin: Pin, offline: PackageIndex) -> None:
    old_kernels(offline)
    generated = pin("ipykernel==5.5 ; python_version < '3.7'\nipykernel==9999.1\nipython==9.1\n")
    assert generated.locked["ipykernel"] == "9999.1"
    assert "Older:" not in generated.stdout


@pytest.mark.parametrize(
    ("production", "python", "reason"),
    [
        (
            "ipykernel==4.6\n",
            "3.11",
            "ipykernel>=4.7 conflicts with ipykernel==4.6; JupyterLab does not work with older versions",
        ),
        (
            "ipykernel==5.5\n",
            "3.12",
            "ipykernel>=6.11 conflicts with ipykernel==5.5; older versions do not run on Python 3.12",
        ),
        (
            "ipykernel==5.5\nipython==7.2\n",
            "3.11",
            "ipython>=7.4,<9.1 conflicts with ipython==7.2; old versions of ipykernel need it",
        ),
    ],
)
def test_production_without_a_kernel_for_jupyterlab_is_refused_with_the_pin_that_is_the_reason(
    pin: Pin, offline: PackageIndex, production: str, python: str, reason: str
) -> None:
    old_kernels(offline)
    assert reason in pin(production, python=python).stderr


def old_kernels(offline: PackageIndex) -> None:
    offline.add("ipykernel", "4.6", "5.4", "5.5", requires=("ipython",))
    offline.add("ipykernel", "6", "9999.1", requires=("ipython", "jedi>=0.16"))
    offline.add("ipython", "7.2", "8.0", "9.1")
    offline.add("ipython-genutils", "0.2.0")
    offline.add("jedi", "0.15", "0.18")


def test_all_unavailable_pins_are_refused_with_their_lines_and_a_fix(pin: Pin, offline: PackageIndex) -> None:
    offline.add("here", "1.0")
    offline.add("gone", "1.0")
    offline.add("user-of-gone", "1.0", requires=("gone==0.9",))
    offline.add("user-of-any", "1.0", requires=("gone>=0.9",))
    offline.add("wanted", "1.0", "2.0")
    offline.add("at-odds-with-wanted", "1.0", requires=("wanted>=2",))
    offline.add("modern", "1.0", python=">=3.12")
    for tag in ("cp36-cp36m-manylinux1_x86_64", "cp37-cp37m-manylinux1_x86_64"):
        offline.add("tensorflow", "2.1", tag=tag)
    offline.add("torch", "2.0.1")
    offline.add_file("twisted", "Twisted-19.10.0.tar.bz2", b"")
    refused = {
        "gone==0.9": "is not, or no longer, on the package index; nearest: 1.0; change the version in",
        "never==1.0": "is not on the package index in any version; if never is private, add its index",
        "modern==1.0": "does not run on Python 3.11; it runs on 3.12, 3.13, 3.14",
        "tensorflow==2.1": "has wheels only for Python 3.6, 3.7, which is too old",
        "torch==2.0.1+cpu": "is not on the package index",
        "twisted==19.10.0": "is on the package index only as an archive with a name that uv rejects; publish a",
    }
    fine = ["here==1.0", "user-of-gone==1.0", "user-of-any==1.0", "wanted==1.0", "at-odds-with-wanted==1.0"]
    message = pin("\n".join([*refused, *fine])).stderr
    assert "fix these 6 problems first" in message
    for number, (line, why) in enumerate(refused.items(), 1):
        assert f"requirements.txt:{number}: {line} {why}" in message
    assert "--extra-index-url" in message


def test_a_pin_from_a_directory_on_productions_machine_is_refused_with_a_fix(pin: Pin, offline: PackageIndex) -> None:
    message = pin("--find-links ./wheels\nours==1.0\n").stderr
    assert (
        "requirements.txt:2: ours==1.0 is not on the package index, and --find-links ./wheels is a directory on "
        in message
    )
    assert "; publish ours to an index, or write: ours @ https://..." in message


def test_programs_of_the_operating_system_are_left_out_if_the_index_does_not_have_them(
    pin: Pin, offline: PackageIndex
) -> None:
    offline.add("ufw", "0.36")
    offline.add("cloud-init", "1.0")
    offline.add_source("pygobject", "3.42")
    offline.add("pycairo", "1.27", python=">=3.12")
    programs = "ufw==0.36\ncloud-init==22.4\ncommand-not-found==0.3\npygobject==3.42\n"
    message = pin(f"{programs}pycairo==1.27\n").stderr
    assert "fix this first:\n" in message
    assert "requirements.txt:5: pycairo==1.27 does not run on Python 3.11" in message
    generated = pin(programs)
    assert generated.locked["ufw"] == "0.36"
    assert "Production: 1 of 1 pins kept exactly" in generated.stdout


def test_a_virtual_environment_of_an_old_debian_is_not_taken_for_the_operating_system(
    pin: Pin, offline: PackageIndex
) -> None:
    offline.add_source("pygobject", "3.42")
    assert pin("pkg-resources==0.0.0\npygobject==3.42\n").locked["pygobject"] == "3.42"


def test_a_pin_takes_the_local_version_that_pip_would_take(pin: Pin, offline: PackageIndex) -> None:
    offline.add("torch", "2.1.0", "2.1.0+cpu")
    generated = pin("torch==2.1.0\n")
    assert generated.locked["torch"] == "2.1.0+cpu"
    assert "Production: 1 of 1 pins kept exactly" in generated.stdout
    assert (
        "Local:      torch==2.1.0 is locked as 2.1.0+cpu, as pip would install it from production's index"
        in generated.stdout
    )


def test_the_header_of_the_lock_has_the_version_of_uv_and_the_time_of_the_index(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    installed = subprocess.run([*uv.find(), "--version"], capture_output=True, text=True, check=True).stdout.split()[1]
    today = datetime.now(timezone.utc).date().isoformat()
    assert f"# uv {installed}, index as of {today}T" in header("uv pip compile")
    monkeypatch.setenv("UV_EXCLUDE_NEWER", "2025-01-31")
    assert header("uv pip compile").endswith("index as of 2025-01-31")


def test_conflicting_pins_are_locked_as_production_runs_them(pin: Pin, offline: PackageIndex) -> None:
    offline.add("wanted", "1.0", "2.0")
    offline.add("wants", "1.0", requires=("wanted>=2",))
    offline.add("s3fs", "2021.4", "9999.1", requires=("wanted>=2",))
    offline.add("peaceful", "1.0")
    pins = {"peaceful": "1.0", "wants": "1.0", "wanted": "1.0"}
    generated = pin("".join(f"{name}=={version}\n" for name, version in pins.items()))
    locked = generated.locked
    assert (pins | {"pandas": "9999.1"}).items() <= locked.items()
    assert "s3fs" not in locked
    assert "Production: 3 of 3 pins kept exactly" in generated.stdout
    assert "Conflict:   wants==1.0 and wanted==1.0: locked as production runs them" in generated.stdout
    assert "Left out:   s3fs>=2021.4: conflicts with production's wanted==1.0" in generated.stdout
    header = generated.read("requirements.txt").splitlines()[:3]
    assert "--overrides overrides.txt" in header[1]
    assert header[2] == "# production runs pins that conflict: wants==1.0 and wanted==1.0"
    assert "peaceful" not in generated.read("overrides.txt")
    generated.lock_again()
    assert generated.locked == locked


def test_three_pins_that_conflict_in_turn_are_locked(pin: Pin, offline: PackageIndex) -> None:
    offline.add("cryptography", "1.0", "2.0")
    offline.add("pyopenssl", "1.0", "2.0", requires=("cryptography<2",))
    offline.add("salt", "1.0", requires=("pyopenssl>=2", "cryptography>=2"))
    generated = pin("salt==1.0\npyopenssl==1.0\ncryptography==1.0\n")
    assert {"salt": "1.0", "pyopenssl": "1.0", "cryptography": "1.0"}.items() <= generated.locked.items()
    assert "Conflict:   salt==1.0 and pyopenssl==1.0: locked" in generated.stdout
    assert "Conflict:   salt==1.0 and cryptography==1.0: locked" in generated.stdout


def test_pins_that_conflict_over_an_open_version_are_locked_with_the_version_for_the_first_pin(
    pin: Pin, offline: PackageIndex
) -> None:
    offline.add("fastapi", "0.92", "0.99")
    offline.add("cors", "1.0", requires=("fastapi>=0.99",))
    offline.add("request-id", "1.0", requires=("fastapi<0.93",))
    generated = pin("cors==1.0\nrequest-id==1.0\n")
    assert {"cors": "1.0", "request-id": "1.0", "fastapi": "0.99"}.items() <= generated.locked.items()
    assert "and request-id==1.0 over fastapi==0.99, which production does not pin" in generated.stdout


def test_an_open_version_is_overridden_only_once(offline: PackageIndex, tmp_path: Path, write: Write) -> None:
    for name in ("fastapi", "core"):
        offline.add(name, "1", "2")
    offline.add("cors", "1", requires=("fastapi>=2", "core>=2"))
    offline.add("other", "1", requires=("core<2",))
    offline.add("other", "2")
    offline.add("request-id", "1", requires=("fastapi<2", "other"))
    production = read_production(write("cors==1\nrequest-id==1\n"), Target("3.11"))
    resolver = Resolver(tmp_path, production, set(), Target("3.11"), ["fastapi==2", "other==1"])
    assert Search(resolver, [])._with_contradictions(Attempt("", "cors request-id fastapi core"))
    assert resolver.overrides == ["fastapi==2", "other==1", "core==2"]


def test_productions_index_stays_in_the_lock_when_locking_again(
    pin: Pin, offline: PackageIndex, tmp_path: Path
) -> None:
    with PackageIndex(tmp_path / "other-index") as other:
        other.add("ours", "1.0")
        generated = pin(f"--extra-index-url {other.url}\nours==1.0\n")
        generated.lock_again()
        assert generated.locked["ours"] == "1.0"
        assert f"--extra-index-url {other.url}" in generated.read("requirements.txt")


def test_an_unreachable_index_is_named_with_its_line(pin: Pin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("UV_DEFAULT_INDEX")
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    message = pin("# ours\n--index-url http://127.0.0.1:9/simple\na==1\n").stderr
    assert "requirements.txt:2: the index http://127.0.0.1:9/simple cannot be reached" in message


def test_pins_for_windows_or_macos_are_left_out_on_any_python(pin: Pin, offline: PackageIndex) -> None:
    for python in ("38", "39"):
        offline.add("pywin32", "306", tag=f"cp{python}-cp{python}-win_amd64")
    offline.add("pywin32", "311", tag="cp311-cp311-win_amd64")
    offline.add("wmi", "1.5", requires=("pywin32",))
    offline.add("pywinpty", "2.0", tag="cp38-none-win_amd64")
    windows = "Metadata-Version: 2.2\nName: pywinpty\nVersion: 2.0\n"
    windows += "Classifier: Operating System :: Microsoft :: Windows\n"
    offline.add_source("pywinpty", "2.0", files={"setup.py": "", "winpty.c": "", "PKG-INFO": windows})
    offline.add("pyobjc", "10.0", tag="cp311-cp311-macosx_10_9_universal2")
    offline.add("appnope", "0.1")
    content = "wmi==1.5\npywin32==306\npywinpty==2.0\npyobjc==10.0\nappnope==0.1\n"
    message = pin(f"{content}gone==1.0\n").stderr
    assert "fix this first:\n" in message
    assert "requirements.txt:6: gone==1.0 is not on the package index in any version" in message
    generated = pin(content)
    assert generated.locked["appnope"] == "0.1"
    assert "Production: 1 of 1 pins kept exactly" in generated.stdout
    elsewhere = "wmi==1.5, pywin32==306, pywinpty==2.0, pyobjc==10.0"
    assert f"Elsewhere:  {elsewhere}: not for Linux and Python 3.11" in generated.stdout
    assert not (generated.project / "build-requirements.txt").exists()


def test_a_constraint_for_another_system_is_left_out_once(pin: Pin, offline: PackageIndex) -> None:
    offline.add("pywin32", "306", tag="cp311-cp311-win_amd64")
    offline.add("pywin32", "307")
    bounded = "-c c.txt\npywin32\n"
    assert pin(bounded, beside={"c.txt": "pywin32==306\n"}).locked["pywin32"] == "307"


def test_a_pin_with_a_missing_dependency_on_linux_is_not_taken_for_another_system(
    pin: Pin, offline: PackageIndex
) -> None:
    offline.add("torch", "2.0", requires=('nvidia==12 ; platform_system == "Linux"',))
    refused = pin("torch==2.0\n")
    assert refused.exit_code == 1 and "requirements.txt:1): these versions cannot be locked" in refused.stderr
    offline.add("nvidia", "11", "12")
    generated = pin("-c c.txt\ntorch==2.0\n", beside={"c.txt": "nvidia==11\n"})
    assert {"torch": "2.0", "nvidia": "11", "pandas": "9999.1"}.items() <= generated.locked.items()
    assert "Conflict:   nvidia==11 and torch==2.0: locked" in generated.stdout


def test_two_pins_that_need_different_versions_of_a_third_are_named_with_it(pin: Pin, offline: PackageIndex) -> None:
    offline.add("third", "1.0", requires=("fourth<1",))
    offline.add("third", "3.0")
    offline.add("fourth", "0.1", "3.0")
    offline.add("one", "1.0", requires=("third<2",))
    offline.add("other", "1.0", requires=("third>2", "fourth>2"))
    message = pin("one==1.0\nother==1.0\n").stderr
    needs = r"other==1.0 \(\S+:2\) needs third>2 but one==1.0 \(\S+:1\) needs third<2; pin third to"
    assert re.search(needs, message)


def test_debian_packages_that_a_source_needs_are_named_and_written_into_the_dockerfile(
    generate: Pin, offline: PackageIndex
) -> None:
    offline.add_source("python-ldap", "3.4", files={"setup.py": "", "ldap.c": ""})
    generated = generate("python-ldap==3.4\n")
    assert generated.exit_code == 0, generated.stderr
    [said] = [line for line in generated.stdout.splitlines() if "DEBIAN_PACKAGES" in line]
    assert said.startswith("Debian:     added to DEBIAN_PACKAGES in the Dockerfile, to build sources: ")
    [packages] = re.findall(r'^ARG DEBIAN_PACKAGES="(.*)"$', generated.read("Dockerfile"), re.MULTILINE)
    assert "libsasl2-dev" in packages.split()
    assert "\n# python-ldap==3.4: needs" in generated.read("build-requirements.txt")


def test_a_source_that_does_not_build_is_named_with_its_line(pin: Pin, offline: PackageIndex) -> None:
    offline.add_source("ours", "0.5.4", said="SyntaxError: Missing parentheses in call to 'print'")
    message = pin("\nours==0.5.4\n").stderr
    assert "requirements.txt:2: ours==0.5.4 has no wheel here and does not build here: SyntaxError" in message


def test_a_wrong_hash_stops_generation_and_leaves_nothing(generate: Pin, offline: PackageIndex) -> None:
    offline.add("guarded", "1.0")
    generated = generate(f"guarded==1.0 \\\n    --hash=sha256:{'0' * 64}\n")
    refused = "guarded==1.0 has the hash sha256:0000000000000000... in production's file, but others on the index"
    assert refused in generated.stderr
    assert generated.exit_code == -1
    assert not generated.project.exists()


def test_all_wrong_lines_are_reported_together_with_their_numbers(pin: Pin) -> None:
    message = pin("a=1=b\n\n!!\nx==1\nx==2\n").stderr
    assert "fix these 3 problems first" in message
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
    """Serve a package of production to users with a password."""
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    with PackageIndex(tmp_path / "guarded", login="me:canary") as index:
        index.add("ours", "1.0")
        yield index


def test_a_password_in_netrc_goes_only_to_the_index_and_the_image_build(
    generate: Pin, guarded: PackageIndex, tmp_path: Path
) -> None:
    production = f"# ours\n--extra-index-url {guarded.url}\nours==1.0\n"
    refused = generate(production).stderr
    assert f"requirements.txt:2: the index {guarded.url} requires a valid login" in refused
    assert "~/.netrc: machine 127.0.0.1 login NAME password PASSWORD" in refused
    login = "machine 127.0.0.1 login me password canary\n"
    (tmp_path / "netrc").write_text(
        f"machine git.example.com login me password mine\n{login}default login a password b\n"
    )
    generated = generate(production)
    assert generated.locked["ours"] == "1.0"
    assert generated.read(".secrets/netrc") == login
    assert "Logins:     for 127.0.0.1, copied to .secrets/netrc for the image build" in generated.stdout
    assert "canary" not in generated.stdout + generated.stderr
    holding = [path.name for path in generated.project.rglob("*") if path.is_file() and b"canary" in path.read_bytes()]
    assert holding == ["netrc"]
    if os.name == "posix":
        assert stat.S_IMODE((generated.project / ".secrets" / "netrc").stat().st_mode) == 0o600


def test_the_index_of_a_fork_replaces_all_others_and_gets_its_login(
    bake: Callable[..., Generated], write: Write, guarded: PackageIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    guarded.add_analysis_packages()
    monkeypatch.setenv("UV_DEFAULT_INDEX", "http://127.0.0.1:9/")
    production = write("--index-url http://127.0.0.1:9/\nours==1.0\n")
    refused = bake(production_requirements=production, _package_index=guarded.url)
    assert f"the index {guarded.url} requires a valid login" in refused.stderr
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password canary\n")
    generated = bake(production_requirements=production, _package_index=guarded.url)
    assert generated.locked["ours"] == "1.0"
    assert f"\nENV PIP_INDEX_URL={guarded.url} UV_DEFAULT_INDEX={guarded.url} PIP_TRUSTED_HOST=" in generated.read(
        "Dockerfile"
    )
    shipped = bake(_package_index=guarded.url)
    for project in (generated, shipped):
        assert project.read(".secrets/netrc") == (tmp_path / "netrc").read_text()
        assert "build: {context: ., secrets: [netrc]}\n" in project.read("docker-compose.yml")
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


@pytest.mark.parametrize("form", ["{url}#sha256={digest}", "{url} --hash=sha256:{digest}"])
def test_a_package_from_a_url_is_compared_with_its_hash(pin: Pin, offline: PackageIndex, form: str) -> None:
    digest = offline.add("model", "1.0").removeprefix("sha256:")
    url = f"{offline.url}model/model-1.0-py3-none-any.whl"
    refused = pin(f"model @ {form.format(url=url, digest='0' * 64)}\n")
    assert "requirements.txt:1: model has the hash sha256:0000" in refused.stderr
    generated = pin(f"model @ {form.format(url=url, digest=digest)}\n")
    assert f"model @ {url} \\\n    --hash=sha256:{digest}" in generated.read("requirements.txt")
    assert f"From a URL: model @ {url}, locked with the hash of the current file" in generated.stdout


def test_a_package_from_an_unreachable_url_comes_from_the_index_without_a_hash(
    pin: Pin, offline: PackageIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    offline.add("model", "2.0")
    offline.add("user", "1.0", requires=("model",))
    url = f"http://127.0.0.1:9/model-1.0-py3-none-any.whl#sha256={'0' * 64}"
    generated = pin(f"model @ {url}\nuser==1.0\n")
    assert generated.locked["model"] == "2.0"
    assert " in production, model==2.0 here" in generated.stdout


@pytest.mark.skipif(sys.version_info < (3, 11), reason="netrc in Python 3.10 knows no quotes")
def test_a_password_with_special_characters_is_unchanged(tmp_path: Path) -> None:
    odd = {"a.example.com": ("me", 'p w"\\#:@'), "b.example.com": ("token", "#1")}
    (tmp_path / "netrc").write_text(as_netrc(odd))
    assert {host: (found[0], found[2]) for host, found in netrc.netrc(tmp_path / "netrc").hosts.items()} == odd


def test_an_open_package_of_production_is_not_older_because_of_the_analysis(pin: Pin, offline: PackageIndex) -> None:
    offline.add("fsspec", "1.0", "2.0")
    offline.add("datasets", "1.0", requires=("fsspec",))
    offline.add("datasets", "5.0", requires=("fsspec<2",))
    offline.add("s3fs", "2021.4", requires=("fsspec",))
    offline.add("s3fs", "9999.1", requires=("fsspec>=2",))
    versions = pin("datasets\n").locked
    assert (versions["datasets"], versions["s3fs"]) == ("5.0", "2021.4")
