"""``check``, in a real environment of tiny packages, on both processors."""

from __future__ import annotations

import platform
import re
import shutil
import subprocess
import sys
import zipfile

import pytest
from small_image import Image

from ds_docker_env.common.errors import ProjectError
from ds_docker_env.common.target import AMD64, ARM64, note
from ds_docker_env.image import advisories, check, installed, needs, overlay
from ds_docker_env.image.template import Template

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="it runs in the image, on Linux")
RUN = "run: docker compose run --rm jupyter"


@pytest.fixture(autouse=True)
def surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give tests the wheel's template, on the first processor."""
    monkeypatch.setattr(check, "template", lambda: Template("1", "2", [], {}))
    monkeypatch.setattr(platform, "machine", lambda: AMD64)


def noted(image: Image, line: str) -> None:
    """Write a line into the header of the lock."""
    (image.project / "requirements.txt").write_text(f"{line}\n{image.read('requirements.txt')}")


def install(image: Image, *requirements: str) -> None:
    """Install packages into the image without their dependencies."""
    command = ["uv", "pip", "install", "--quiet", "--no-deps", "--python", str(image.environment), *requirements]
    subprocess.run(command, check=True)
    (image.environment / "requirements.txt").write_text("another lock")


def checked(capsys: pytest.CaptureFixture[str]) -> tuple[int, list[str]]:
    """Return the exit code, and the sorted problems below the result."""
    code = check.run([])
    return code, sorted(re.findall(r"^(?!New|Template)[\w.-]+: .*", capsys.readouterr().out, re.MULTILINE))


