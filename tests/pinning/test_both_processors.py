from __future__ import annotations

import re
import subprocess
from typing import Any

import pytest
from conftest import Generated, Pin, Read
from package_index import PackageIndex

from ds_docker_env.common.errors import ParityError
from ds_docker_env.common.target import (
    AMD64,
    ARM64,
    Target,
    machines,
    made_for,
    note,
    why_amd64_only,
)
from ds_docker_env.pinning import watched
from ds_docker_env.pinning.parity import prove_each, read_lock

WHEEL = {AMD64: "cp311-cp311-manylinux_2_17_x86_64", ARM64: "cp311-cp311-manylinux_2_17_aarch64"}
BY_PROCESSOR = (
    "numpy==2.1.0 ; platform_machine == 'x86_64'\n"
    "numpy==2.1.1 ; platform_machine == 'aarch64'\n"
    "aws==1.0 ; platform_machine == 'aarch64'\n"
)


def versions(generated: Generated, machine: str) -> dict[str, str]:
    assert generated.exit_code == 0, generated.stderr
    packages = read_lock(generated.read("requirements.txt"), machine)
    return {name: package.version for name, package in packages.items()}


def test_a_wheel_for_the_glibc_of_trixie_is_locked_there_and_refused_on_bookworm(
    pin: Pin, offline: PackageIndex
) -> None:
    for machine in (AMD64, ARM64):
        offline.add("new", "1.0", tag=f"cp311-cp311-manylinux_2_39_{machine}")
    assert "new==1.0 has wheels only for manylinux_2_39_aarch64, manylinux_2_39_x86_64," in pin("new==1.0\n").stderr
    trixie = pin("new==1.0\n", debian="trixie")
    assert "Compiled" not in trixie.stdout and "Only amd64" not in trixie.stdout
    lock = trixie.read("requirements.txt")
    assert "--python-platform x86_64-manylinux_2_40 " in lock
    assert "--python-platform x86_64-manylinux_2_36 " in made_for(lock, "bookworm")


def test_a_lock_with_equal_packages_for_both_processors_has_a_note_instead_of_markers(
    pin: Pin, offline: PackageIndex
) -> None:
    for tag in WHEEL.values():
        offline.add("native", "1.0", tag=tag)
    generated = pin("native==1.0\n")
    lock = generated.read("requirements.txt")
    assert lock.splitlines()[2] == note()
    assert "platform_machine" not in lock
    assert lock.count("\nnative==1.0") == 1
    assert versions(generated, AMD64) == versions(generated, ARM64)
    assert "Compiled" not in generated.stdout


def test_a_package_for_one_processor_has_a_marker(pin: Pin, offline: PackageIndex) -> None:
    offline.add("tensorflow", "2.10.1", requires=("triton",), tag=WHEEL[AMD64])
    offline.add("tensorflow", "2.10.1", requires=("tensorflow-cpu-aws==2.10.1",), tag=WHEEL[ARM64])
    offline.add("tensorflow-cpu-aws", "2.10.1", tag=WHEEL[ARM64])
    offline.add("triton", "3.0", tag=WHEEL[AMD64])
    generated = pin("tensorflow==2.10.1\n")
    lock = generated.read("requirements.txt")
    assert "\ntensorflow==2.10.1 \\\n" in lock
    assert "\ntensorflow-cpu-aws==2.10.1 ; platform_machine == 'aarch64' \\\n" in lock
    assert "\ntriton==3.0 ; platform_machine == 'x86_64' \\\n" in lock
    assert "Production: 1 of 3 packages pinned and kept exactly" in generated.stdout


def test_pins_with_a_processor_marker_are_proven_for_that_processor(pin: Pin, offline: PackageIndex) -> None:
    offline.add("numpy", "2.1.0", "2.1.1")
    offline.add("aws", "1.0", tag=WHEEL[ARM64])
    offline.add("both", "1.0")
    generated = pin(f"{BY_PROCESSOR}both==1.0\n")
    assert versions(generated, AMD64)["numpy"] == "2.1.0"
    assert versions(generated, ARM64)["numpy"] == "2.1.1"
    assert versions(generated, ARM64).keys() - versions(generated, AMD64).keys() == {"aws"}
    assert "Production: 4 of 4 pins kept exactly" in generated.stdout
    assert "Elsewhere" not in generated.stdout


@pytest.mark.parametrize(("on_amd64", "on_arm64"), [("2.1.0", "2.1.0"), ("2.1.1", "2.1.1"), ("2.1.1", "2.1.0")])
def test_a_lock_with_the_version_of_the_other_processor_fails_the_proof(
    read: Read, on_amd64: str, on_arm64: str
) -> None:
    pins = BY_PROCESSOR.partition("aws")[0]
    hashed = f"--hash=sha256:{'a' * 64}"
    lock = f"{note()}\nnumpy=={on_amd64} ; platform_machine == 'x86_64' {hashed}\n"
    lock += f"numpy=={on_arm64} ; platform_machine == 'aarch64' {hashed}\n"
    with pytest.raises(ParityError, match="but the lock has"):
        prove_each(read(pins.encode()), lock, Target("3.11"))


