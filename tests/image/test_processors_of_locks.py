"""Locks for two processors: ``lock``, ``add`` and ``remove`` keep both."""

from __future__ import annotations

import platform
import subprocess
import sys
from typing import Any

import pytest
from small_image import Image

from ds_docker_env.common.errors import GenerationError
from ds_docker_env.common.target import AMD64, ARM64, machines, this_machine
from ds_docker_env.image import add, lock, overlay, remove
from ds_docker_env.image.template import Template
from ds_docker_env.pinning import watched
from ds_docker_env.pinning.parity import read_lock

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="it runs in the image, on Linux")
ONLY = {
    "torch": "torch==1.13: no wheel or source for linux/arm64",
    "model": "model: needs torch==1.13, which has no wheel or source for linux/arm64",
}
EMULATE = "set DOCKER_DEFAULT_PLATFORM=linux/amd64 in .env"


@pytest.fixture(autouse=True)
def surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remove, "template", lambda: Template("1", "2", [], {}))


def locked(image: Image, machine: str) -> dict[str, str]:
    return {name: package.version for name, package in read_lock(image.read("requirements.txt"), machine).items()}


def test_lock_extends_the_lock_of_an_older_template_to_both_processors_and_writes_it_once(
    image: Image, capsys: pytest.CaptureFixture[str]
) -> None:
    before = image.read("requirements.txt")
    assert machines(before) == [AMD64]
    assert lock.run([]) == 0
    made = image.read("requirements.txt")
    assert machines(made) == [AMD64, ARM64] and locked(image, AMD64) == locked(image, ARM64) == image.packages
    assert "platform_machine" not in made and made.splitlines()[1] == before.splitlines()[1]
    assert lock.run([]) == 0 and lock.run(["--upgrade"]) == 0
    assert image.read("requirements.txt") == made
    overlay.follow()
    assert overlay.current() == image.environment


def test_versions_of_each_processor_stay_when_a_package_is_added(image: Image) -> None:
    image.index.add("split", "1.0", "2.0")
    image.index.add("only-arm", "1.0")
    image.index.add("frames", "1.0", requires=(f"only-arm ; platform_machine == '{ARM64}'",))
    with (image.project / "requirements.in").open("a") as file:
        file.write(f"split<2 ; platform_machine == '{ARM64}'\nsplit ; platform_machine == '{AMD64}'\n")
    add.run(["frames"])
    amd64 = {"frames": "1.0", "split": "2.0"}
    arm64 = {"frames": "1.0", "split": "1.0", "only-arm": "1.0"}
    assert locked(image, AMD64).items() >= amd64.items() and "only-arm" not in locked(image, AMD64)
    assert locked(image, ARM64).items() >= arm64.items()
    assert image.packages == locked(image, this_machine())
    # Newer versions of all three.
    image.index.add("split", "1.1", "3.0")
    image.index.add("only-arm", "2.0")
    image.index.add("more", "1.0")
    add.run(["more"])
    assert locked(image, AMD64).items() >= amd64.items() and locked(image, ARM64).items() >= arm64.items()
    lock.run([])
    assert locked(image, ARM64).items() >= {**arm64, "more": "1.0"}.items()
    remove.run(["frames"])
    assert "only-arm" not in image.read("requirements.txt")


def test_changes_for_the_other_processor_are_printed(image: Image, capsys: pytest.CaptureFixture[str]) -> None:
    for number in (1, 2):
        image.index.add("native", f"{number}.9", tag="py3-none-manylinux_2_17_x86_64")
        image.index.add("native", f"{number}.0", tag="py3-none-manylinux_2_17_aarch64")
        add.run(["-U", "native"])
        assert f"native {number}.0 on linux/arm64" in capsys.readouterr().out.replace("1.0 -> ", "")
    image.index.add("late-arm", "1.0")
    add.run([f"late-arm ; platform_machine == '{ARM64}'"])
    assert capsys.readouterr().out == "New:        late-arm 1.0 on linux/arm64\n"
    remove.run(["late-arm"])
    assert capsys.readouterr().out == "Gone:       late-arm 1.0 on linux/arm64\n"
    lock.run([])
    assert capsys.readouterr().out == "Differs:    native: 2.9 on linux/amd64, 2.0 on linux/arm64\n"


def test_two_requirements_of_a_package_that_differ_in_their_marker_are_refused(image: Image) -> None:
    image.index.add("split", "1.0", "2.0")
    files = image.files
    with pytest.raises(GenerationError, match="split also has a different marker; write both"):
        add.run([f"split==1.0 ; platform_machine == '{AMD64}'", f"split==2.0 ; platform_machine == '{ARM64}'"])
    assert image.files == files


def test_a_package_without_arm64_makes_a_lock_for_amd64_that_arm64_refuses(
    image: Image, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    image.index.add("torch", "1.13", tag="py3-none-manylinux_2_17_x86_64")
    image.index.add("model", "1.0", requires=("torch>=1",))
    image.index.add("more", "1.0")
    files = image.files
    with monkeypatch.context() as there:
        there.setattr(platform, "machine", lambda: ARM64)
        for wanted, problem in ONLY.items():
            with pytest.raises(GenerationError, match=f"^{problem}; {EMULATE}"):
                add.run([wanted])
        assert image.files == files

    capsys.readouterr()
    add.run(["-q", "model"])
    said = f"Only amd64: {ONLY['model']}; on arm64, {EMULATE}\n"
    assert capsys.readouterr().out == said
    assert f"\n# for linux/amd64 only: {ONLY['model']}\n" in image.read("requirements.txt")
    add.run(["more"])
    assert capsys.readouterr().out == "New:        more 1.0\n"
    assert lock.run([]) == 0 and capsys.readouterr().out == said
    with monkeypatch.context() as there:
        there.setattr(platform, "machine", lambda: ARM64)
        (image.environment / "packages" / "current").unlink()
        with pytest.raises(
            GenerationError, match=rf"^requirements\.txt: for linux/amd64 only: {ONLY['model']}; {EMULATE}"
        ):
            overlay.follow()
    remove.run(["model"])
    assert machines(image.read("requirements.txt")) == [AMD64, ARM64]


def test_a_pin_of_production_without_arm64_is_named(image: Image, capsys: pytest.CaptureFixture[str]) -> None:
    image.index.add("torch", "1.13", tag="py3-none-manylinux_2_17_x86_64")
    (image.project / "production.txt").write_text(f"{image.read('production.txt')}torch==1.13\n")
    assert lock.run([]) == 0
    assert capsys.readouterr().out == f"New:        torch 1.13\nOnly amd64: {ONLY['torch']}; on arm64, {EMULATE}\n"
    assert locked(image, AMD64)["torch"] == "1.13"


def test_a_network_that_fails_during_the_second_lock_is_an_error_and_changes_nothing(
    image: Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = image.read("requirements.txt")
    run = watched.run

    def offline(*arguments: str, **further: Any) -> subprocess.CompletedProcess[str]:
        image.index.refusing = f"{ARM64}-manylinux_2_36" in arguments
        monkeypatch.setenv("UV_HTTP_RETRIES", "0")
        return run(*arguments, "--no-cache", **further)

    monkeypatch.setattr(watched, "run", offline)
    with pytest.raises(GenerationError, match="the package index cannot be reached"):
        lock.run([])
    assert image.read("requirements.txt") == before
