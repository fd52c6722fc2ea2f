"""Production on an index that asks for a password."""

from __future__ import annotations

import re
import secrets
import shlex
import ssl
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
import trustme
from forward_proxy import ForwardProxy
from package_index import COMPANY, PackageIndex
from packaging.utils import canonicalize_name

from docker.conftest import copied, generated
from docker.project import Done, Project, sh

pytestmark = pytest.mark.docker

PASSWORD = f"canary-{secrets.token_hex(8)}"
# A source whose build looks for secrets, and writes them into its module.
SPY = """\
import os
from pathlib import Path
from setuptools import setup
found = []
for path in ("/root/.netrc", "/etc/pip.conf", "/etc/uv/uv.toml", *Path("/proc").glob("[0-9]*/environ")):
    try:
        found.append(Path(path).read_text())
    except OSError:
        pass
found += [f"{name}={value}" for name, value in os.environ.items()]
Path("acme_spy.py").write_text(f"found, user = {found!r}, {os.getuid()}")
setup(name="acme-spy", version="1.0", py_modules=["acme_spy"])
"""


@pytest.fixture(scope="module")
def index(host: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PackageIndex]:
    """Serve packages to this machine and to containers, with a password."""
    with PackageIndex(tmp_path_factory.mktemp("index"), f"me:{PASSWORD}", host) as index:
        index.add("acme-prices", "1.0")
        index.add("acme-tools", "2.0")
        index.add_source("acme-spy", "1.0", files={"setup.py": SPY})
        yield index


@pytest.fixture(scope="module")
def private(
    index: PackageIndex, generate: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Project]:
    """Generate with the password in ``~/.netrc``, and reduce the analysis to its kernel."""
    home = tmp_path_factory.mktemp("home")
    host = index.url.split("/")[2].split(":")[0]
    (home / ".netrc").write_text(f"machine {host} login me password {PASSWORD}\nmachine other login a password b\n")
    production = home / "requirements.txt"
    production.write_text(f"--extra-index-url {index.url}\nacme-prices==1.0\nacme-spy==1.0\n")
    answers = {"python_version": "3.11", "debian_release": "bookworm", "production_requirements": str(production)}
    with generated(partial(generate, home), **answers) as project:
        (project.folder / "requirements.in").write_text("ipykernel\n")
        [command] = re.findall(r"^#    (uv .*)", project.read("requirements.txt"), re.MULTILINE)
        sh(*shlex.split(command), folder=project.folder, environment={"HOME": str(home)})
        yield project


@pytest.fixture(scope="module")
def build(private: Project) -> Done:
    return private.build()


def test_the_login_is_in_one_private_file(private: Project) -> None:
    holding = [path for path in private.folder.rglob("*") if path.is_file() and PASSWORD.encode() in path.read_bytes()]
    assert holding == [private.folder / ".secrets" / "netrc"]
    assert len(holding[0].read_text().splitlines()) == 1


def test_the_build_stops_without_the_password_and_names_the_index(
    private: Project, index: PackageIndex, tmp_path: Path
) -> None:
    clone = copied(private, tmp_path)
    (clone.folder / ".secrets" / "netrc").write_text("")
    said = clone.compose("build", check=False)
    assert said.returncode != 0
    assert re.search(rf"{re.escape(index.url)}.*401 Unauthorized", said.stdout + said.stderr)


def test_the_image_gets_productions_package_with_the_password(private: Project, build: Done) -> None:
    listed = sh("docker", "run", "--rm", private.image, "uv", "pip", "freeze", "--python", "/opt/analysis").stdout
    assert "acme-prices==1.0\n" in listed


def test_a_source_behind_the_login_is_built_without_it_and_with_locked_requirements(
    private: Project, build: Done
) -> None:
    assert re.search(r"\n# acme-spy==1\.0\n(\w+==.*\n(    --hash=.*\n)+)+\Z", private.read("build-requirements.txt"))
    look = "import acme_spy; print(acme_spy.user, *acme_spy.found)"
    user, _, found = sh("docker", "run", "--rm", private.image, "python", "-c", look).stdout.partition(" ")
    assert user == "65534" and "PATH=" in found and PASSWORD not in found


