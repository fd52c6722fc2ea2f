"""Sources are built once, although the cache headers of the index forbid uv to keep them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Pin, Read
from offers import PYTHON
from package_index import PackageIndex
from small_image import Image

from ds_docker_env.common.target import Target
from ds_docker_env.image import lock
from ds_docker_env.pinning import indexes
from ds_docker_env.pinning.builds import Building
from ds_docker_env.pinning.resolver import Resolver

# Counts the requests for the dependencies of the source.
BACKEND = """\
import os
def prepare_metadata_for_build_wheel(folder, settings=None):
    open({built!r}, "a").write("x")
    os.mkdir(os.path.join(folder, "{name}-1.0.dist-info"))
    with open(os.path.join(folder, "{name}-1.0.dist-info", "METADATA"), "w") as file:
        file.write("Metadata-Version: 2.1\\nName: {name}\\nVersion: 1.0\\n")
    return "{name}-1.0.dist-info"
def build_wheel(*arguments):
    raise SystemExit("not built by a test")
"""


@pytest.fixture
def counted(tmp_path: Path) -> Callable[[PackageIndex, str], Callable[[], int]]:
    """Offer a source on an index, and return how often it was built."""

    def _counted(index: PackageIndex, name: str) -> Callable[[], int]:
        built = tmp_path / f"{name}-built"
        index.add_source(name, "1.0", backend=BACKEND.format(name=name, built=str(built)))
        return lambda: len(built.read_text()) if built.exists() else 0

    return _counted


def test_each_source_is_built_once_in_two_generations(
    pin: Pin, offline: PackageIndex, counted: Callable[[PackageIndex, str], Callable[[], int]]
) -> None:
    builds = [counted(offline, name) for name in ("slow", "slower")]
    offline.add("fsspec", "0.9", "9.0")
    offline.add("s3fs", "2021.4", "9999.1", requires=("fsspec>=1",))
    for _ in range(2):
        generated = pin("slow==1.0\nslower==1.0\nfsspec==0.9\n")
        assert generated.locked["slow"] == generated.locked["slower"] == "1.0"
        assert "s3fs" not in generated.locked
        assert [count() for count in builds] == [1, 1]
        shutil.rmtree(generated.project)


LOGIN, ENCODED = "ana:p@ss/word", "ana:p%40ss%2Fword"


@pytest.mark.parametrize(
    ("variables", "user", "project", "production"),
    [
        ({"UV_DEFAULT_INDEX": "URL"}, "", "", ""),
        ({"UV_INDEX_URL": "URL"}, "", "", ""),
        ({"UV_INDEX": "team=URL OTHER"}, "", "", ""),
        ({"UV_EXTRA_INDEX_URL": "OTHER URL"}, "", "", ""),
        ({}, '[[index]]\nname = "team"\nurl = "URL"\ndefault = true\n', "", ""),
        ({}, 'index-url = "URL"\n', "", ""),
        ({}, '[pip]\nextra-index-url = ["URL"]\n', "", ""),
        ({}, "", '# Ours.\n[[index]]\nurl = "PLAIN"\n[pip]\nno-deps = false\n', ""),
        ({}, "", 'index-url = "PLAIN"', ""),
        ({}, "", "", "--index-url PLAIN"),
        ({}, "", "", "--extra-index-url PLAIN"),
    ],
)
def test_a_login_works_for_every_way_to_name_an_index(
    tmp_path: Path,
    offline: PackageIndex,
    monkeypatch: pytest.MonkeyPatch,
    read: Read,
    counted: Callable[[PackageIndex, str], Callable[[], int]],
    variables: dict[str, str],
    user: str,
    project: str,
    production: str,
) -> None:
    monkeypatch.delenv("UV_DEFAULT_INDEX")
    netrc = tmp_path / "netrc"
    netrc.write_text(f"machine 127.0.0.1 login ana password {LOGIN.partition(':')[2]}\n")
    with PackageIndex(tmp_path / "own", LOGIN) as own:
        builds = counted(own, "slow")

        def named(text: str) -> str:
            url = own.url.replace("://", f"://{ENCODED}@")
            return text.replace("URL", url).replace("PLAIN", own.url).replace("OTHER", offline.url)

        for variable, text in variables.items():
            monkeypatch.setenv(variable, named(text))
        if not variables and not user:
            monkeypatch.setenv("NETRC", str(netrc))
        (tmp_path / "no-config" / "uv").mkdir(parents=True)
        (tmp_path / "no-config" / "uv" / "uv.toml").write_text(named(user))
        for number in range(2):
            folder = tmp_path / str(number)
            folder.mkdir()
            file = f"{named(production)}\nslow==1.0\n".encode()
            resolver = Resolver(folder, read(file), set(), Target(PYTHON))
            resolver.building = Building(named(project))
            attempt = resolver.resolve([])
            assert "\nslow==1.0 " in attempt.text, attempt.stderr
            assert "p%40ss" not in (folder / "uv.toml").read_text()
            assert "p@ss" not in (folder / "uv.toml").read_text()
        assert builds() == 1


def test_a_users_settings_for_an_index_stay_in_effect(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(indexes, "settings_of_uv", lambda: iter([]))
    for own in (
        '[[index]]\nurl = "https://packages.example.com/simple"\ncache-control = { files = "no-cache" }\n',
        '[[index]]\nurl = "https://packages.example.com/simple"\nauthenticate = "always"\n',
    ):
        kept = indexes.keep(own)
        assert kept.settings.count("packages.example.com") == 1
        assert kept.settings.endswith(own)
    inline = 'index = [{ url = "https://packages.example.com/simple" }]\n'
    assert indexes.keep(inline).settings == inline


def test_only_pages_of_pypi_are_cached(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("UV_DEFAULT_INDEX", "https://packages.example.com/simple")
    kept = indexes.keep("").settings
    company, public = (part for part in kept.split("[[index]]") if "url" in part)
    assert "api" not in company
    assert 'url = "https://pypi.org/simple"' in public
    assert "max-age=600" in public


def test_a_token_or_a_directory_stays_in_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    for value in ("https://packages.example.com/simple?token=canary", "./wheels https://packages.example.com/simple"):
        monkeypatch.setenv("UV_INDEX", value)
        kept = indexes.keep("")
        assert "UV_INDEX" not in kept.environment
        assert "packages.example.com" not in kept.settings


def test_lock_builds_a_source_once_in_all_its_runs(
    image: Image, counted: Callable[[PackageIndex, str], Callable[[], int]]
) -> None:
    builds = counted(image.index, "slow")
    (image.project / "production.txt").write_text("prod==1.0\nslow==1.0\n")
    for _ in range(2):
        assert lock.run([]) == 0
        assert "\nslow==1.0 " in image.read("requirements.txt")
        assert builds() == 1
        assert not (image.project / "uv.toml").exists()
