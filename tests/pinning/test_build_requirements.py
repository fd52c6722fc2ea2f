"""Build requirements, read from sources without running them, and locked with hashes."""

from __future__ import annotations

import io
import tarfile
import zipfile
from hashlib import sha256
from pathlib import Path

import pytest
from conftest import Generated, Pin
from package_index import PackageIndex

from ds_docker_env.common.target import AMD64, ARM64
from ds_docker_env.image.build.sources import sections
from ds_docker_env.pinning import build_requirements
from ds_docker_env.pinning.archive import SourceFile, read_archive
from ds_docker_env.pinning.parity import read_lock

DYNAMIC = "its build may request more"


def built_with(generated: Generated, source: str, machine: str = AMD64) -> dict[str, str]:
    """Return the build requirements of a source by name; fail if one lacks a hash."""
    assert generated.exit_code == 0, generated.stderr
    locked = read_lock(sections(generated.read("build-requirements.txt"))[source].requirements, machine)
    assert all(package.hashes for package in locked.values())
    return {name: package.version for name, package in locked.items()}


@pytest.fixture
def index(offline: PackageIndex) -> PackageIndex:
    offline.add("setuptools", "57.0", "70.0")
    offline.add("wheel", "0.40")
    offline.add("cython", "0.29", "3.0")
    return offline


def test_build_requirements_of_a_source_are_locked_with_hashes(pin: Pin, index: PackageIndex) -> None:
    index.add_source("old", "1.0", files={"setup.py": "raise SystemExit('it runs')"})
    generated = pin("old==1.0\n")
    assert built_with(generated, "old==1.0") == {"setuptools": "79.0.1", "wheel": "0.40"}
    assert "Not fixed" not in generated.stdout


def test_a_project_without_sources_lacks_build_requirements(pin: Pin, index: PackageIndex) -> None:
    index.add("numpy", "1.21")
    assert not (pin("numpy==1.21\n").project / "build-requirements.txt").exists()


def test_conflicting_build_requirements_are_locked_separately(pin: Pin, index: PackageIndex) -> None:
    for name, wanted in {"old": "setuptools<58", "new": "setuptools>=61"}.items():
        system = f'[build-system]\nrequires = ["{wanted}"]\nbuild-backend = "setuptools.build_meta"\n'
        project = f'[project]\nname = "{name}"\nversion = "1.0"\n'
        index.add_source(name, "1.0", files={"pyproject.toml": system + project})
    generated = pin("old==1.0\nnew==1.0\n")
    assert built_with(generated, "old==1.0")["setuptools"] == "57.0"
    assert built_with(generated, "new==1.0")["setuptools"] == "79.0.1"


def test_build_requirements_include_undeclared_ones_in_productions_version(pin: Pin, index: PackageIndex) -> None:
    index.add("numpy", "1.21")
    index.add_source("bottleneck", "1.2", said="ModuleNotFoundError: No module named 'numpy'")
    index.add_source("pystache", "0.5.4", said="error in pystache setup command: use_2to3 is invalid.")
    generated = pin("bottleneck==1.2\nnumpy==1.21\npystache==0.5.4\n")
    assert built_with(generated, "bottleneck==1.2")["numpy"] == "1.21"
    assert f"Not fixed:  build requirements of bottleneck==1.2: {DYNAMIC}" in generated.stdout
    assert f"\n# bottleneck==1.2: not fixed, {DYNAMIC}\n" in generated.read("build-requirements.txt")


def test_build_requirements_obey_the_bound_on_setuptools(pin: Pin, index: PackageIndex) -> None:
    setup = "raise SystemExit('error in pystache setup command: use_2to3 is invalid.')"
    index.add_setuptools("57.0", "79.0.1")
    index.add_source("pystache", "0.5.4", files={"setup.py": setup})
    generated = pin("pystache==0.5.4\n")
    assert built_with(generated, "pystache==0.5.4")["setuptools"] == "57.0"


