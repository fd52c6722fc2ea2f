"""conda's files: their packages on the package index, and pins that the index lacks."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any

import pytest
from offers import TEMPLATE
from package_index import PackageIndex

from ds_docker_env.common.errors import RequirementsError
from ds_docker_env.common.target import Target
from ds_docker_env.pinning import twins
from ds_docker_env.pinning.builds import Failure
from ds_docker_env.pinning.production.formats import as_requirements, conda_names, page
from ds_docker_env.pinning.production.formats.conda_names import FILE, names, twin
from ds_docker_env.pinning.production.formats.conda_specs import parse_spec
from ds_docker_env.pinning.production.model import Pin, Production
from ds_docker_env.pinning.production.reader import read_production
from ds_docker_env.pinning.resolver import Attempt, Resolver
from locks import conda_names as refresh

_ARCHIVES = "https://conda.example/t/tk-secret/conda-forge"
_WHEEL_OF_SIX = "https://files.example/six-1.16.0-py2.py3-none-any.whl"
_DIGEST = "8abb2f1d86890a2dfb989f9a77cfcfd3e47c2a354b01111771326f8aa26e0254"

CONDA_LOCK = f"""\
version: 1
metadata:
  platforms: [linux-64]
package:
- name: numpy
  version: 1.26.4
  manager: conda
  platform: linux-64
  url: {_ARCHIVES}/linux-64/numpy-1.26.4-py311h64a7726_0.conda
  hash:
    sha256: 3f4365e11b28e244c95ba8579942b0802761ba7bb31c026f50d1a9ea9c728149
  category: main
- name: numpy
  version: 1.26.3
  manager: conda
  platform: win-64
  category: main
- name: pytest
  version: 8.0.0
  manager: conda
  platform: linux-64
  category: dev
- name: openssl
  version: 3.2.1
  manager: conda
  platform: linux-64
  category: main
- name: six
  version: 1.16.0
  manager: pip
  platform: linux-64
  url: {_WHEEL_OF_SIX}
  hash:
    sha256: {_DIGEST}
  category: main
"""

PIXI = f"""\
version: 6
environments:
  test:
    packages:
      linux-64:
      - conda: {_ARCHIVES}/linux-64/pytest-8.0.0-pyhd8ed1ab_0.conda
  default:
    channels:
    - url: https://conda.example/conda-forge/
    indexes:
    - https://public.example/simple
    - https://pypi.example/simple
    packages:
      linux-64:
      - conda: {_ARCHIVES}/linux-64/pytorch-2.1.0-py3.11_cuda11.8_0.tar.bz2
      - conda: {_ARCHIVES}/linux-64/openssl-3.2.1-hd590300_0.conda
      - pypi: {_WHEEL_OF_SIX}
      - pypi: .
packages:
- pypi: {_WHEEL_OF_SIX}
  name: six
  version: 1.16.0
  sha256: {_DIGEST}
- pypi: .
  name: shop
  version: 0.1.0
