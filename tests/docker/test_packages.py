"""Packages that are added, moved and removed while kernels run, in the containers of a project and of its clone."""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from docker.conftest import PINNED, copied
from docker.kernel import started_kernel
from docker.lab import logged_in
from docker.project import Done, Project, sh

pytestmark = pytest.mark.docker

LOCKS = ("requirements.in", "requirements.txt")
COMMANDS = (
    "add tabulate",
    "cd src && pip install zipp",
    "python -m pip install iniconfig",
    "uv pip install pluggy",
    "uv add sortedcontainers",
)
# Ways in which users and programs write into an environment past the lock.
BY_HAND = {
    "pip with a target": "pip install --target $site ply",
    "uv into the image": "uv pip install --python /opt/analysis ply",
    "uv into the overlay": "uv pip install --python /opt/analysis/bin/python --prefix $overlay ply",
    "a new module in the overlay": "touch $site/ply.py",
    "a new module in the image": "touch /opt/analysis/lib/python3.11/site-packages/ply.py",
    "a new line in a module": "echo 'import os' >>$site/humanize/__init__.py",
    "a module that is removed": "rm $site/humanize/__init__.py",
    "a link that leads elsewhere": "ln -sfn /opt/analysis $overlay/lib",
}
INTERNAL = "networks: {default: {internal: true}}"
READ_ONLY = 'services: {writer: {volumes: [".:/project:ro"]}}'
SMALL_DISK = "services: {jupyter: {volumes: [{type: tmpfs, target: /opt/packages, tmpfs: {size: 2m, mode: 0o1777}}]}}"
ON_HOST = 'services: {jupyter: {volumes: ["../packages:/opt/packages"]}}'


def locks(project: Project) -> dict[str, str]:
    return {name: project.read(name) for name in LOCKS}


def locked(project: Project) -> dict[str, str]:
    """Return the versions of the lock by name."""
    return dict(re.findall(r"^([\w.-]+)(?:\[.*\])?==(\S+)", project.read("requirements.txt"), re.MULTILINE))


def content(folder: Path) -> dict[str, bytes]:
    """Return all files of a project, without git's and the test's."""
    paths = [path for path in folder.rglob("*") if path.is_file() or path.is_symlink()]
    named = {path.relative_to(folder).as_posix(): path for path in paths}
    return {
        name: path.read_bytes()
        for name, path in named.items()
        if not name.startswith(".git/") and name != "docker-compose.override.yml"
    }


def give(project: Project, text: dict[str, str]) -> None:
    """Replace the locks, as `git pull` and `git switch` do."""
    for name, content in text.items():
        (project.folder / name).write_text(content, encoding="utf-8")


def shell(project: Project, command: str, *, check: bool = True) -> Done:
    """Run a command in a terminal of the running notebook."""
    return project.compose("exec", "--no-TTY", "jupyter", "bash", "-c", command, check=check)


@contextmanager
def override(project: Project, text: str) -> Iterator[None]:
    """Change the networks or volumes of a project's containers."""
    file = project.folder / "docker-compose.override.yml"
    file.write_text(text, encoding="utf-8")
    try:
        yield
    finally:
        project.remove()
        file.unlink()


def test_a_cell_adds_packages_and_the_next_cell_imports_them_in_the_same_kernel(
    running: Project, browser: Browser
) -> None:
    with logged_in(browser, running) as lab:
        lab.run_new_cell("import wrapt\nkept = 41")
        added = lab.run_new_cell('%pip install humanize "toolz>=0.12"')
        said = added.locator(".jp-OutputArea-output").inner_text()
        assert re.fullmatch(r"(Adding humanize, toolz.*\n)+New: +humanize \d\S*\nNew: +toolz \d\S*\s*", said)
        imported = lab.run_new_cell("import humanize, toolz\nprint(kept + 1, humanize.intcomma(1234567))")
        expect(imported).to_contain_text("42 1,234,567")
        # This needs an older wrapt than the kernel has imported.
        moved = lab.run_new_cell('%pip install "deprecated<1.2.19"')
        expect(moved).to_contain_text(re.compile(r"Moved: +wrapt 2\S+ -> 1\."))
        expect(moved).to_contain_text(re.compile(r"Restart the kernel: it has imported wrapt 2\S+ \(now 1\.\S+\)\."))
        lab.screenshot("add-package.png")
        lab.menu("Kernel", "Restart Kernel…")
        lab.page.locator(".jp-Dialog").get_by_role("button", name="Confirm Kernel Restart").click()
        expect(lab.page.locator("#jp-main-statusbar")).to_contain_text("| Idle")
        version = lab.run_new_cell("import wrapt\nprint(wrapt.__version__)").locator(".jp-OutputArea-output")
        expect(version).to_have_text(re.compile(r"^1\.\d"))
        assert lab.errors == []
    assert running.read("requirements.in").endswith("\nhumanize\ntoolz>=0.12\ndeprecated<1.2.19\n")


