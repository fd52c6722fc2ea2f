from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from ds_docker_env.common.target import Target
from ds_docker_env.image.comparison import Comparison, Document, compare_places
from ds_docker_env.image.installed import Installed, read_installed
from ds_docker_env.image.verdict import advice, table, verdict
from ds_docker_env.pinning.parity import Locked
from ds_docker_env.pinning.production.reader import read_production

LINUX = Target("3.11")
HASH = "--hash=sha256:" + "a" * 64
Compare = Callable[..., Comparison]


@pytest.fixture
def compare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Compare:
    """Compare production.txt, requirements.txt, the installed packages (as in ``pip freeze``) and a source."""
    monkeypatch.chdir(tmp_path)

    def _document(name: str, text: str) -> Document:
        Path(name).write_text(text, encoding="utf-8")
        return Document(text, read_production(name, LINUX))

    def _compare(production: str, lock: str, image: str, source: str = "", constraints: str = "") -> Comparison:
        Path("constraints.txt").write_text(constraints, encoding="utf-8")
        packages = {name: Locked(version, None) for name, version in (line.split("==") for line in image.split())}
        now = _document("source.txt", source).says if source else None
        return compare_places(
            _document("production.txt", production),
            _document("requirements.txt", lock),
            Installed(LINUX, packages),
            now,
        )

    return _compare


EQUAL = {
    "spelt alike": ("a==1.0\n", "a==1.0\n", "a==1.0", "a==1.0\n"),
    "spelt in another way": ("A_b==2023.03\n", "a-b==2023.3\n", "a-b==2023.3.0", "a.B==2023.03\n"),
    "with packages of the analysis": ("a==1\n", "a==1\nb==2\n", "a==1 b==2", "a==1\n"),
    "with a pin for Windows": ("a==1\nw==1 ; sys_platform == 'win32'\n", "a==1\n", "a==1", "a==1\nw==1\n"),
    "with an open entry": ("a==1\nb>=1\n", "a==1\nb==3\n", "a==1 b==3", "b>=1\na==1  # a comment\n"),
    "with an address that was left out": (
        "a==1\n\n# Not taken over, because it is not from an index:\n#   b @ https://host.example/b.whl\n",
        *("a==1\n", "a==1", "a==1\nb @ https://host.example/b.whl\n"),
    ),
    "with a pin of the operating system that was left out": (
        "a==1\n\n# Not taken over, because it is not from an index:\n#   ufw==0.36 (of the operating system)\n",
        *("a==1\n", "a==1", "a==1\nufw==0.36\n"),
    ),
    "with a local version that production leaves open": ("a==1\n", "a==1+cpu\n", "a==1+cpu", "a==1\n"),
    "with a package of conda that was left out": (
        "a==1\n\n# Not taken over, because it is not from an index:\n#   pytorch=1.0.9 (conda)\n#   mkl=1 (conda)\n",
        *("a==1\ntorch==2\n", "a==1 torch==2", "dependencies:\n- pytorch=1.0.9\n- mkl=1\n- pip: [a==1]\n"),
    ),
    "with a package of conda in a version near to conda's": (
        "a==1\nopencv-python==4.8.1.*\n# Not taken over:\n#   opencv=4.8.1 (conda)\n",
        *("a==1\nopencv-python==4.8.1.78\n", "a==1 opencv-python==4.8.1.78"),
        "dependencies:\n- opencv=4.8.1\n- pip: [a==1]\n",
    ),
    "with its hash": ("a==1\n", f"a==1 {HASH}\n", "a==1", f"a==1 {HASH}\n"),
}


@pytest.mark.parametrize(("production", "lock", "image", "source"), EQUAL.values(), ids=EQUAL)
def test_all_places_are_equal(compare: Compare, production: str, lock: str, image: str, source: str) -> None:
    found = compare(production, lock, image, source)
    assert found.rows == ()
    assert advice(found, "source.txt") == []
    assert verdict(found, "source.txt").startswith("1 of 1 versions of production.txt are installed")