"""

EXPLICIT = f"""\
# This file may be used to create an environment using:
# platform: linux-64
@EXPLICIT
{_ARCHIVES}/linux-64/python-3.11.9-hb806964_0_cpython.conda#0123456789abcdef0123456789abcdef
{_ARCHIVES}/linux-64/pytorch-2.1.0-py3.11_cpu_0.tar.bz2#0123456789abcdef0123456789abcdef
{_ARCHIVES}/linux-64/zlib-1.2-h166bdaf_4.tar.bz2
https://conda.example/mycorp/noarch/churn-1.0-py_0.conda
# pip six @ {_WHEEL_OF_SIX}
"""

EXPORT = """\
# This file may be used to create an environment using:
# $ conda create --name <env> --file <this file>
# platform: linux-64
pytorch=2.1.0=py3.11_cpu_0
six=1.16.0=pypi_0
zlib=1.2=h166bdaf_4
"""

JSON = """\
[
  {
    "base_url": "https://conda.example/pytorch", "build_string": "py3.11_cpu_0", "channel": "pytorch",
    "name": "pytorch", "version": "2.1.0"
  },
  {"build_string": "pypi_0", "channel": "pypi", "name": "six", "version": "1.16.0"},
  {"build_string": "h166bdaf_4", "channel": "conda-forge", "name": "zlib", "version": "1.2"}
]
"""

TABLE = """\
# packages in environment at /opt/conda/envs/shop:
#
# Name                    Version                   Build  Channel
python                    3.11.9          hb806964_0_cpython    conda-forge
pytorch                   2.1.0               py3.11_cpu_0    pytorch
six                       1.16.0                   pypi_0    pypi
churn                     0.1.0                     dev_0    <develop>
zlib                      1.2                  h166bdaf_4
"""

MICROMAMBA = TABLE.replace("# packages in environment at", "List of packages in environment:").replace("#", "\u2500")
MICROMAMBA = MICROMAMBA.replace("\u2500 Name", "  Name")

EXACT = ["torch==2.1.0", "six==1.16.0"]
FILES = {
    "conda-lock": ("x", CONDA_LOCK, ["numpy==1.26.4", "six==1.16.0"], ["openssl=3.2.1 (conda)"]),
    "pixi": (
        "x",
        PIXI,
        ["--extra-index-url https://pypi.example/simple", "torch==2.1.0", "six==1.16.0"],
        ["shop (its own code)", "openssl=3.2.1 (conda)"],
    ),
    "conda list --explicit": ("x", EXPLICIT, EXACT, ["zlib=1.2 (conda)", "mycorp::churn=1.0 (conda)"]),
    "conda list --export": ("requirements.txt", EXPORT, EXACT, ["zlib=1.2 (conda)"]),
    "its packages in other words": (
        "x",
        "_libgcc_mutex==0.1\npytorch==2.1.0\n",
        EXACT[:1],
        ["_libgcc_mutex==0.1 (conda)"],
    ),
    "conda list --json": ("x", JSON, EXACT, ["zlib=1.2 (conda)"]),
    "micromamba list": ("x", MICROMAMBA, EXACT, ["churn (its own code)", "zlib=1.2 (conda)"]),
    "conda list": ("x", TABLE, EXACT, ["churn (its own code)", "zlib=1.2 (conda)"]),
}
Read = Callable[[str], Production]


@pytest.fixture
def read_environment(tmp_path: Path) -> Read:
    """Read the dependencies of an environment.yml, each on a line, for Python 3.11."""

    def _read(dependencies: str) -> Production:
        path = tmp_path / "environment.yml"
        path.write_text("dependencies:\n" + "".join(f"- {line}\n" for line in dependencies.split("\n")))
        return read_production(str(path), Target("3.11"))

    return _read


@pytest.mark.parametrize(("name", "text", "requirements", "left_out"), FILES.values(), ids=FILES)
def test_every_file_of_condas_tools_is_read(
    monkeypatch: pytest.MonkeyPatch, name: str, text: str, requirements: list[str], left_out: list[str]
) -> None:
    monkeypatch.setattr(page, "PUBLIC_INDEX", re.compile("https://public.example/simple"))
    converted = as_requirements(text.replace("\n", "\r\n"), name)
    lines = converted.text.splitlines()
    assert [line.partition(" --hash")[0] for line in lines if line] == requirements
    assert list(converted.left_out) == left_out
    assert "secret" not in repr(converted)
    for number, line in enumerate(lines):
        # Each is on the line of its entry.
        beginning = "".join(text.splitlines()[number : number + 3])
        assert not line or line.startswith("--") or re.search("torch|six|numpy", beginning)


def test_hashes_are_those_of_pips_packages_and_not_of_condas_archives() -> None:
    text = as_requirements(CONDA_LOCK, "conda-lock.yml").text
    assert re.findall("--hash=sha256:(.*)", text) == [_DIGEST]


SPECS = {
    **{"numpy": "", "numpy=*": "", "numpy *": "", "numpy=*=*mkl*": ""},
    **dict.fromkeys(["numpy=1.26", "numpy =1.26", "numpy 1.26.*", "numpy=1.26*", "numpy==1.26.*"], "==1.26.*"),
    **dict.fromkeys(["numpy=1.26.4", "numpy=1.26.4=py311_0", "numpy 1.26.4 py311_0", "numpy==1.26.4"], "==1.26.4"),
    **{"numpy 1.26": "==1.26", "numpy=1.26=py311_0": "==1.26"},
    **dict.fromkeys(["numpy>=1.21,<2", "numpy >=1.21, <2", "numpy[version='>=1.21,<2']"], ">=1.21,<2"),
    **{"numpy>=1.21=py3*": ">=1.21", "numpy<=1.26.*": "<=1.26", "numpy!=1.25.*": "!=1.25.*", "numpy~=1.26": "~=1.26"},
    **{"numpy>=1.22,<1.24|==1.7.1": ">=1.22,<1.24", "numpy=1.26.5+a|1.26.4": ">=1.26.5,<=1.26.5", "numpy<2|>=1": ">=1"},
    **{"numpy ~=1": "==1.*", "numpy ==1.26.4,>=1.0": "==1.26.4", "numpy ==1.26.4,>=2": "==1.26.4,>=2"},
    **{"numpy<2.0a0": "<2.0a0", 'conda-forge::numpy[version="1.26"]': "==1.26"},
    **{"numpy=1.1.1w": None, "numpy=>1": None},
}


@pytest.mark.parametrize(("spec", "specifier"), SPECS.items())
def test_a_match_specification_becomes_a_specifier(spec: str, specifier: str | None) -> None:
    parsed = parse_spec(spec)
    assert parsed
    assert (parsed.name, parsed.specifier) == ("numpy", specifier)


EXPORTS = ["python=3.11.9\nca-certificates=2024.2.2\npytz=2024.1", "pytz=2024.1=py_0", "pytz==2024.1"]


@pytest.mark.parametrize("dependencies", EXPORTS)
def test_a_version_in_an_export_is_exact(read_environment: Read, dependencies: str) -> None:
    assert list(map(str, read_environment(dependencies).pins)) == ["pytz==2024.1"]
    assert read_environment("python=3.11.9\nsix=1.16.0=py_0\npytz=2024.1").unpinned == ["pytz==2024.1.*"]


UNKNOWN = "python openssl zlib cmake ninja git nodejs libpng mkl cudatoolkit tk icu sqlite gdal graphviz tzdata r-base"


def test_a_package_outside_the_list_of_names_is_left_out(read_environment: Read) -> None:
    assert {name for name in UNKNOWN.split() if twin(name)} == set()
    found = read_environment("six=1.16.0\n" + "\n".join(UNKNOWN.split()[1:]))
    assert list(map(str, found.pins)) == ["six==1.16.0"]
    assert not found.unpinned
    assert set(found.left_out.values()) == {""}


@pytest.mark.parametrize(
    ("conda", "name"),
    [
        *(("pytorch", "torch"), ("matplotlib-base", "matplotlib"), ("importlib_metadata", "importlib-metadata")),
        *(("py-opencv", "opencv-python"), ("msgpack-python", "msgpack"), ("python-graphviz", "graphviz")),
        *(("py-xgboost", "xgboost"), ("brotli-python", "brotli"), ("tensorflow-base", "tensorflow")),
    ],
)
def test_a_package_has_the_name_of_its_project_on_the_index(conda: str, name: str) -> None:
    assert twin(conda) == name


def test_the_list_of_names_matches_its_digest() -> None:
    text = FILE.read_text(encoding="utf-8")
    body = text[re.search(r"^(?!#)", text, re.MULTILINE).start() :]  # type: ignore[union-attr]
    assert f"# sha256 of the names: {hashlib.sha256(body.encode()).hexdigest()}\n" in text
    assert len(text.encode()) < 165_000
    assert "MIT License" in text
    assert len(names()) == len(body.splitlines()) > 12_000
    ours = [
        line.split() for line in (TEMPLATE / "locks" / "conda-names.list").read_text().splitlines() if line[0] != "#"
    ]
    assert all(names()[line[0]] == line[-1] for line in ours)


def test_our_names_override_those_of_the_mapping() -> None:
    mapping = {
        "torch": {"conda_name": "pytorch"},
        "psycopg2-binary": {"conda_name": "psycopg2"},
        "Ruamel.Yaml": {"conda_name": "ruamel.yaml"},
        "0164e082b29777fbc56c2373b68da93d23a29a04": {"conda_name": "vcversioner"},
    }
    text = refresh.render(mapping, "# ours\npsycopg2\nopencv opencv-python\n", "a mapping 1.0", "MIT License\n")
    assert [line for line in text.splitlines() if not line.startswith("#")] == [
        *("opencv opencv-python", "psycopg2", "pytorch torch", "ruamel-yaml")
    ]
    assert "# From locks/conda-names.list and a mapping 1.0;" in text


def test_packages_of_pip_replace_packages_of_conda(read_environment: Read, tmp_path: Path) -> None:
    (tmp_path / "more.txt").write_text("idna==3.7\nattrs>=23\n")
    found = read_environment("numpy=1.26.4\nidna=3.6.0\nattrs=23.1.0\nsix=1.16.0\npip: [numpy>=2, -r more.txt]")
    assert sorted(map(str, found.pins)) == ["attrs==23.1.0", "idna==3.7", "six==1.16.0"]
    assert found.unpinned == ["numpy>=2", "attrs>=23"]
    assert list(found.conda) == ["attrs=23.1.0", "six=1.16.0"]


def test_only_packages_that_conda_installs_are_known_as_condas(read_environment: Read, tmp_path: Path) -> None:
    assert list(read_environment("numpy ==1.26.4,>=1.0").conda.values()) == ["numpy==1.26.4"]
    with pytest.raises(RequirementsError, match=r"environment\.yml:2: numpy==1\.26\.4,>=2\.0 contradicts itself"):
        read_environment("numpy ==1.26.4,>=2.0")
    read_environment("numpy=1.26.4")
    (tmp_path / "r.txt").write_text("-c environment.yml\nsix==1.16.0\n")
    assert not read_production(str(tmp_path / "r.txt"), Target("3.11")).conda


def test_a_twin_follows_its_pin_when_that_is_restricted_or_left_out(read_environment: Read) -> None:
    found = read_environment("six=1.16.0\nnumpy=1.26.4\nidna=3.6.0")
    found.restrict({"six==1.16.0": 'sys_platform == "win32"'})
    found.leave_out([pin for pin in found.pins if pin.name == "numpy"], "(of the operating system)")
    assert found.twins == {str(pin) for pin in found.pins} == {'six==1.16.0 ; sys_platform == "win32"', "idna==3.6.0"}
    for requirement in found.twins:
        found.replace_twin(requirement, "six==1.16.0.*")
    assert not found.pins
    # A twin with another version may also be left out.
    assert found.twins == found.near == {"six==1.16.0.*"}


class Excluding:
    """A resolver for which some requirements conflict; each refusal names all packages."""

    overrides: Sequence[str] = ()

    def __init__(self, production: Production, *excluding: Collection[str]) -> None:
        self.production = production
        self._excluding = excluding

    def together(self, analysis: Sequence[str], pins: Collection[str], overrides: Sequence[str] = ()) -> Attempt:
        lost = any(set(pins).issuperset(each) for each in self._excluding)
        return Attempt("" if lost else "a lock", " ".join(map(str, self.production.names())))

    def without(self, pins: Collection[str]) -> Attempt:
        return self.together([], self.production.requirements().split())

    def named_pins(self, attempt: Attempt) -> list[str]:
        return list(map(str, self.production.pins))


@pytest.mark.parametrize(
    ("excluding", "held", "lost"),
    [
        (["a==1", "c==1"], ["a==1", "c==1"], set()),
        (["a==1", "b==1", "e<2"], [], {"e (conda)"}),
        (["d<2", "a==1"], None, set()),
    ],
)
def test_only_conflicting_requirements_are_overridden_or_left_out(
    excluding: list[str], held: list[str] | None, lost: set[str]
) -> None:
    production = Production("x", "", unpinned=["d<2", "e<2"], conda={"d": "d<2", "e": "e<2"})
    production.pins = [Pin(name, "==1", (), "", frozenset(), "") for name in "abc"]
    if held is None:
        del production.conda["d"]
    resolver: Any = Excluding(production, excluding)
    assert twins.settle(resolver, {"d<2", "e<2"}) == held
    assert set(production.left_out) == lost


def test_packages_after_the_first_few_are_tried_in_the_next_round() -> None:
    names = [f"p{number}<1" for number in range(9)]
    production = Production("x", "", unpinned=[*names], conda={name: name for name in names})
    resolver: Any = Excluding(production, ["p8<1"])
    possible: set[str] = set()
    refusal = Attempt("", " ".join(f"p{number}" for number in range(9)))
    assert not twins.leave_out_impossible(resolver, refusal, possible)
    assert twins.leave_out_impossible(resolver, refusal, possible)
    assert list(production.left_out) == ["p8<1 (conda)"]


def test_conda_packages_of_one_project_become_one_requirement(read_environment: Read) -> None:
    found = read_environment("dask>=2024\ndask-core=2024.5.0\nopencv>=4\npy-opencv<5")
    assert list(map(str, found.pins)) == ["dask==2024.5.0"]
    assert found.unpinned == ["opencv-python<5,>=4"]
    assert found.pins[0].where.endswith("environment.yml:3")


PLACES = ["chan/linux-64/churn-1.0-0.conda", "noarch/churn-1.0-0.conda", "chan/odd.zip"]


def test_a_private_channel_is_named_unless_it_is_a_mirror(read_environment: Read) -> None:
    found = read_environment("six=1.16.0\nhttps://u:secret@conda.example/t/tk-secret/mycorp::numpy=1.26.4")
    assert list(found.left_out) == ["mycorp::numpy=1.26.4 (conda)"]
    assert not read_environment("mycorp::python=3.11\nmycorp::numpy=1.26.4").left_out


@pytest.mark.parametrize(
    "channel", ["conda-forge/label/x", "conda-forge/linux-64", "https://u:p@conda.example/t/tk/main/label/x/noarch"]
)
def test_a_channel_is_known_by_its_name_without_label_and_platform(read_environment: Read, channel: str) -> None:
    assert list(map(str, read_environment(f"{channel}::six=1.16.0=py_0").pins)) == ["six==1.16.0"]


def test_the_url_of_an_archive_never_shows_its_login_or_token(read_environment: Read) -> None:
    urls = [f"https://{login}conda.example/t/tk-secret/{place}" for login in ("", "u:tk-secret@") for place in PLACES]
    found = read_environment("\n".join(["six=1.16.0", *urls]))
    own = ["chan::churn=1.0 (conda)", "conda.example::churn=1.0 (conda)"]
    assert sorted(found.left_out) == [*own, "odd.zip (its own code)"]
    assert "tk-secret" not in repr(found)


def test_entries_for_other_systems_are_left_out(read_environment: Read) -> None:
    found = read_environment("six=1.16.0  # [linux]\npywin32=306.0.0  # [win]\nappnope  # [osx]")
    assert [str(pin) for pin in found.pins] == ["six==1.16.0"]
    assert list(found.left_out) == ["pywin32=306.0.0 (conda, not for Linux)", "appnope (conda, not for Linux)"]


def test_an_environment_for_another_python_is_refused(read_environment: Read) -> None:
    with pytest.raises(
        RequirementsError, match=r"is for Python ==3\.12\.\*, not 3\.11; set python_version to production's Python"
    ):
        read_environment("python=3.12.1=hab00c5b_1_cpython\nsix=1.16.0=py_0")


REFUSED = {
    "conda-lock's file for a Mac": ("x", CONDA_LOCK.replace("linux-64", "osx-64"), "x: has no packages for linux-64;"),
    "pixi's lock for a Mac": ("x", PIXI.replace("linux-64", "osx-64"), "for linux-64 in the environment default; make"),
    "not a package": ("x", "dependencies:\n- =1\n", "x:2: invalid conda package '=1'"),
    "too many words": (
        "x",
        "dependencies:\n- https://conda.example/t/tk/main::foo bar baz\n",
        "x:2: invalid conda package 'foo bar baz'",
    ),
    "a row that is none": ("x", TABLE + "numpy==1.26.4\n", "x:9: invalid conda package 'numpy==1.26.4'"),
}


@pytest.mark.parametrize(("name", "text", "message"), REFUSED.values(), ids=REFUSED)
def test_it_refuses(name: str, text: str, message: str) -> None:
    with pytest.raises(RequirementsError) as caught:
        as_requirements(text, name)
    assert message in caught.value.problems[0]


@pytest.mark.parametrize("text", ["pass=31415926\n", "redis=6379\npass=hunter2\n", "six==1.16.0\na=1.0=x\n"])
def test_a_settings_file_is_not_taken_for_a_conda_list(text: str) -> None:
    assert as_requirements(text, "requirements.txt").text == text


ENVIRONMENT = """\
dependencies:
- python=3.11
- mkl=2023.1
- _libgcc_mutex=0.1
- r-base
- numpy<2
- pytorch=1.0.9
- opencv=4.8.1
- withdrawn=1.0.0
- scipy=1.9.9
- pysam
- fiona=1.9.0
- attrs=23.1.0
- needy=1.0.0
- other=2.0.0
- pip:
  - six==1.16.0