def test_build_requirements_are_wheels_for_each_processor(pin: Pin, index: PackageIndex) -> None:
    requires = '["setuptools", "neon; platform_machine == \'aarch64\'", "cython"]'
    system = f'[build-system]\nrequires = {requires}\nbuild-backend = "setuptools.build_meta"\n'
    index.add("neon", "1.0")
    index.add_source("cython", "4.0", files={"setup.py": ""})
    index.add_source("fast", "1.0", files={"pyproject.toml": f'{system}[project]\nname = "fast"\nversion = "1.0"\n'})
    generated = pin("fast==1.0\n")
    common = {"setuptools": "79.0.1", "wheel": "0.40", "cython": "3.0"}
    assert built_with(generated, "fast==1.0") == common
    assert built_with(generated, "fast==1.0", ARM64) == {**common, "neon": "1.0"}


def test_build_requirements_without_wheels_are_named(pin: Pin, index: PackageIndex) -> None:
    system = '[build-system]\nrequires = ["nowhere"]\nbuild-backend = "flit_core.buildapi"\n'
    index.add_source("lost", "1.0", files={"pyproject.toml": f'{system}[project]\nname = "lost"\nversion = "1.0"\n'})
    generated = pin("lost==1.0\n")
    assert "Not fixed:  build requirements of lost==1.0: uv did not find wheels for nowhere" in generated.stdout
    assert "# lost==1.0: not fixed, uv did not find wheels for nowhere\n" in generated.read("build-requirements.txt")


OLD = ["setuptools>=40.8.0", "wheel"]
BACKEND = '[build-system]\nrequires = ["a>=1"]\nbuild-backend = "{}"\n'


@pytest.mark.parametrize(
    "files, requirements, why",
    [
        ({"setup.py": "setup()"}, OLD, ""),
        ({}, OLD, ""),
        ({"setup.py": "setup(setup_requires=['b>=1', 'c'])"}, [*OLD, "b>=1", "c"], ""),
        ({"setup.py": "setup(setup_requires='b')"}, [*OLD, "b"], ""),
        ({"setup.cfg": "[options]\nsetup_requires =\n  b\n  c; extra == 'd'\n"}, [*OLD, "b", 'c; extra == "d"'], ""),
        ({"setup.cfg": "[options]\nsetup_requires = b; c>=2\n"}, [*OLD, "b", "c>=2"], ""),
        ({"setup.py": "setup(setup_requires=needed())"}, OLD, DYNAMIC),
        ({"setup.py": "d = {'setup_requires': ['b']}"}, OLD, DYNAMIC),
        ({"setup.py": "print 'setup_requires'"}, OLD, DYNAMIC),
        ({"setup.cfg": "no ini"}, OLD, DYNAMIC),
        ({"pyproject.toml": "[tool.black]\n"}, OLD, ""),
        ({"pyproject.toml": BACKEND.format("setuptools.build_meta")}, ["a>=1", "wheel"], ""),
        ({"pyproject.toml": BACKEND.format("flit_core.buildapi")}, ["a>=1"], ""),
        ({"pyproject.toml": BACKEND.format("mesonpy")}, ["a>=1"], DYNAMIC),
        ({"pyproject.toml": BACKEND.format("setuptools.build_meta") + 'backend-path = ["."]\n'}, ["a>=1"], DYNAMIC),
    ],
)  # fmt: skip
def test_declared_requirements_of_a_source_are_read(files: dict[str, str], requirements: list[str], why: str) -> None:
    asked = build_requirements._declared(files)
    assert (asked.requirements, asked.why) == (requirements, why)


def test_files_at_the_top_of_a_zip_are_read_unless_they_are_long(tmp_path: Path) -> None:
    names = {"a-1/setup.py": "top", "a-1/deep/setup.cfg": "deep", "a-1/PKG-INFO": "long" * 500_000}
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, text in names.items():
            archive.writestr(name, text)
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:bz2") as tar:
        for name, text in names.items():
            member = tarfile.TarInfo(name)
            member.size = len(text)
            tar.addfile(member, io.BytesIO(text.encode()))
    for data in (content.getvalue(), packed.getvalue()):
        (tmp_path / "a-1.archive").write_bytes(data)
        file = SourceFile(str(tmp_path / "a-1.archive"), {sha256(data).hexdigest()})
        assert read_archive(file).files == {"setup.py": "top", "PKG-INFO": ""}
