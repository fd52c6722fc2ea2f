from __future__ import annotations

import shutil
import subprocess
import zlib
from functools import cmp_to_key
from itertools import pairwise

import pytest

from ds_docker_env.common.errors import SourceError
from ds_docker_env.common.sources.web import WebFile
from ds_docker_env.image import tracker
from ds_docker_env.image.tracker import Package

# As Debian's security tracker writes it: names, then packages, then binaries of sources.
LIST = """\
VERSION 1
CVE-2099-1,,A text, with a comma
CVE-2099-2,,Another
CVE-2099-3,,Of the kernel
TEMP-0-1,,Without a number

curl,0,SH?F,9.1-1,8.14.1-2+deb13u1 7.88.1-10+deb12u9
curl,1,SM? ,,7.88.1-10+deb12u9
curl,3,SM?F,8.14.1-1,
libcurl4,3,B R ,,
linux,2,SHRF,,9.0-1
openssl,0,SHRF,,3.5.1-1+deb13u1

curl,curl libcurl4

"""
CURL = "8.14.1-2"
PACKAGES = [
    Package("curl", CURL, "curl", CURL),
    Package("libcurl4", f"{CURL}+b1", "curl", CURL),
    Package("libssl3t64", "3.5.1-1+deb13u1", "openssl", "3.5.1-1+deb13u1"),
    Package("linux-libc-dev", "6.12-1", "linux", "6.12-1"),
]
# From the oldest to the newest.
VERSIONS = [
    *("1.0~rc1-1", "1.0-1~bpo12+1", "1.0-1", "1.0-1+b1", "1.0-1+deb13u2", "1.0-1+deb13u10"),
    *("1.0a-1", "1.0+dfsg-1", "1.0.1", "1:0.9-1"),
]


def test_vulnerabilities_that_debian_has_fixed_are_separate_and_those_of_the_kernel_are_left_out() -> None:
    fixed, unfixed = tracker.known(LIST, PACKAGES)
    assert [(each.package, each.version, each.ids, each.fixed) for each in fixed] == [
        ("curl", CURL, ("CVE-2099-1",), "8.14.1-2+deb13u1")
    ]
    assert [(each.package, each.version, each.ids) for each in unfixed] == [
        ("curl", CURL, ("CVE-2099-2",)),
        ("libcurl4", f"{CURL}+b1", ("TEMP-0-1",)),
    ]
    assert fixed[0].record == "DEBIAN-CVE-2099-1", "the name of Debian's records in OSV's database"


def test_versions_are_ordered_as_by_dpkg() -> None:
    assert sorted(VERSIONS, key=cmp_to_key(tracker.compare)) == VERSIONS
    assert tracker.compare("1.0", "0:1.0-0") == 0
    if dpkg := shutil.which("dpkg"):
        for older, newer in pairwise(VERSIONS):
            subprocess.run([dpkg, "--compare-versions", older, "lt", newer], check=True)


@pytest.mark.parametrize(
    "said",
    [
        *(b"", b"<html>", zlib.compress(LIST.encode())[:-9]),
        *(zlib.compress(b"VERSION 2\n\n\n\n"), zlib.compress(b"VERSION 1\n")),
    ],
    ids=["nothing", "a page", "cut off", "another format", "no packages"],
)
def test_an_incomplete_list_is_refused(said: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(WebFile, "read", lambda _: said)
    with pytest.raises(SourceError, match=r"debsecan/release/1/trixie: incomplete, or in an unknown format"):
        tracker.download("trixie")


def test_a_complete_list_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(WebFile, "read", lambda _: zlib.compress(LIST.encode()))
    assert tracker.download("trixie") == LIST
