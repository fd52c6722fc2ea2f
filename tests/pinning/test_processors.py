from __future__ import annotations

import shlex

import pytest

from ds_docker_env.common.errors import UnreachableError
from ds_docker_env.common.target import AMD64, ARM64, machines, note
from ds_docker_env.pinning.parity import read_lock
from ds_docker_env.pinning.processors import for_arm64, for_both, merge, unmoved
from ds_docker_env.pinning.resolver import Attempt

HEADER = "# made by uv\n#    uv pip compile requirements.in\n# uv 0.13.9, index as of today\n--index-url https://index.example/simple\n"
HASH = "    --hash=sha256:" + "a" * 64 + "\n"


def entry(requirement: str, *needed_by: str) -> str:
    [only, *more] = needed_by or ("-r requirements.in",)
    note = "".join(f"    #   {each}\n" for each in (only, *more)) if more else ""
    return f"{requirement} \\\n{HASH}" + (f"    # via\n{note}" if more else f"    # via {only}\n")


def test_equal_locks_are_one_lock_without_markers() -> None:
    lock = HEADER + entry("numpy==2.1.0", "pandas") + entry("pandas==3.0.0")
    assert merge(lock, lock) == lock


def test_a_package_of_one_processor_and_a_version_that_differs_get_markers() -> None:
    amd64 = HEADER + entry("numpy==2.1.0") + entry("torch==2.1.0") + entry("triton==2.1.0", "torch")
    arm64 = HEADER + entry("numpy==2.1.1") + entry("tensorflow-cpu-aws==2.10.1", "torch") + entry("torch==2.1.0")
    assert merge(amd64, arm64) == HEADER + (
        entry("numpy==2.1.0 ; platform_machine == 'x86_64'")
        + entry("numpy==2.1.1 ; platform_machine == 'aarch64'")
        + entry("tensorflow-cpu-aws==2.10.1 ; platform_machine == 'aarch64'", "torch")
        + entry("torch==2.1.0")
        + entry("triton==2.1.0 ; platform_machine == 'x86_64'", "torch")
    )


def test_a_merged_lock_read_for_a_processor_is_the_lock_that_was_made_for_it() -> None:
    amd64 = HEADER + entry("numpy==2.1.0") + entry("triton==2.1.0", "torch")
    arm64 = HEADER + entry("a-b @ https://files.example/a.whl") + entry("numpy==2.1.1")
    merged = merge(amd64, arm64)
    assert read_lock(merged, AMD64) == read_lock(amd64, AMD64)
    assert read_lock(merged, ARM64) == read_lock(arm64, ARM64)


def test_a_package_that_more_packages_need_on_one_processor_names_them_all() -> None:
    amd64, arm64 = HEADER + entry("numpy==2.1.0", "pandas"), HEADER + entry("numpy==2.1.0", "aws", "pandas")
    assert merge(amd64, arm64) == arm64


def test_the_header_says_for_which_processors_a_lock_is() -> None:
    assert machines(f"# uv\n{note()}\n# uv") == [AMD64, ARM64]
    assert machines(f"# uv\n{note('torch==1.13.1 has no wheel for linux/arm64')}\n# uv") == [AMD64]
    assert machines(HEADER) == [AMD64]


def test_arm64_keeps_the_versions_of_amd64_and_its_own_former_versions() -> None:
    amd64, arm64 = HEADER + entry("numpy==2.1.0"), HEADER + entry("aws==1.0") + entry("numpy==2.1.0")
    before = merge(HEADER + entry("numpy==2.0.0"), HEADER + entry("aws==1.0") + entry("numpy==1.9.0"))
    given = []

    def solve(preferred: str) -> Attempt:
        given.append(preferred)
        return Attempt(arm64, "")

    lock = for_both(amd64, before, solve, why=lambda attempt: "not asked")
    alone = [entry(f"{pin} ; platform_machine == 'aarch64'") for pin in ("aws==1.0", "numpy==1.9.0")]
    assert given == ["".join([amd64, *alone])]
    assert lock == merge(amd64, arm64).replace("\n# uv ", f"\n{note()}\n# uv ")


def test_a_lock_without_arm64_gives_the_reason_in_its_header_unless_an_index_is_unreachable() -> None:
    lock = for_both(HEADER + entry("a==1"), "", lambda preferred: Attempt("", "no wheels"), lambda said: said.stderr)
    assert lock == (HEADER + entry("a==1")).replace("\n# uv ", "\n# for linux/amd64 only: no wheels\n# uv ")
    with pytest.raises(UnreachableError):
        for_both(HEADER, "", lambda preferred: Attempt("", "error sending request"), lambda attempt: "the network")


def test_the_arguments_for_arm64_bound_the_index_without_moving_versions() -> None:
    command = "pip compile --generate-hashes --python-platform x86_64-manylinux_2_36 --output-file requirements.txt"
    options = "--upgrade -U -P numpy --upgrade-package=pandas --upgrade-package six --exclude-newer 2026-01-01"
    assert shlex.join(for_arm64(shlex.split(f"{command} requirements.in {options}"))) == (
        "pip compile --generate-hashes --output-file requirements.txt requirements.in --exclude-newer 2026-01-01 "
        "--python-platform aarch64-manylinux_2_36"
    )
    assert for_arm64(["compile", "--python-platform", "linux"])[-1] == "aarch64-unknown-linux-gnu"


def test_versions_that_an_argument_lets_move_are_not_kept() -> None:
    lock = HEADER + entry("numpy==2.1.0") + entry("six==1.17")
    assert unmoved(lock, ["-P", "numpy>=2", "--upgrade-package=Pandas"]) == HEADER + entry("six==1.17")
    assert unmoved(lock, ["requirements.in"]) == lock and unmoved(lock, ["--upgrade"]) == unmoved(lock, ["-U"]) == ""