def test_the_usual_terminal_commands_add_a_package(running: Project) -> None:
    for command in COMMANDS:
        name = command.split()[-1]
        assert re.fullmatch(rf"New: +{name} \d\S*\n", shell(running, command).stdout)
        assert f"\n{name}\n" in running.read("requirements.in")
        shell(running, f"python -c 'import {name}'")


def test_pip_and_uv_list_the_packages_of_the_lock(running: Project) -> None:
    wanted = locked(running)
    for command in ("pip freeze", "python -m pip freeze", "uv pip freeze"):
        assert dict(line.split("==") for line in shell(running, command).stdout.splitlines()) == wanted
    listed = dict(line.split() for line in shell(running, "pip list").stdout.splitlines()[2:])
    assert listed == wanted and listed.items() >= {name.lower(): version for name, version in PINNED.items()}.items()
    assert f"Version: {wanted['tabulate']}\n" in shell(running, "pip show tabulate").stdout
    assert shell(running, "pip show numba", check=False).returncode == 1
    assert "All installed packages are compatible" in shell(running, "uv pip check").stderr


def test_a_kernel_imports_a_package_that_was_added_from_the_host(running: Project) -> None:
    with started_kernel(running) as kernel:
        assert "ModuleNotFoundError" in kernel.run("import parse")
        added = running.compose("run", "--rm", "--no-deps", "--no-TTY", "jupyter", "add", "parse")
        assert re.fullmatch(r"New: +parse \d\S*\n", added.stdout)
        assert kernel.run("import parse; print(parse.parse('{:d} cities', '5 cities')[0])") == "5"


def test_reports_and_other_containers_import_an_added_package(running: Project) -> None:
    name = running.write_notebook("import humanize; print('in the report:', humanize.intcomma(1234567))")
    script = "import humanize; print(humanize.intcomma(1234))"
    said = running.run("bash", "-c", f"report {name} && python -c '{script}'").stdout
    assert "in the report: 1,234,567" in running.read(name.replace(".ipynb", ".html"))
    assert said.endswith("\n1,234\n")


@pytest.mark.parametrize("command", BY_HAND.values(), ids=BY_HAND)
def test_only_the_commands_can_change_the_environment(running: Project, command: str) -> None:
    places = "overlay=$(realpath /opt/analysis/packages/current); site=$(echo $overlay/lib/python3.*/site-packages)"
    state = "state() { pip freeze 2>&1; find $overlay -type f -exec md5sum {} + | sort | md5sum; }"
    said = shell(running, f"{places}; {state}; state; ({command}) >/dev/null 2>&1; echo exit code $?; state").stdout
    before, code, after = re.split(r"exit code (\d+)\n", said)
    assert code != "0"
    assert before == after and "humanize==" in before


def test_a_removed_package_cannot_be_imported(running: Project) -> None:
    with started_kernel(running) as kernel:
        assert re.search(r"Gone: +toolz", kernel.run("%pip uninstall -y toolz"))
        assert "ModuleNotFoundError" in kernel.run("import toolz")
    with started_kernel(running) as kernel:
        assert "ModuleNotFoundError" in kernel.run("import toolz")
    assert "toolz" not in running.read("requirements.in") + shell(running, "pip freeze").stdout


def test_a_colleagues_container_installs_a_newer_lock_when_it_or_a_kernel_starts(
    running: Project, built: Project, tmp_path: Path
) -> None:
    clone = copied(built, tmp_path)
    at_first, newer = locks(clone), locks(running)
    more = {**newer, "requirements.in": f"{newer['requirements.in']}cachetools\n"}
    give(clone, newer)
    with clone.up():
        with started_kernel(clone) as kernel:
            assert kernel.run("import humanize, tabulate; print('here')") == "here"
        said = clone.compose("exec", "--no-TTY", "jupyter", "check", check=False).stdout
        assert re.search(r"^Since the image was built:\n(?:.*\n)*New: +humanize \d", said, re.MULTILINE)
        assert re.search(r"^Moved: +wrapt 2\S+ -> 1\.", said, re.MULTILINE)
        assert "differs from the installed packages" not in said

        give(clone, at_first)
        said = clone.compose("exec", "--no-TTY", "jupyter", "check", check=False).stdout
        assert "requirements.txt: differs from the installed packages; run: docker compose restart" in said
        assert re.search(r"^humanize +- +- +\d", said, re.MULTILINE)
        with started_kernel(clone) as kernel:
            assert "ModuleNotFoundError" in kernel.run("import humanize")

        give(running, more)
        shell(running, "lock")
        give(clone, locks(running))
        with started_kernel(clone) as kernel:
            assert kernel.run("import cachetools, humanize; print('here')") == "here"
            assert kernel.run("import toolz").startswith("ModuleNotFoundError")


