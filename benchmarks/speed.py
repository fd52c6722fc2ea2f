"""Compare this template, side by side, with a bare template and a Dockerfile that runs ``pip install -r``.

Run ``uv run benchmarks/speed.py [--against CHECKOUT] [RACE...]``; ``docs/explanations/speed.md`` explains its table.
With ``--against`` the other side is another checkout of this template, such as the one before a change. Needs hyperfine
and, for images, a Docker engine, whose cache of packages it empties.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import secrets
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

TEMPLATE = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TEMPLATE / "tests")]

from docker.project import free_port  # noqa: E402

PRODUCTION = TEMPLATE / "benchmarks" / "production.txt"
PYTHON = "3.11"
ANSWERS = (f"python_version={PYTHON}", "debian_release=bookworm")
# With a digest, neither side asks a registry.
BASE_IMAGE = f"_base_image=python:{PYTHON}-bookworm@sha256:{'0' * 64}"
DOCKERFILE = f"""\
FROM python:{PYTHON}-bookworm
WORKDIR /project
COPY requirements.txt tools.in ./
RUN pip install --no-cache-dir -r requirements.txt -r tools.in
COPY src src
CMD ["jupyter", "lab", "--ip=0.0.0.0", "--port=8888", "--allow-root"]
"""
# The lower bound of a build of the same files: they are copied, packed and unpacked.
PACKAGES = f"/opt/analysis/lib/python{PYTHON}/site-packages"
OUR_FILES = ("/opt/tools", f"{PACKAGES}/[0-9A-Ma-m_]*", f"{PACKAGES}/[N-Zn-z]*")
THEIR_FILES = ("/usr/local",)
EMPTY = "docker builder prune --force --filter type=exec.cachemount"
# The first build adds nothing, each run another package, so that neither side finds its image in a cache.
ADDED = ("", "polars==1.32.3", "polars==1.33.1", "polars==1.34.0")
OTHERS = ("", *(f"seaborn==0.13.2\nstatsmodels=={number}" for number in ("0.14.4", "0.14.5", "0.14.6")))
EDIT = "date +%s%N | sed 's/^/# /' >{folder}/src/notes.py"


class Side(NamedTuple):
    """One of the two sides: its project's folder, and its commands for a shell."""

    folder: Path
    second: Path
    image: str
    generate: str
    pin: str
    build: str
    build_second: str
    copy: str
    start: str
    stop: str
    add: str
    forget: str


class Race(NamedTuple):
    """A comparison: the command, those before each run and before the first, and the number of runs."""

    title: str
    command: str
    prepare: str
    runs: int
    first: str = "true"


def next_lock(project: str) -> str:
    """Return the command that gives one of a side's projects, named by its field, the next of its locks."""
    return f"mv $(ls -d {{{project}}}.locks/* | head -1) {{{project}}}/requirements.txt"


# The time from adding a package to the end of its import.
IMPORT = "python -c 'import polars'"
RACES = {
    "add": Race("a package more, until it is imported", "{add}", "{forget}", 3, "{build} && {start}"),
    "generation": Race("generation, default answers", "{generate}", "rm -rf made", 30),
    # Offline, because uv would otherwise ask the index for newer versions.
    "production": Race("generation, production file", "export UV_OFFLINE=1; {pin}", "rm -rf made", 10, "{pin}"),
    "cold": Race("image build, no caches", "{build} --no-cache", EMPTY, 2),
    "copy": Race("image build that copies the same files", "{copy}", "true", 2, "{build}"),
    "rebuild": Race("image build, one package more", "{build}", next_lock("folder"), 3, "{build}"),
    "second": Race("image build, second analysis", "{build_second}", next_lock("second"), 3, "{build}"),
    "notebook": Race("image build after an edit in src", "{build}", EDIT, 5, "{build}"),
    "start": Race("start to a logged-in page", "{start}", "{stop}", 5, "{build}"),
}


