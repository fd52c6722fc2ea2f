from __future__ import annotations

import re
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from conftest import TEMPLATE, Generated, Write
from offers import DEBIAN, PYTHON, needs
from package_index import PackageIndex
from pages import cells
from rendering import Renderer

from ds_docker_env.common import uv
from ds_docker_env.common.services import SERVICES
from ds_docker_env.common.shipped import only, shipped_files
from ds_docker_env.common.target import AMD64, ARM64, Target
from ds_docker_env.pinning.processors import merge

Bake = Callable[..., Generated]


def names(lock: str) -> set[str]:
    return {line.partition("==")[0] for line in lock.splitlines() if "==" in line and line[0].isalnum()}


def beside_the_notebook(generated: Generated) -> list[str]:
    assert generated.exit_code == 0, generated.stderr
    services = yaml.safe_load(generated.read("docker-compose.yml"))["services"]
    return [name for name in services if name not in ("jupyter", "passwords", "setup", "writer")]


@needs("mysql", "redis")
def test_services_are_named_in_any_order_and_spacing(bake: Bake) -> None:
    assert beside_the_notebook(bake(services=" MySQL,redis ,, redis")) == ["redis", "mysql"]


def test_an_unknown_service_is_refused_with_the_available_ones(bake: Bake) -> None:
    generated = bake(services=f"{', '.join(SERVICES)}, unknown, other", project_slug="..")
    assert generated.exit_code != 0
    assert "services: unknown service: 'unknown', 'other'; choose from " in generated.stderr
    assert ", ".join(SERVICES) in generated.stderr
    assert "project_slug: '..'" in generated.stderr


@needs("postgres")
def test_the_readme_links_to_the_cells_of_the_chosen_services_only() -> None:
    readme = Renderer()("README.md", services="postgres")
    [link] = re.findall(r"\[(\w+)\]\(\S+/docs/how-to/connect-services\.md#postgresql\)", readme)
    assert "psycopg.connect(" in cells()[link]
    for other in ("redis", "sqlite", "mysql", "h2o", "dask"):
        assert other not in readme.lower(), other


def test_every_service_has_a_cell_that_connects() -> None:
    named = {heading.lower() for heading in cells()}
    missing = [name for name in SERVICES if not any(heading.startswith(name) for heading in named)]
    assert not missing, f"docs/how-to/connect-services.md: no cell for {missing}"


@pytest.mark.parametrize("name", SERVICES)
def test_the_readme_links_to_the_cell_of_every_service(name: str) -> None:
    missing = f"README.md of the template's directory: no row for {name}"
    assert f"/connect-services.md#{name}" in Renderer()("README.md", services=name), missing


@needs("mysql", "postgres", "h2o")
def test_a_service_has_a_private_random_password_that_stays(bake: Bake) -> None:
    names = ("mysql", "postgres", "h2o")
    first, second = bake(services=",".join(names)), bake(services=",".join(names))
    files = [one.project / ".secrets" / f"{name}_password" for one in (first, second) for name in names]
    # A database would take a \r for a part of the password.
    assert all(re.fullmatch(rb"[\w-]+\n", file.read_bytes()) for file in files)
    passwords = [file.read_text().strip() for file in files]
    assert len(set(passwords)) == 6
    assert min(map(len, passwords)) >= 32
    assert not any(password in first.stdout + second.stdout for password in passwords)


def test_a_lock_cut_to_some_files_equals_uvs_lock_of_them(offline: PackageIndex, tmp_path: Path) -> None:
    alone = "f ; platform_machine == 'aarch64'"
    needs = {"a": ("shared", "b"), "b": ("a",), "c": ("shared", "d", alone), "d": (), "e": ("d",), "f": ()}
    for name, requires in needs.items():
        offline.add(name, "1.0", requires=requires)
    offline.add("shared", "1.0")
    offline.add("shared", "2.0", tag="py3-none-manylinux_2_17_aarch64")
    wanted = {"requirements.in": "a\n", "requirements-c.in": "c\na\n", "requirements-e.in": "e\n"}

    def lock_for(machine: str, *names: str) -> str:
        command = ["pip", "compile", "--quiet", "--no-header", "--generate-hashes", *names]
        command += ["--python-platform", Target(PYTHON, machine).platform]
        return subprocess.run([*uv.find(), *command], cwd=tmp_path, check=True, capture_output=True, text=True).stdout

    def lock(*names: str) -> str:
        return merge(lock_for(AMD64, *names), lock_for(ARM64, *names))

    for name, text in wanted.items():
        (tmp_path / name).write_text(text)
    together = "# uv made this\n" + lock(*wanted)
    for chosen in (["requirements-c.in"], ["requirements-e.in"], ["requirements-c.in", "requirements-e.in"]):
        names = ["requirements.in", *chosen]
        (tmp_path / "requirements.in").write_text("".join(wanted[name] for name in names))
        assert only(together, names) == "# uv made this\n" + lock("requirements.in")