LOCK = "a==1\n    # via -r production.txt\nb==2\n    # via\n    #   -r production.txt\n    #   a\nc==3\n    # via b\n"
DIFFERENT = {
    "another version in the image": ("a==1\n", "a==1\n", "a==2", "", "stale", "a - 1 1 2"),
    "a package that is not in the image": ("a==1\n", "a==1\nb==1\n", "a==1", "", "stale", "b - - 1 -"),
    "a package more in the image": ("a==1\n", "a==1\n", "a==1 b==1", "", "stale", "b - - - 1"),
    "another local version in the image": ("a==1\n", "a==1\n", "a==1+cpu", "", "stale", "a - 1 1 1+cpu"),
    "another version in production.txt": ("a==2\n", "a==1\n", "a==1", "", "unlocked", "a - 2 1 1"),
    "a pin more in production.txt": ("a==1\nb==1\n", "a==1\n", "a==1", "", "unlocked", "b - 1 - -"),
    "a pin deleted from production.txt": ("a==1\n", LOCK, "a==1 b==2 c==3", "", "unlocked", "b - - 2 2"),
    "another version in the source": ("a==1\n", "a==1\n", "a==1", "a==2\n", "moved", "a 2 1 1 1"),
    "a pin more in the source": ("a==1\n", "a==1\n", "a==1", "a==1\nb==1\n", "moved", "b 1 - - -"),
    "a pin less in the source": ("a==1\nb==1\n", "a==1\nb==1\n", "a==1 b==1", "a==1\n", "moved", "b - 1 1 1"),
    "an open entry that is pinned": ("b>=1\n", "b==2\n", "b==2", "b==3\n", "moved", "b 3 >=1 2 2"),
    "an extra more": ("a==1\n", "a==1\n", "a==1", "a[x]==1\n", "moved", "a 1 [x] 1 1 1"),
    "another download": (
        "a @ https://host.example/a.whl\n",
        f"a @ https://host.example/a.whl {HASH}\n",
        *("a==1", f"a @ https://host.example/a.whl {HASH.replace('a' * 64, 'b' * 64)}\n", "moved"),
        *("a https://host.example/a.whl, different hash https://host.example/a.whl from its URL 1",),
    ),
    "another hash": (
        *("a==1\n", f"a==1 {HASH}\n", "a==1", f"a==1 {HASH.replace('a' * 64, 'b' * 64)}\n"),
        *("moved", "a 1, different hash 1 1 1"),
    ),
}


@pytest.mark.parametrize(("production", "lock", "image", "source", "kind", "row"), DIFFERENT.values(), ids=DIFFERENT)
def test_the_table_shows(
    compare: Compare, production: str, lock: str, image: str, source: str, kind: str, row: str
) -> None:
    found = compare(production, lock, image, source)
    [shown] = [
        " ".join(text or "-" for text in (each.package, each.source, each.production, each.lock, each.image))
        for each in found.rows
    ]
    assert shown == row
    assert [name for name in ("moved", "unlocked", "stale") if getattr(found, name)] == [kind]


def test_a_constraint_counts_if_its_package_is_installed(compare: Compare) -> None:
    production = "-c constraints.txt\na==1\n"
    found = compare(production, "a==1\nb==3\n", "a==1 b==3", constraints="b==2\nc==1\nd<2\n")
    assert [(row.package, row.production, row.lock) for row in found.rows] == [("b", "2", "3")]
    assert verdict(found, "") == "1 of 2 versions of production.txt are installed"


def test_the_table_is_whole_when_it_is_piped(compare: Compare, capsys: pytest.CaptureFixture[str]) -> None:
    version = "1.0+" + "local." * 30 + "1"
    found = compare(f"a==1.0\n{'long-' * 20}name==2\n", f"a==1.0\n{'long-' * 20}name=={version}\n", "a==1.0")
    lines = table(found, "").splitlines()
    assert lines[0].split() == ["package", "production.txt", "requirements.txt", "installed"]
    assert [line.split() for line in lines[1:]] == [[f"{'long-' * 20}name", "2", version, "-"]]


def test_installed_packages_are_read_from_the_environment_itself(tmp_path: Path) -> None:
    site = tmp_path / "lib" / "python3.11" / "site-packages"
    for name, text in {"Some_Thing-1.0": "Name: Some_Thing\nVersion: 1.0\n", "broken-1": ""}.items():
        (site / f"{name}.dist-info").mkdir(parents=True)
        (site / f"{name}.dist-info" / "METADATA").write_text(text)
    installed = read_installed(tmp_path)
    assert installed.target == LINUX
    assert installed.packages == {"some-thing": Locked("1.0", None)}