class Bench:
    """A temporary folder, an environment, and the commands that are run in them."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder, self.stack = folder, stack
        (folder / "cookiecutter.yml").write_text(f"replay_dir: {folder}\n", encoding="utf-8")
        self.environment = {**os.environ, "COOKIECUTTER_CONFIG": str(folder / "cookiecutter.yml")}
        # Otherwise each process compiles the template again.
        self.environment.pop("PYTHONDONTWRITEBYTECODE", None)
        # An environment with cookiecutter alone, as users have it.
        install = "uv pip install --quiet --python=cookiecutter --compile-bytecode"
        self.run(f"uv venv --quiet cookiecutter && {install} cookiecutter=={version('cookiecutter')}")

    def run(self, command: str) -> None:
        """Run a command for a shell; stop with its output if it fails."""
        done = subprocess.run(
            ["/bin/sh", "-c", command], cwd=self.folder, env=self.environment, capture_output=True, text=True
        )
        if done.returncode:
            sys.exit(f"{command}\n{done.stdout}{done.stderr}")

    def race(self, race: Race, *sides: Side) -> str:
        """Let hyperfine run both sides in turn; return a row of the table."""
        report = self.folder / "hyperfine.json"
        command = ["hyperfine", f"--runs={race.runs}", f"--export-json={report}"]
        for side in map(Side._asdict, sides):
            self.run(f"{race.prepare}\n{race.first}".format(**side))
            command += ["--prepare", race.prepare.format(**side), race.command.format(**side)]
        if subprocess.run(command, cwd=self.folder, env=self.environment, stdout=sys.stderr).returncode:
            sys.exit("hyperfine stopped at the command above")
        ours, other = json.loads(report.read_text(encoding="utf-8"))["results"]
        shown = [f"{each['mean']:.2f} ± {each['stddev'] or 0:.2f} s" for each in (ours, other)]
        return f"| {' | '.join([race.title, *shown])} | {ours['mean'] / other['mean']:.2f} |"

    def size(self, *sides: Side) -> str:
        """Build the images of both sides; return a row of the table with their compressed sizes."""
        for side in sides:
            self.run(side.build)
        command = ["docker", "image", "inspect", "--format={{.Size}}", *(side.image for side in sides)]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        ours, other = map(int, said.split())
        return f"| image size | {ours / 1e6:.0f} MB | {other / 1e6:.0f} MB | {ours / other:.2f} |"

    def cookiecutter(self, template: Path, slug: str, *answers: str) -> str:
        """Return the command that generates a project of this name."""
        program = str(self.folder / "cookiecutter" / "bin" / "cookiecutter")
        return shlex.join([program, "--no-input", str(template), f"project_slug={slug}", *answers])

    def page(self, port: int, password: str) -> str:
        """Return the command that waits for JupyterLab's page of a user who is logged in."""
        ask = f"curl --fail --silent --header 'Authorization: token {password}' http://127.0.0.1:{port}/lab"
        return f"until {ask} >page.html; do sleep 0.02; done; grep -q jupyter-config-data page.html"

    def template(self, checkout: Path) -> Side:
        """Return the side of a checkout of this template."""
        slug, port = f"ds-docker-env-speed-{secrets.token_hex(3)}", free_port()
        folder, second = self.folder / slug, self.folder / f"{slug}-second"
        for project, sets in ((folder, ADDED), (second, OTHERS)):
            self.run(self.cookiecutter(checkout, project.name, *ANSWERS))
            for number, more in enumerate(sets):
                self.lock(project, number, more)
        password = (folder / ".secrets" / "jupyter_password").read_text(encoding="utf-8").strip()
        compose = "docker compose --project-directory"
        stop = f"PORT={port} {compose} {folder} down --volumes --timeout 3"
        images = [image_of(project) for project in (folder, second)]
        self.stack.callback(self.run, f"{stop}; docker image rm --force {shlex.join(images)} || true")
        generate = self.cookiecutter(checkout, "made", *ANSWERS, BASE_IMAGE)
        pin = f"{generate} production_requirements={PRODUCTION}"
        start = f"PORT={port} {compose} {folder} up --detach --quiet-pull && {self.page(port, password)}"
        build, build_second = (f"{compose} {project} build --quiet" for project in (folder, second))
        copy = self.copying(images[0], OUR_FILES)
        inside = f"PORT={port} {compose} {folder} exec -T jupyter sh -c"
        add = f'{inside} "add polars && {IMPORT}"'
        forget = f"{inside} 'remove polars; chmod -R u+w /opt/packages; rm -rf /opt/packages/*/*' || true"
        return Side(folder, second, images[0], generate, pin, build, build_second, copy, start, stop, add, forget)

    def copying(self, image: str, files: Sequence[str]) -> str:
        """Return the command that builds an image with these files of another one, a layer for each."""
        dockerfile = self.folder / f"{image}.Dockerfile"
        mount = "--mount=from=made,target=/made"
        lines = [f"RUN {mount} mkdir /{layer} && cp -a /made{name} /{layer}" for layer, name in enumerate(files)]
        text = "\n".join([f"FROM {image} AS made", f"FROM python:{PYTHON}-bookworm", *lines, ""])
        dockerfile.write_text(text, encoding="utf-8")
        self.stack.callback(self.run, f"docker image rm --force {image}-copy || true")
        return f"docker build --no-cache --quiet --tag {image}-copy - <{dockerfile}"

    def lock(self, project: Path, number: int, more: str) -> None:
        """Lock the packages of a project and more of them, for a build of this number."""
        folder = project.with_suffix(".locks")
        folder.mkdir(exist_ok=True)
        lock, wanted = folder / f"{number}.txt", folder.with_suffix(".in")
        shutil.copy(project / "requirements.txt", lock)
        wanted.write_text(f"{(project / 'requirements.in').read_text(encoding='utf-8')}{more}\n", encoding="utf-8")
        self.run(
            f"uv pip compile --quiet --generate-hashes --python-version={PYTHON}"
            f" --python-platform=x86_64-manylinux_2_36 --output-file={lock} {wanted}"
        )

    def usual(self, project: Path) -> Side:
        """Return the side of a template without hooks and of a Dockerfile with ``pip install -r``."""
        name, port, password = f"usual-{secrets.token_hex(3)}", free_port(), secrets.token_hex()
        files = self.folder / "bare" / "{{cookiecutter.project_slug}}"
        shutil.copytree(project, files)
        # Commands in the README may have braces.
        context = '{"project_slug": "", "_copy_without_render": ["README.md"]}'
        (files.parent / "cookiecutter.json").write_text(context, encoding="utf-8")
        folder, second = self.folder / name, self.folder / f"{name}-second"
        pins = re.findall(r"^[a-z0-9-]+==\S+", (project / "requirements.txt").read_text(encoding="utf-8"), re.MULTILINE)
        for made, sets in ((folder, ADDED), (second, OTHERS)):
            shutil.copytree(project / "src", made / "src")
            (made / "Dockerfile").write_text(DOCKERFILE, encoding="utf-8")
            shutil.copy(TEMPLATE / "locks" / "tools.in", made)
            locks = made.with_suffix(".locks")
            locks.mkdir()
            for number, more in enumerate(sets):
                (locks / f"{number}.txt").write_text("\n".join([*pins, more, ""]), encoding="utf-8")
            shutil.copy(locks / "0.txt", made / "requirements.txt")
        generate = self.cookiecutter(files.parent, "made")
        pin = f"uv pip compile --quiet --generate-hashes --python-version={PYTHON} {PRODUCTION} made/requirements.in"
        options = f"--name={name} --publish=127.0.0.1:{port}:8888 --env=JUPYTER_TOKEN={password}"
        start = f"docker run --detach {options} {name} && {self.page(port, password)}"
        stop = f"docker rm --force {name}"
        self.stack.callback(self.run, f"{stop}; docker image rm --force {name} {second.name} || true")
        build, build_second = (f"docker build --quiet --tag {made.name} {made}" for made in (folder, second))
        copy = self.copying(name, THEIR_FILES)
        # A new comment, so that each layer is built.
        wish = f'echo "polars # $(date +%s%N)" >>{folder}/requirements.txt'
        add = f"{wish} && {build} && {stop} && {start} && docker exec {name} {IMPORT}"
        forget = f"sed -i /^polars/d {folder}/requirements.txt"
        pin = f"{generate} && {pin}"
        return Side(folder, second, name, generate, pin, build, build_second, copy, start, stop, add, forget)