"""
SUMMARY = """\
Conflict:   needy==1.0.0 and other==2.0.0: locked as production runs them
Conda:      4 of 13 packages pinned to conda's version, 1 bounded or open as in production, \
3 not on the package index: mkl, r-base, _libgcc_mutex
Different:  opencv=4.8.1 (conda) in production, opencv-python==4.8.1.78 here
Different:  pytorch=1.0.9 (conda) in production, torch==1.0.1 here
Not here:   fiona=1.9.0, pysam, scipy=1.9.9 (conda): not installable from the package index on this Python
"""


def test_condas_versions_hold_and_those_that_the_index_lacks_are_named(
    pin: Callable[..., Any], offline: PackageIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = {**names(), "withdrawn": "withdrawn", "needy": "needy", "other": "other"}
    monkeypatch.setattr(conda_names, "names", lambda: known)
    offline.add("numpy", "1.26.4", "2.5")
    offline.add("torch", "1.0.1")
    offline.add("attrs", "23.1.0", requires=("py ; implementation_name === 'pypy'",))
    offline.add("six", "1.16.0", requires=("torch",))
    offline.add("opencv-python", "4.8.0.76", "4.8.1.78", "4.9.0.80")
    offline.add("withdrawn", "1.0.0", yanked="broken")
    offline.add("withdrawn", "0.9")
    offline.add("scipy", "1.9.9", tag="cp39-cp39-manylinux_2_17_x86_64")
    offline.add_source("pysam", "0.22", said="no htslib")
    offline.add_source("fiona", "1.9.0", said="no gdal-config")
    offline.add("other", "1.0.0", "2.0.0")
    offline.add("needy", "1.0.0", requires=("other<2",))
    generated = pin("-r environment.yml\n", beside={"environment.yml": ENVIRONMENT})
    versions = {
        "numpy": "1.26.4",
        "withdrawn": "1.0.0",
        "opencv-python": "4.8.1.78",
        "needy": "1.0.0",
        "attrs": "23.1.0",
    }
    assert versions.items() <= generated.locked.items()
    assert generated.locked.keys().isdisjoint({"mkl", "r-base", "scipy", "pysam", "fiona"})
    kinds = ("Conflict:", "Conda:", "Different:", "Not here:")
    assert [line for line in generated.stdout.splitlines() if line.startswith(kinds)] == SUMMARY.splitlines()
    text = generated.read("production.txt")
    assert "opencv-python==4.8.1.*\n" in text
    assert re.search("^Open:       2 may", generated.stdout, re.MULTILINE)
    assert "#   pytorch=1.0.9 (conda)\n" in text


def test_a_conda_package_is_left_out_only_if_its_own_build_fails(read_environment: Read, tmp_path: Path) -> None:
    production = read_environment("attrs=23.1.0\npip: [ours==1.0]")
    twin = next(pin for pin in production.pins if pin.name == "attrs")
    resolver = Resolver(tmp_path, production, set(), Target("3.11"))
    resolver.building.undescribed[twin] = "has invalid metadata"
    assert resolver._learn(Failure("ours", "does not build here", ""), resolver.target)
    assert twin in resolver.building.undescribed


def test_a_bound_of_conda_overrides_a_package_of_the_analysis(pin: Callable[..., Any], offline: PackageIndex) -> None:
    offline.add("pandas", "1.0", "2.2")
    generated = pin("-r e.yml\n", beside={"e.yml": "dependencies: [pandas<1.1]\n"})
    assert generated.locked["pandas"] == "1.0"
    assert "Older:      pandas>=1.1: " in generated.stdout


def test_a_bound_that_pip_broke_in_production_is_named(pin: Callable[..., Any], offline: PackageIndex) -> None:
    offline.add("numpy", "1.26.4")
    offline.add("scipy", "1.15.0", requires=("numpy>=2",))
    generated = pin("-r e.yml\n", beside={"e.yml": "dependencies: [numpy<2, pip: [scipy==1.15.0]]\n"})
    assert generated.locked["numpy"] == "9999.1"
    assert "Different:  numpy<2 (conda) in production, numpy==9999.1 here" in generated.stdout


def test_three_packages_that_conflict_through_an_extra_are_locked(
    pin: Callable[..., Any], offline: PackageIndex
) -> None:
    offline.add("tinycss2", "1.4.0", "1.5.0")
    offline.add("bleach", "6.3.0", requires=("tinycss2<1.5 ; extra == 'css'",))
    offline.add("nbconvert", "7.16.0", requires=("bleach[css]>5",))
    together = "dependencies: [python=3.11.9, tinycss2=1.5.0, bleach=6.3.0, nbconvert=7.16.0]\n"
    generated = pin("-r e.yml\n", beside={"e.yml": together})
    assert generated.stdout.startswith("Production: 3 of 3 pins kept exactly")
    assert ": locked as production runs them" in generated.stdout


def test_a_conda_package_with_a_missing_dependency_is_left_out(pin: Callable[..., Any], offline: PackageIndex) -> None:
    offline.add("pyqt5", "5.9.2", requires=("sip<4.20",))
    offline.add("six", "1.16.0")
    generated = pin("-r e.yml\n", beside={"e.yml": "dependencies: [pyqt=5.9.2, six=1.16.0]\n"})
    assert generated.locked["six"] == "1.16.0"
    assert "Not here:   pyqt=5.9.2 (conda): not installable from the package index" in generated.stdout
