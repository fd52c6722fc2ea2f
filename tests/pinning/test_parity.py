from __future__ import annotations

import pytest
from conftest import Read

from ds_docker_env.common.errors import ParityError
from ds_docker_env.common.target import AMD64, Target
from ds_docker_env.pinning.parity import prove, read_lock

LINUX = Target("3.11")
HASH = "sha256:" + "a" * 64

EQUAL = {
    "the same version": ("a==1.0", "a==1.0"),
    "another spelling of the name": ("A_b.C==1.0", "a-b-c==1.0"),
    "another spelling of the version": ("a==2023.03.0", "a==2023.3"),
    "an arbitrary version": ("a===2023.03", "a==2023.3"),
    "a local version that production leaves open": ("a==1.0", "a==1.0+cpu"),
    "a local version": ("a==1.0+cpu", "a==1.0+cpu"),
    "a marker that applies": ("a==1.0 ; python_version > '3.8'", "a==1.0"),
    "a marker on the patch release": ("a==1.0 ; python_full_version >= '3.11.3'", "a==1.0"),
    "the right hash": (f"a==1.0 --hash={HASH}", f"a==1.0 --hash={HASH}"),
}
DIFFERENT = {
    "another version": ("a==1.0", "a==1.1", "but the lock has 1.1"),
    "a missing package": ("a==1.0", "b==1.0", "is not in the lock"),
    "a local version more than an arbitrary one": ("a===1.0", "a==1.0+cpu", "but the lock has 1.0+cpu"),
    "another local version": ("a==1.0+cpu", "a==1.0+cu118", "but the lock has 1.0+cu118"),
    "a local version less": ("a==1.0+cpu", "a==1.0", "but the lock has 1.0"),
    "another hash": (f"a==1.0 --hash={HASH}", f"a==1.0 --hash=sha256:{'b' * 64}", "but others on the index"),
}


@pytest.mark.parametrize(("production", "lock"), EQUAL.values(), ids=EQUAL)
def test_a_lock_is_equal_to_production_with(read: Read, production: str, lock: str) -> None:
    assert len(prove(read(f"{production}\n".encode()), read_lock(f"{lock}\n", AMD64), LINUX).held) == 1


@pytest.mark.parametrize(("production", "lock", "message"), DIFFERENT.values(), ids=DIFFERENT)
def test_a_lock_differs_from_production_with(read: Read, production: str, lock: str, message: str) -> None:
    with pytest.raises(ParityError, match=message.replace("+", r"\+")):
        prove(read(f"{production}\n".encode()), read_lock(f"{lock}\n", AMD64), LINUX)


def test_all_differences_are_reported_together(read: Read) -> None:
    with pytest.raises(ParityError) as caught:
        prove(read(b"a==1\nb==1\nc==1\n"), read_lock("a==2\nc==1\n", AMD64), LINUX)
    assert len(caught.value.problems) == 2


def test_a_pin_for_windows_is_not_held_but_reported(read: Read) -> None:
    parity = prove(read(b"a==1\nb==1 ; sys_platform == 'win32'\n"), read_lock("a==1\n", AMD64), LINUX)
    assert [pin.name for pin in parity.held] == ["a"]
    assert [pin.name for pin in parity.elsewhere] == ["b"]