def image_of(project: Path) -> str:
    """Return the name of a project's image."""
    settings = (project / ".env").read_text(encoding="utf-8")
    [name] = re.findall(r"^COMPOSE_PROJECT_NAME=(\S+)$", settings, re.MULTILINE)
    return str(name)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="Compare this template with others, side by side.")
    names = [*RACES, "size"]
    parser.add_argument("races", nargs="*", metavar="RACE", help=f"one of {', '.join(names)}; all unless named")
    parser.add_argument("--against", type=Path, metavar="CHECKOUT", help="another checkout of this template")
    asked = parser.parse_args()
    if unknown := set(asked.races) - set(names):
        parser.error(f"unknown race {', '.join(sorted(unknown))}; choose from {', '.join(names)}")
    if shutil.which("hyperfine") is None:
        parser.error("hyperfine is missing; install it with apt-get install hyperfine or brew install hyperfine")
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        bench = Bench(Path(folder), stack)
        ours = bench.template(TEMPLATE)
        other = bench.template(asked.against.resolve()) if asked.against else bench.usual(ours.folder)
        rows = [
            bench.size(ours, other) if name == "size" else bench.race(RACES[name], ours, other)
            for name in asked.races or names
        ]
    machine = f"{date.today()}, {os.cpu_count()} CPUs ({platform.machine()}), Python {PYTHON}"
    print(machine, "", "| race | ours | other | ratio |", "|---|---|---|---|", *rows, sep="\n")


if __name__ == "__main__":
    main()