def test_check_names_a_lock_for_another_processor_or_another_debian(
    image: Image, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert checked(capsys) == (0, [])
    monkeypatch.setattr(platform, "machine", lambda: ARM64)
    renew = f"requirements.txt: locked for linux/amd64 only, but this is linux/arm64; {RUN} lock"
    assert checked(capsys) == (1, [renew])
    noted(image, note("torch==1.13.1 has no wheel for linux/arm64"))
    assert checked(capsys) == (
        1,
        [
            "requirements.txt: for linux/amd64 only: torch==1.13.1 has no wheel for linux/arm64; "
            "set DOCKER_DEFAULT_PLATFORM=linux/amd64 in .env, then run: docker compose up --build"
        ],
    )
    monkeypatch.setattr(platform, "machine", lambda: AMD64)
    assert checked(capsys) == (0, [])
    noted(image, "#    uv pip compile --python-platform x86_64-manylinux_2_99")
    assert checked(capsys)[1][0].startswith("requirements.txt: locked for glibc 2.99, but the base image has 2.")


def test_check_tells_a_held_project_how_to_follow_production_again(
    image: Image, capsys: pytest.CaptureFixture[str]
) -> None:
    path = image.project / "production.txt"
    path.write_text(f"# source: git+/nowhere@main@2026-03-01#a.txt\n# at: 2026-03-01\n{image.read('production.txt')}")
    check.run([])
    assert (
        "\nHeld at:    2026-03-01; add and lock take packages of that day; to follow production again, "
        f'{RUN} take-over "git+/nowhere@main#a.txt"\n' in capsys.readouterr().out
    )


def test_productions_markers_are_those_of_this_processor(
    image: Image, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    markers = {machine: f"; platform_machine == '{machine}'" for machine in (AMD64, ARM64)}
    production = image.read("production.txt")
    both = "".join(f"shared=={version} {markers[machine]}\n" for version, machine in (("1.0", AMD64), ("1.1", ARM64)))
    (image.project / "production.txt").write_text(production.replace("shared==1.0\n", both))
    digest = image.index.add("shared", "1.1")
    lock = image.read("requirements.txt").replace("shared==1.0 ", f"shared==1.0 {markers[AMD64]} ")
    (image.project / "requirements.txt").write_text(
        f"{note()}\n{lock}shared==1.1 {markers[ARM64]} \\\n    --hash={digest}\n    # via -r production.txt\n"
    )
    assert checked(capsys) == (0, [])
    monkeypatch.setattr(platform, "machine", lambda: ARM64)
    assert check.run([]) == 1
    said = capsys.readouterr().out
    assert said.startswith("1 of 2 versions of production.txt are installed\n")
    assert re.search(r"^shared +1\.1 +1\.1 +1\.0$", said, re.MULTILINE)
    install(image, "shared==1.1")
    assert checked(capsys) == (0, [])


def test_moves_are_explained_below_the_table_even_without_the_index_and_the_exit_code_stays(
    image: Image, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def silent(*_: object) -> None:
        raise ValueError("503 Server Error")

    image.index.add("shared", "2.0", urls=("Changelog, https://shared.example/changes",))
    # An open version is not a target of a move.
    (image.project / "newer.txt").write_text("prod>=1\nshared[extra]==2.0\n")
    monkeypatch.setattr(advisories, "ask", silent)
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    assert check.run(["newer.txt"]) == 1
    _, table, words, rest = capsys.readouterr().out.split("\n\n")
    assert [line.split()[0] for line in table.splitlines()[1:]] == ["prod", "shared"]
    moved, database = words.splitlines()
    assert moved == "shared 1.0 -> 2.0  major version; https://shared.example/changes"
    why = "not looked up, because the database of advisories does not answer (run audit to see why)"
    assert database == f"Not known:  vulnerabilities: {why}"
    assert rest.startswith("newer.txt: differs from production.txt; run take-over\n")
    image.index.refusing = True
    assert check.run(["newer.txt"]) == 1
    moved, index, database = capsys.readouterr().out.split("\n\n")[2].splitlines()
    assert moved == "shared 1.0 -> 2.0  major version"
    assert index == "Not known:  yanked releases and release dates: the package index cannot be reached"


def test_unmet_requirements_of_the_image_and_of_added_packages_are_named_with_the_fix(
    image: Image, capsys: pytest.CaptureFixture[str]
) -> None:
    digest = image.index.add("frames", "1.0", requires=("runtime>=2", "prod>=2", "shared>=1", "other ; extra == 'x'"))
    # As if this processor's wheel needed more than the wheel that uv has read.
    entry = f"frames==1.0 \\\n    --hash={digest}\n    # via -r requirements.in\n"
    (image.project / "requirements.txt").write_text(f"{image.read('requirements.txt')}{entry}")
    problems = [
        f"frames: requires prod>=2, but prod 1.0 is installed; {RUN} lock",
        f"frames: requires runtime>=2, but runtime is missing; {RUN} add runtime",
    ]
    overlay.follow()
    assert checked(capsys) == (1, problems)
    overlay.switch(image.read("requirements.txt").replace(entry, ""))
    install(image, "frames")
    assert checked(capsys) == (1, problems)


def test_conflicts_that_production_runs_are_printed_and_do_not_count_as_differences(
    image: Image, capsys: pytest.CaptureFixture[str]
) -> None:
    image.index.add("one", "1.0", requires=("two==2.0", "three==2.0"))
    for name in ("two", "three"):
        image.index.add(name, "1.0", "2.0")
    production, lock = image.read("production.txt"), image.read("requirements.txt")
    (image.project / "production.txt").write_text(f"{production}one==1.0\ntwo==1.0\n")
    (image.project / "requirements.txt").write_text(f"{lock}one==1.0\ntwo==1.0\nthree==1.0\n")
    install(image, "one", "two==1.0", "three==1.0")
    both = "one: requires two==2.0, but two 1.0 is installed; production runs both"
    third = "one: requires three==2.0, but three 1.0 is installed"
    assert checked(capsys) == (1, [f"{third}; {RUN} lock", both])
    (image.project / "overrides.txt").write_text("# Production runs these.\nthree==1.0\n")
    assert checked(capsys) == (0, [f"{third}; production runs both", both])


def test_a_base_image_whose_older_python_needs_another_package_is_named(
    image: Image, capsys: pytest.CaptureFixture[str]
) -> None:
    newer = f"{sys.version_info.major}.{sys.version_info.minor}.99"
    digest = image.index.add("client", "1.0", requires=(f"timeout>=4 ; python_full_version < '{newer}'",))
    lock = image.read("requirements.txt").replace("--python-version 3.11.14", f"--python-version {newer}")
    (image.project / "requirements.txt").write_text(f"{lock}client==1.0 --hash={digest}\n")
    install(image, "client")
    [line] = checked(capsys)[1]
    assert line == (
        f"Dockerfile: the base image has Python {platform.python_version()}, on which client needs timeout, but "
        f"requirements.txt is for Python {newer}; renew the base image (README.md), or {RUN} add timeout"
    )


def test_unknown_findings_of_uv_and_an_unreadable_environment_are_named(
    image: Image, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    image.index.add("late", "1.0", python=">=3.99", tag="py3-none-any")
    wheel = next(image.index.folder.glob("simple/late/*.whl"))
    site = image.image_site
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    try:
        said = check.run([]), capsys.readouterr().out
    finally:
        for path in site.glob("late*"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert said[0] == 1 and "uv: The package `late` requires Python >=3.99, but `" in said[1]
    monkeypatch.setattr(installed, "LISTED", image.project)
    with pytest.raises(ProjectError, match=r": cannot be read; uv says: .*"):
        needs.unmet(image.project)
