from __future__ import annotations

import pytest
from conftest import Read

from ds_docker_env.common.target import AMD64, Target
from ds_docker_env.pinning.parity import prove, read_lock
from ds_docker_env.pinning.share import share_of

LINUX = Target("3.11")
LOCK = """\
a==1.0
    # via -r production.txt
b==1.0
    # via a
c==1.0
    # via
    #   b[x]
    #   ipykernel
d==1.0
    # via ipykernel
ipykernel==7.0
    # via -r requirements.in
setuptools==79.0
    # via b
"""
SHARES = {
    "all of it": ("a==1.0\nb==1.0\nc==1.0\n", "3 of 3 pins kept exactly", ""),
    "and no program of the system": ("a==1.0\nb==1.0\nc==1.0\npkg-resources==0.0.0\n", "3 of 3 pins kept exactly", ""),
    "without the packages that these need": (
        "a==1.0\n",
        "1 of 3 packages pinned and kept exactly",
        "2",
    ),
    "some by name only": (
        "a\nb==1.0\nc>=1\n",
        "1 of 3 packages pinned and kept exactly",
        "2",
    ),
    "none": (
        "a\nw==1.0 ; os_name == 'nt'\n",
        "0 of 3 packages pinned, so versions may differ",
        "3",
    ),
    "and none applies": (
        "w==1.0 ; os_name == 'nt'\n",
        "all packages are part of its operating system, or for another system or Python",
        "",
    ),
    "setuptools by name": (
        "b==1.0\nc==1.0\nsetuptools\n",
        "2 of 3 packages pinned and",
        "1",
    ),
    "code of its own": (
        "a==1.0\nb==1.0\nc==1.0\n-e .\n",
        "3 of 4 packages pinned and kept exactly (1 not taken over)",
        "",
    ),
    "a URL": ("a @ https://public.example/a-1.0-py3-none-any.whl\nb==1.0\nc==1.0\n", "3 of 3 pins kept exactly", ""),
}


@pytest.mark.parametrize(("production", "pinned", "open_"), SHARES.values(), ids=SHARES)
def test_the_summary_says_which_share_of_production_is_pinned(
    read: Read, production: str, pinned: str, open_: str
) -> None:
    taken = read(production.encode())
    share = share_of(taken, LOCK, prove(taken, read_lock(LOCK, AMD64), LINUX), LINUX)
    first, *others = share.lines
    assert first.startswith(f"Production: {pinned}")
    assert first.endswith(f", from {taken.source}")
    assert len(others) == bool(open_)
    assert all(line.startswith(f"Open:       {open_} may differ from production: ") for line in others)
