"""Facts that are read from the archives of sources."""

from __future__ import annotations

import pytest

from ds_docker_env.common.debian import needs_in, read, with_packages
from ds_docker_env.pinning.archive import Archive

WINDOWS = "Classifier: Operating System :: Microsoft :: Windows\n"
LINUX = "Classifier: Operating System :: POSIX :: Linux\n"
CARGO = '[package.metadata.docs.rs]\ntargets = ["x86_64-pc-windows-msvc"]\n'


@pytest.mark.parametrize(
    ("archive", "system"),
    [
        (Archive({"PKG-INFO": WINDOWS}, {".c"}), "win32"),
        (Archive({"PKG-INFO": WINDOWS + LINUX}, {".c"}), ""),
        (Archive({"PKG-INFO": "Classifier: Operating System :: MacOS :: MacOS X\n"}, {".m", ".c"}), "darwin"),
        (Archive({"PKG-INFO": "Name: a\n", "Cargo.toml": CARGO}, {".rs"}), "win32"),
        # Such as win32-setctime, which is useless on Linux, and pyreadline, which fails there.
        (Archive({"PKG-INFO": WINDOWS}, {".py"}), ""),
        (Archive({"PKG-INFO": f"Platform: Windows XP\n{WINDOWS}"}, {".py"}), "win32"),
    ],
)
def test_a_source_that_declares_a_single_system_is_for_that_system(archive: Archive, system: str) -> None:
    assert archive.system == system


@pytest.mark.parametrize(
    ("name", "archive", "release", "packages"),
    [
        ("python-ldap", Archive({}, {".c"}), "bookworm", ["libldap2-dev", "libsasl2-dev"]),
        # Its libcurl depends on the other one.
        ("python-ldap", Archive({}, {".c"}), "trixie", ["libsasl2-dev"]),
        # A custom base image.
        ("python-ldap", Archive({}, {".c"}), "noble", ["libldap2-dev", "libsasl2-dev"]),
        ("python-ldap", Archive({}, {".py"}), "trixie", []),
        ("psycopg2", Archive({}, {".c"}, {"libpq-fe.h"}), "trixie", []),
        ("ours", Archive({}, {".c"}, {"sasl/sasl.h", "Python.h", "openssl/ssl.h"}), "trixie", ["libsasl2-dev"]),
        ("ours", Archive({"pyproject.toml": 'requires = ["maturin"]'}, {".rs"}), "trixie", ["cargo"]),
        # An old version, which is not in Rust.
        ("cryptography", Archive({}, {".c"}), "trixie", []),
        ("ours", Archive({}, {".f90"}), "trixie", ["gfortran"]),
        # Its build uses the libraries that it finds.
        ("uwsgi", Archive({}, {".c"}, {"ldap.h", "sql.h", "sasl/sasl.h", "snappy-c.h", "GeoIP.h"}), "bookworm", []),
    ],
)
def test_debian_packages_are_those_that_the_official_image_lacks(
    name: str, archive: Archive, release: str, packages: list[str]
) -> None:
    assert archive.debian_packages(name, release) == packages


def test_a_source_for_another_python_is_reported_with_its_python() -> None:
    assert Archive({"PKG-INFO": "Requires-Python: >=2.6, <3\n"}).excludes("3.11.14") == ">=2.6, <3"
    assert Archive({"PKG-INFO": "Requires-Python: >=3.6\n"}).excludes("3.11.14") == ""


def test_the_table_knows_headers_programs_and_libraries() -> None:
    known = read("bookworm")
    files = ["sasl/sasl.h", "ldap.h", "pg_config", "mysql_config", "cairo.pc", "gfortran", "no-such.h"]
    packages = ["libsasl2-dev", "libldap-dev", "libpq-dev", "default-libmysqlclient-dev", "libcairo2-dev", "gfortran"]
    assert list(map(known.package_of, files)) == [*packages, ""]


def test_packages_are_added_to_those_in_the_dockerfile() -> None:
    needs = needs_in(
        "# What.\n\n# a==1: needs libb-dev libc++-dev: not fixed, it asks for more\n# d @ file:///d: needs e\n"
    )
    assert needs == {"a==1": ["libb-dev", "libc++-dev"], "d @ file:///d": ["e"]}
    before = 'FROM a\nARG DEBIAN_PACKAGES="hello"\nRUN b\n'
    assert with_packages(before, {"libb-dev", "hello"}) == before.replace("hello", "hello libb-dev")
