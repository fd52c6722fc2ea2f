from __future__ import annotations

import gzip
import sys
from typing import Any

import pytest
from conftest import Generated, Pin, Read
from package_index import PackageIndex

from ds_docker_env.common.errors import GenerationError
from ds_docker_env.common.settings import own_settings
from ds_docker_env.common.target import Target
from ds_docker_env.pinning.builds import Building, Failure

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def uv_toml(generated: Generated) -> dict[str, Any]:
    return tomllib.loads(generated.read("uv.toml"))


def test_a_source_that_does_not_build_on_this_machine_is_built_in_the_image(pin: Pin, offline: PackageIndex) -> None:
    offline.add("numpy", "1.21")
    offline.add("redis", "5.0")
    offline.add_source("ours", "1.0", said="RuntimeError: Python 3.8 is required")
    generated = pin("numpy==1.21\nours==1.0\n")
    assert generated.locked["ours"] == "1.0"
    assert "Production: 2 of 2 pins kept exactly" in generated.stdout
    assert "To build:   ours==1.0 in the image, because it does not build here: RuntimeError:" in generated.stdout
    assert uv_toml(generated) == {
        "dependency-metadata": [{"name": "ours", "version": "1.0", "requires-dist": []}],
    }
    with (generated.project / "requirements.in").open("a") as file:
        file.write("redis\n")
    generated.lock_again()
    assert {"ours": "1.0", "redis": "5.0"}.items() <= generated.locked.items()


def test_an_archive_that_uv_refuses_to_unpack_is_built_in_the_image(pin: Pin, offline: PackageIndex) -> None:
    offline.add_file("ours", "ours-1.0.tar.gz", gzip.compress(b"\0" * 512))
    generated = pin("ours==1.0\n")
    assert generated.locked["ours"] == "1.0"
    assert "To build:   ours==1.0 in the image, because it has an archive that uv cannot unpack: " in generated.stdout


def test_a_source_for_an_old_setuptools_gets_one_here_and_in_the_image(pin: Pin, offline: PackageIndex) -> None:
    offline.add_source("pystache", "0.5.4", said="error in pystache setup command: use_2to3 is invalid.")
    generated = pin("pystache==0.5.4\n")
    assert uv_toml(generated)["build-constraint-dependencies"] == ["setuptools<58"]
    assert "Old source: needs setuptools<58 to build" in generated.stdout


def test_an_undeclared_build_requirement_has_the_version_that_production_pins(pin: Pin, offline: PackageIndex) -> None:
    offline.add("numpy", "1.21")
    offline.add_source("bottleneck", "1.2", said="ModuleNotFoundError: No module named 'numpy'")
    assert uv_toml(pin("bottleneck==1.2\nnumpy==1.21\n"))["extra-build-dependencies"] == {"bottleneck": ["numpy==1.21"]}


def test_a_missing_module_that_production_does_not_pin_stays_missing(pin: Pin, offline: PackageIndex) -> None:
    offline.add("settings", "1.0")
    offline.add_source("ours", "1.0", said="ModuleNotFoundError: No module named 'settings'")
    assert "extra-build-dependencies" not in uv_toml(pin("ours==1.0\n"))


def test_a_wheel_with_invalid_metadata_is_locked(pin: Pin, offline: PackageIndex) -> None:
    offline.add("apache-airflow", "1.10.7", requires=("azure (>=0.0.45azure>=0.5.0)",))
    generated = pin("apache-airflow[celery]==1.10.7\n")
    assert generated.locked["apache-airflow"] == "1.10.7"
    assert "because it has invalid metadata" in generated.stdout
    assert uv_toml(generated)["dependency-metadata"][0]["provides-extra"] == ["celery"]


def test_an_open_package_has_a_version_with_a_wheel_if_its_source_does_not_build(
    pin: Pin, offline: PackageIndex
) -> None:
    offline.add("needed", "1.0")
    offline.add_source("needed", "2.0", said="gcc: command not found")
    offline.add("ours", "1.0", requires=("needed",))
    generated = pin("ours==1.0\n")
    assert generated.locked["needed"] == "1.0"
    assert not (generated.project / "uv.toml").exists()


def test_a_users_settings_in_uv_toml_are_kept() -> None:
    own = '# Ours.\n[[index]]\nurl = "https://public.example/simple"\n'
    both = Building(settings=own, setuptools="setuptools<58").render()
    assert tomllib.loads(both) == tomllib.loads(own) | {"build-constraint-dependencies": ["setuptools<58"]}
    assert own_settings(both) == own_settings(own) == Building(settings=own).render() == own
    assert Building(settings=own_settings(Building(setuptools="setuptools<58").render())).render() == ""


def test_settings_with_a_password_are_refused_without_the_password() -> None:
    with pytest.raises(GenerationError, match=r"uv\.toml: contains a password") as caught:
        own_settings('[[index]]\nurl = "https://me:canary@public.example/simple"\n')
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize("python", ["3.12", "3.13"])
def test_an_old_setuptools_is_not_tried_where_it_does_not_run(read: Read, python: str) -> None:
    pins = read(b"pystache==0.5.4\n").pins
    failure = Failure("pystache", "", "error in pystache setup command: use_2to3 is invalid.")
    assert not Building().learn(failure, pins, Target(python))