def test_pins_that_contradict_each_other_only_on_arm64_are_refused_with_both_lines(pin: Pin) -> None:
    assert "requirements.txt:2: numpy==2.1.1 contradicts numpy==2.1.0 at " in (
        pin("numpy==2.1.0\nnumpy==2.1.1 ; platform_machine == 'aarch64'\n").stderr
    )


def test_pins_without_files_for_arm64_are_named_and_the_lock_is_for_amd64_only(pin: Pin, offline: PackageIndex) -> None:
    names = [f"cuda-{number}" for number in range(7)]
    for name in names:
        offline.add(name, "1.0", tag=WHEEL[AMD64])
    generated = pin(
        "# ours\n" + "".join(f"{name}==1.0\n" for name in names) + "aws==1.0 ; platform_machine=='aarch64'\n"
    )
    lock = generated.read("requirements.txt")
    assert machines(lock) == [AMD64]
    shown = "cuda-0==1.0, cuda-1==1.0, cuda-2==1.0, cuda-3==1.0, cuda-4==1.0"
    why = f"{shown} and 3 more: no wheel or source for linux/arm64"
    assert why_amd64_only(lock) == why
    assert f"requirements.txt:2: {why}" in generated.stdout
    assert "set DOCKER_DEFAULT_PLATFORM=linux/amd64 in .env" in generated.stdout
    assert "Production: 7 of 7 pins kept exactly" in generated.stdout
    assert "Elsewhere:  aws==1.0: not for linux/amd64 and Python 3.11" in generated.stdout


@pytest.mark.parametrize("pinned", ["torch==1.13.1", "torch"])
def test_a_pin_is_named_with_a_dependency_that_lacks_files_for_arm64(
    pin: Pin, offline: PackageIndex, pinned: str
) -> None:
    offline.add("torch", "1.13.1", requires=("nvidia-cublas>=11",))
    offline.add("nvidia-cublas", "11.10", tag=WHEEL[AMD64])
    generated = pin(f"{pinned}\n")
    why = f"{pinned}: needs nvidia-cublas==11.10, which has no wheel or source for linux/arm64"
    assert why_amd64_only(generated.read("requirements.txt")) == why


def test_sources_that_one_processor_builds_are_named(pin: Pin, offline: PackageIndex) -> None:
    offline.add("scipy", "1.5.4", tag=WHEEL[AMD64])
    offline.add_source("scipy", "1.5.4")
    offline.add("odd", "1.0", tag=WHEEL[ARM64])
    offline.add_source("odd", "1.0")
    offline.add_source("always", "1.0")
    summary = pin("scipy==1.5.4\nodd==1.0\nalways==1.0\n").stdout
    assert "Compiled:   scipy==1.5.4 in the image: no wheel for linux/arm64\n" in summary
    assert "Compiled:   odd==1.0 in the image: no wheel for linux/amd64\n" in summary
    assert "Compiled:   always==1.0 in the image: no wheel for linux/amd64 and linux/arm64\n" in summary


def test_versions_that_differ_between_processors_are_named_unless_production_pins_them(
    pin: Pin, offline: PackageIndex
) -> None:
    offline.add("numpy", "2.1.0", "2.1.1")
    offline.add("native", "9.0", tag=WHEEL[AMD64])
    offline.add("native", "0.1", tag=WHEEL[ARM64])
    offline.add("model", "1.0", requires=("native",))
    summary = pin(f"{BY_PROCESSOR.partition('aws')[0]}model==1.0\n").stdout
    assert re.findall("^Differs: .*", summary, re.MULTILINE) == [
        "Differs:    native: 9.0 on linux/amd64, 0.1 on linux/arm64"
    ]


def test_an_index_that_fails_only_for_arm64_stops_generation(
    pin: Pin, offline: PackageIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    offline.add("ours", "1.0")
    run = watched.run

    def without_index(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
        offline.refusing = any(ARM64 in each for each in arguments)
        return run(*arguments, **options)

    monkeypatch.setattr(watched, "run", without_index)
    refused = pin("ours==1.0\n")
    assert refused.exit_code == 1
    assert "the package index cannot be reached" in refused.stderr


@pytest.mark.parametrize("marker", ["platform_machine == 'x86_64'", "sys_platform == 'linux'", "python_version > '3'"])
def test_a_missing_pin_with_a_marker_is_refused_and_not_taken_for_another_system(
    pin: Pin, offline: PackageIndex, marker: str
) -> None:
    offline.add("ours", "1.0")
    refused = pin(f"ours==2.0 ; {marker}\n")
    assert refused.exit_code == 1
    assert "requirements.txt:1: ours==2.0 ; " in refused.stderr
    assert "is not, or no longer, on the package index" in refused.stderr
