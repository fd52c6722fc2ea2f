"""The wall: the imports that the modules of each wing may have, read from their source."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest
from offers import TEMPLATE

from ds_docker_env.common.analysis import package_name
from ds_docker_env.generation.wheel import REQUIRES

# Installed with every supported cookiecutter, from 2.2.0 on; urllib3 comes with requests.
COOKIECUTTERS = {"click", "cookiecutter", "jinja2", "requests", "rich", "urllib3", "yaml"}
LIBRARIES = {"packaging", "pip_requirements_parser", "psutil", "tomli", "tomllib"}
REPORTS = {"jinja2", "jupyter_core", "latex2mathml", "nbclient", "nbconvert", "nbformat", "papermill"}
BILLS = {"cyclonedx", "packageurl"}
# Newer than Python 3.10.
NOT_EVERYWHERE = {"tomllib"}
STANDARD = sys.stdlib_module_names - NOT_EVERYWHERE
WINGS = {
    "common": STANDARD | COOKIECUTTERS,
    "generation": STANDARD | COOKIECUTTERS | {"common"},
    "pinning": STANDARD | LIBRARIES | {"yaml", "common"},
    "image": STANDARD | LIBRARIES | REPORTS | BILLS | {"jupyter_client", "jupyter_server", "rich", "common", "pinning"},
    # The entry points for cookiecutter, beside the package.
    "local_extensions": STANDARD | COOKIECUTTERS | {"common", "generation"},
    "hooks": STANDARD | {"generation"},
}
PACKAGE = TEMPLATE / "ds_docker_env"
BUILD = ("ds_docker_env.image.build", "ds_docker_env.common.debian")
FILES = PACKAGE / "image" / "files"
MODULES = {
    ".".join(path.relative_to(TEMPLATE).with_suffix("").parts).removesuffix(".__init__"): path
    for path in [TEMPLATE / "local_extensions.py", *(TEMPLATE / "hooks").glob("*.py"), *PACKAGE.rglob("*.py")]
    # Copied into the image, for Jupyter and IPython.
    if FILES not in path.parents
}


@cache
def imported(module: str) -> frozenset[str]:
    """Return the imports of a module, at its top and in its functions: our modules by their full name."""
    return frozenset(_imported(module))


def _imported(module: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(MODULES[module].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0 and node.module, f"{module} imports by a relative name"
            inside = {f"{node.module}.{alias.name}" for alias in node.names}
            yield from (inside & MODULES.keys()) or {node.module}


def wing(module: str) -> str:
    """Return the wing of our module, or the top package of a library."""
    first, _, rest = module.partition(".")
    return rest.partition(".")[0] if first == PACKAGE.name else first


def room(module: str) -> Path:
    """Return the folder of a module."""
    return MODULES[module].parent.relative_to(TEMPLATE)


def floors(graph: dict[Path, set[Path]]) -> dict[Path, int]:
    """Return the floor of each room: one above the highest of those that it imports from."""
    found: dict[Path, int] = {}
    for each in TopologicalSorter(graph).static_order():
        found[each] = 1 + max((found[below] for below in graph[each]), default=0)
    return found


@pytest.mark.parametrize("name", WINGS)
def test_a_wing_imports_only_libraries_of_its_interpreter(name: str) -> None:
    members = [module for module in MODULES if wing(module) == name]
    assert members
    stray = {
        (module, other) for module in members for other in imported(module) if wing(other) not in {name, *WINGS[name]}
    }
    assert stray == set()


def test_every_module_is_in_a_wing() -> None:
    assert {wing(module) for module in MODULES} - {""} == WINGS.keys()


def test_image_build_steps_import_only_the_standard_library_each_other_and_debians_table() -> None:
    steps = [module for module in MODULES if module.startswith(BUILD)]
    assert len(steps) > 2
    stray = {(step, other) for step in steps for other in imported(step) if wing(other) not in STANDARD}
    assert {(step, other) for step, other in stray if not other.startswith(BUILD)} == set()


def test_one_module_imports_requests_and_one_imports_cookiecutter() -> None:
    def users(*libraries: str) -> set[str]:
        return {module for module in MODULES if {wing(other) for other in imported(module)} & {*libraries}}

    assert users("requests", "urllib3") == {"ds_docker_env.common.sources.web"}
    assert users("click", "cookiecutter", "cruft") == {"ds_docker_env.generation.rendering"}


def test_the_wheel_requires_every_library_that_its_modules_import_and_the_tools_install_them() -> None:
    import_names = {"cyclonedx-python-lib": "cyclonedx", "packageurl-python": "packageurl", "pyyaml": "yaml"}
    tools = (TEMPLATE / "locks" / "tools.in").read_text(encoding="utf-8").splitlines()
    assert set(REQUIRES) <= {package_name(line) for line in tools}
    packed = [module for module in MODULES if wing(module) in ("common", "pinning", "image")]
    libraries = {wing(other) for module in packed for other in imported(module) - MODULES.keys()}
    # urllib3 is a part of requests, as jupyter_server is of JupyterLab; tomli is for older Pythons than the tools'.
    libraries -= sys.stdlib_module_names | {"urllib3", "jupyter_server", "tomli"}
    assert libraries <= {import_names.get(name, name).replace("-", "_") for name in REQUIRES}


def test_modules_do_not_import_each_other_in_a_circle() -> None:
    graph = {module: imported(module) & MODULES.keys() for module in MODULES}
    assert list(TopologicalSorter(graph).static_order())  # CycleError names the circle


def test_the_code_has_at_most_ten_rooms_on_five_floors() -> None:
    graph: dict[Path, set[Path]] = {room(module): set() for module in MODULES if imported(module)}
    for module in MODULES:
        for other in imported(module) & MODULES.keys():
            graph[room(module)] |= {room(other)} - {room(module)}
    assert len(graph) <= 10, sorted(graph)
    assert max(floors(graph).values()) <= 5, floors(graph)