def test_lock_and_take_over_use_the_password(private: Project, index: PackageIndex, build: Done) -> None:
    with (private.folder / "requirements.in").open("a") as file:
        file.write("acme-tools\n")
    index.add("acme-prices", "1.1")
    (private.folder / "newer.txt").write_text(f"--extra-index-url {index.url}\nacme-prices==1.1\nacme-spy==1.0\n")
    try:
        said = private.run("lock").stderr
        assert "\nacme-prices==1.0 " in private.read("requirements.txt")
        said += private.run("take-over", "newer.txt").stdout
    finally:
        private.remove()
    lock = private.read("requirements.txt")
    assert "\nacme-tools==2.0 " in lock
    assert "\nacme-prices==1.1 " in lock
    assert PASSWORD not in lock + said


def test_pip_and_uv_read_a_companys_settings_from_build_secrets(private: Project, index: PackageIndex) -> None:
    settings = {
        "pip.conf": (f"[global]\nindex-url = {index.url}\nretries = 0\n", f"Looking in indexes: {index.url}"),
        "uv.toml": ('required-version = ">=9999"\n', "Required uv version `>=9999`"),
    }
    for name, (text, shown) in settings.items():
        file = private.folder / ".secrets" / name
        file.write_text(text)
        secret = ("--secret", f"id={name},src={file}")
        said = sh("docker", "build", "--no-cache", "--progress", "plain", *secret, str(private.folder), check=False)
        assert said.returncode != 0
        assert shown in said.stderr, said.stderr


def test_a_build_behind_a_companys_proxy_asks_only_the_forks_index(
    private: Project,
    index: PackageIndex,
    proxy: ForwardProxy,
    generate: Callable[..., Path],
    host: str,
    tmp_path: Path,
) -> None:
    """The tools and packages are the fewest that the build needs."""
    (tmp_path / ".netrc").write_text(f"machine {COMPANY} login me password {PASSWORD}\n")
    url = f"https://{COMPANY}/simple/"
    answers = {"python_version": "3.11", "debian_release": "bookworm", "_package_index": url}
    folder = generate(home=tmp_path, project_slug="fork", **answers)
    tools = re.findall(r"^(?:uv|dumb-init|pip)==.*\n(?:    .*\n)+", (folder / "tools.txt").read_text(), re.MULTILINE)
    packages = re.sub(r"^--.*\n", "", private.read("requirements.txt"), flags=re.MULTILINE)
    packages = re.sub(r"^acme-.*\n(?:    .*\n)+", "", packages, flags=re.MULTILINE)
    (folder / "tools.txt").write_text("".join(tools))
    (folder / "requirements.txt").write_text(packages)
    mirror(index, tmp_path / "wheels", packages + "".join(tools))
    build = ("docker", "build", "--no-cache", "--output=type=cacheonly", str(folder))
    authority = trustme.CA()
    with PackageIndex(index.folder, f"me:{PASSWORD}", host, authority) as behind_the_proxy:
        proxy.names[COMPANY] = behind_the_proxy.address
        assert "CERTIFICATE_VERIFY_FAILED" in sh(*build, check=False).stderr
        certificate = folder / "company.crt"
        certificate.write_bytes(ssl.PEM_cert_to_DER_cert(authority.cert_pem.bytes().decode()))
        assert "company.crt: not a PEM certificate; convert it: openssl " in sh(*build, check=False).stderr
        authority.cert_pem.write_to_path(str(certificate))
        refused = sh(*build, check=False)
        assert refused.returncode != 0
        assert f"Looking in indexes: {url}" in refused.stderr
        assert "CERTIFICATE_VERIFY_FAILED" not in refused.stderr
        sh(*build, f"--secret=id=netrc,src={folder}/.secrets/netrc")
    assert set(proxy.passed) == {COMPANY}


def mirror(index: PackageIndex, folder: Path, lock: str) -> None:
    """Copy the packages of a lock from the public index."""
    (folder / "lock.txt").parent.mkdir()
    (folder / "lock.txt").write_text(lock)
    of_the_image = ("--python-version=3.11", "--only-binary=:all:", "--platform=manylinux_2_17_x86_64")
    pip = ("uv", "tool", "run", "pip", "download", "--quiet", "--no-deps", f"--dest={folder}", *of_the_image)
    sh(*pip, "--platform=manylinux_2_28_x86_64", "--platform=manylinux2014_x86_64", f"--requirement={folder}/lock.txt")
    for wheel in folder.glob("*.whl"):
        place = index.folder / "simple" / canonicalize_name(wheel.name.partition("-")[0])
        place.mkdir(parents=True)
        wheel.rename(place / wheel.name)
        (place / "index.html").write_text(f'<a href="{wheel.name}">{wheel.name}</a>')