def test_a_newer_lock_without_a_network_stops_the_start_with_a_fix(running: Project, copy: Project) -> None:
    give(copy, locks(running))
    with override(copy, INTERNAL):
        started = copy.run("jupyter", "lab", "--version", check=False)
        assert started.returncode == 2 and "4." not in started.stdout
        assert "are missing (docker compose up --build installs them as well); fix this first:\n" in started.stderr
        assert "the package index cannot be reached" in started.stderr
        # `check` still compares.
        assert "requirements.txt: differs from the installed packages" in copy.run("check", check=False).stdout


FAULTS = {
    "no network": (INTERNAL, "add tabulate", "the package index cannot be reached; check the network"),
    "full disk": (SMALL_DISK, "add tabulate", "no space left on device; free disk space, then run it again"),
    "read-only project": (READ_ONLY, "add tabulate", "/project: cannot be written by user"),
    "read-only project, remove": (READ_ONLY, "remove matplotlib", "/project: cannot be written by user"),
}


@pytest.mark.parametrize(("surroundings", "command", "said"), FAULTS.values(), ids=FAULTS)
def test_a_failing_command_is_one_message_and_leaves_every_byte(
    copy: Project, surroundings: str, command: str, said: str
) -> None:
    with override(copy, surroundings):
        before = content(copy.folder)
        done = copy.run(*command.split(), check=False)
        assert done.returncode == 2
        assert "nothing was changed; fix this first:" in done.stderr and said in done.stderr
        assert len(done.stderr.partition("fix this first:\n")[2].splitlines()) == 1
        assert content(copy.folder) == before


MOMENTS: dict[str, Callable[[Path], bool]] = {
    "tabulate": lambda beside: any(beside.glob("packages/*/*/missing.txt")),
    "zipp": lambda beside: any(beside.glob("packages/*/*/lib/python3*/site-packages/numpy*")),
    "iniconfig": lambda beside: any(beside.glob("*/.~replacing*")),
    "pluggy": lambda beside: any("\npluggy" in path.read_text() for path in beside.glob("*/requirements.in")),
}


def test_a_killed_container_leaves_the_whole_old_or_new_state(built: Project, tmp_path: Path) -> None:
    """Kill it while a package is installed, while others are linked, and before and after files are replaced."""
    packages = tmp_path / "packages"
    packages.mkdir()
    packages.chmod(0o1777)
    copy = copied(built, tmp_path)
    with override(copy, ON_HOST):
        before = content(copy.folder)
        for name, reached in MOMENTS.items():
            killed_at(copy, name, lambda: reached(tmp_path))  # noqa: B023
            said = copy.run("bash", "-c", f"pip freeze; python -c 'import {name}'; echo $?").stdout.splitlines()
            after = content(copy.folder)
            assert after.keys() == before.keys()
            changed = {file for file in after if after[file] != before[file]}
            assert changed in (set(), set(LOCKS))
            versions = locked(copy)
            assert dict(line.split("==") for line in said[:-1]) == versions
            assert (name in versions) == bool(changed) == (said[-1] == "0")
            before = after
        # A later `add` installs the packages of the killed containers.
        copy.run("add", *MOMENTS)
        assert locked(copy).keys() >= MOMENTS.keys()


def killed_at(project: Project, name: str, reached: Callable[[], bool]) -> None:
    """Add a package, and kill the container at a moment; repeat if the moment was missed."""
    command = ("docker", "compose", "run", "--rm", "--no-TTY", "--name", project.name, "jupyter", "add", name)
    environment = {**os.environ, **project.environment}
    for _ in range(5):
        with subprocess.Popen(
            command, cwd=project.folder, env=environment, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as adding:
            # Asking Docker would take longer than most of these moments last.
            while adding.poll() is None and not reached():
                time.sleep(0.001)
            if adding.returncode is None:
                sh("docker", "kill", project.name, check=False)
                return
        # On a busy machine a moment may be missed.
        project.run("remove", name)
    raise AssertionError(f"{name} was added five times before it could be killed")