@needs("redis", "dask")
def test_a_lock_for_a_service_has_only_the_packages_that_it_needs() -> None:
    plain, redis, dask = (
        names(shipped_files(PYTHON, DEBIAN, options)["requirements.txt"]) for options in ((), ["redis"], ["dask"])
    )
    assert redis - plain == {"redis"}
    assert {"dask", "distributed", "bokeh", "pyarrow"} <= dask
    assert "redis" not in dask


@needs("sqlite", "dask")
def test_tools_of_a_service_are_locked_with_the_tools() -> None:
    plain, sqlite, dask = (
        shipped_files(PYTHON, DEBIAN, options)["tools.txt"] for options in ((), ["sqlite"], ["dask"])
    )
    assert {"datasette", "jupyter-server-proxy"} <= names(sqlite) - names(plain)
    assert "jupyter-server-proxy" in names(dask) - names(plain)
    assert not {"dvc", "datasette"} & names(dask)
    assert names(plain) < names(sqlite) and names(plain) < names(dask)


@needs("dask")
def test_the_certificate_of_dask_is_made_later_in_a_private_file(bake: Bake) -> None:
    secret = bake(services="dask").project / ".secrets" / "dask.pem"
    assert secret.read_bytes() == b""
    assert sys.platform == "win32" or stat.S_IMODE(secret.stat().st_mode) == 0o600


@needs("redis")
def test_productions_version_of_a_client_wins_below_the_lower_bound(
    bake: Bake, offline: PackageIndex, write: Write
) -> None:
    offline.add("redis", "1.0")
    offline.add("redis", "9.9.9")
    generated = bake(services="redis", production_requirements=write("redis==1.0\n"))
    assert generated.locked["redis"] == "1.0"
    assert "\nredis\n" in generated.read("requirements.in")
    generated.lock_again()
    assert generated.locked["redis"] == "1.0"


@needs("redis")
def test_a_service_whose_client_cannot_live_beside_production_stops_generation(
    bake: Bake, offline: PackageIndex, write: Write
) -> None:
    offline.add("redis", "9.9.9", requires=("six>=2",))
    offline.add("six", "1.17.0")
    offline.add("six", "2.0.0")
    generated = bake(services="redis", production_requirements=write("six==1.17.0\n"))
    assert generated.exit_code != 0
    assert not generated.project.exists()
    assert "services: redis needs redis>=2.10: conflicts with" in generated.stderr
    assert "production's six==1.17.0" in generated.stderr


@pytest.mark.network
@pytest.mark.parametrize("services", [*SERVICES, ", ".join(SERVICES)])
def test_locking_again_moves_nothing(bake: Bake, services: str) -> None:
    generated = bake(services=services)
    before = generated.read("requirements.txt")
    generated.lock_again()
    assert generated.read("requirements.txt").partition("\nai")[2] == before.partition("\nai")[2] != ""


def test_every_option_has_its_packages_in_a_file_of_its_name() -> None:
    options = {*SERVICES, "dvc"}
    files = {path.name: path.stem.partition("-")[2] for path in (TEMPLATE / "locks").glob("*-*.in")}
    assert sorted(name for name, option in files.items() if option not in options) == []
    assert set(files.values()) == options
    # A requirements.in is compared by these comments with the template's.
    first = [(TEMPLATE / "locks" / name).read_text().partition("\n")[0] for name in files]
    uncommented = [name for name, line in zip(files, first, strict=True) if not line.startswith("# ")]
    assert not uncommented, f"begin with a comment of their own: {uncommented}"
