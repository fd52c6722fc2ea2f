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
EMPTY = "docker builder prune --force --filter type=exec.cachemount"
EDIT = "date +%s%N | sed 's/^/# /' >{folder}/src/notes.py"


class Side(NamedTuple):
    """One of the two sides: its project's folder, and its commands for a shell."""

    folder: Path
    generate: str
    pin: str
    build: str
    start: str
    stop: str


class Race(NamedTuple):
    """A comparison: the command, those before each run and before the first, and the number of runs."""

    title: str
    command: str
    prepare: str
    runs: int
    first: str = "true"


RACES = {
    "generation": Race("generation, default answers", "{generate}", "rm -rf made", 30),
    # Offline, or the time is that of the index, which uv asks for newer versions.
    "production": Race("generation, production file", "export UV_OFFLINE=1; {pin}", "rm -rf made", 10, "{pin}"),
    "cold": Race("image build, no caches", "{build} --no-cache", EMPTY, 2),
    "notebook": Race("image build after an edit in src", "{build}", EDIT, 5, "{build}"),
    "start": Race("start to a logged-in page", "{start}", "{stop}", 5, "{build}"),
}


class Bench:
    """A temporary folder, an environment, and the commands that are run in them."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder, self.stack = folder, stack
        (folder / "cookiecutter.yml").write_text(f"replay_dir: {folder}\n", encoding="utf-8")
        self.environment = {**os.environ, "COOKIECUTTER_CONFIG": str(folder / "cookiecutter.yml")}
        # Or each process compiles the template again.
        self.environment.pop("PYTHONDONTWRITEBYTECODE", None)
        # cookiecutter alone in its environment, as users have it.
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
        self.run(self.cookiecutter(checkout, slug, *ANSWERS))
        folder = self.folder / slug
        password = (folder / ".secrets" / "jupyter_password").read_text(encoding="utf-8").strip()
        compose = f"PORT={port} docker compose --project-directory {folder}"
        stop = f"{compose} down --volumes --timeout 3"
        self.stack.callback(self.run, f"{stop}; docker image rm --force {slug} || true")
        generate = self.cookiecutter(checkout, "made", *ANSWERS, BASE_IMAGE)
        pin = f"{generate} production_requirements={PRODUCTION}"
        start = f"{compose} up --detach --quiet-pull && {self.page(port, password)}"
        return Side(folder, generate, pin, f"{compose} build --quiet", start, stop)

    def usual(self, project: Path) -> Side:
        """Return the side of a template without hooks and of a Dockerfile with ``pip install -r``."""
        name, port, password = f"usual-{secrets.token_hex(3)}", free_port(), secrets.token_hex()
        files = self.folder / "bare" / "{{cookiecutter.project_slug}}"
        shutil.copytree(project, files)
        # The README may show commands with braces.
        context = '{"project_slug": "", "_copy_without_render": ["README.md"]}'
        (files.parent / "cookiecutter.json").write_text(context, encoding="utf-8")
        folder = self.folder / name
        shutil.copytree(project / "src", folder / "src")
        (folder / "Dockerfile").write_text(DOCKERFILE, encoding="utf-8")
        pins = re.findall(r"^[a-z0-9-]+==\S+", (project / "requirements.txt").read_text(encoding="utf-8"), re.MULTILINE)
        (folder / "requirements.txt").write_text("\n".join(pins), encoding="utf-8")
        shutil.copy(TEMPLATE / "locks" / "tools.in", folder)
        generate = self.cookiecutter(files.parent, "made")
        pin = f"uv pip compile --quiet --generate-hashes --python-version={PYTHON} {PRODUCTION} made/requirements.in"
        options = f"--name={name} --publish=127.0.0.1:{port}:8888 --env=JUPYTER_TOKEN={password}"
        start = f"docker run --detach {options} {name} && {self.page(port, password)}"
        stop = f"docker rm --force {name}"
        self.stack.callback(self.run, f"{stop}; docker image rm --force {name} || true")
        build = f"docker build --quiet --tag {name} {folder}"
        return Side(folder, generate, f"{generate} && {pin}", build, start, stop)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="Compare this template with others, side by side.")
    parser.add_argument("races", nargs="*", metavar="RACE", help=f"one of {', '.join(RACES)}; all unless named")
    parser.add_argument("--against", type=Path, metavar="CHECKOUT", help="another checkout of this template")
    asked = parser.parse_args()
    if unknown := set(asked.races) - RACES.keys():
        parser.error(f"unknown race {', '.join(sorted(unknown))}; choose from {', '.join(RACES)}")
    if shutil.which("hyperfine") is None:
        parser.error("hyperfine is missing; install it with apt-get install hyperfine or brew install hyperfine")
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        bench = Bench(Path(folder), stack)
        ours = bench.template(TEMPLATE)
        other = bench.template(asked.against.resolve()) if asked.against else bench.usual(ours.folder)
        rows = [bench.race(RACES[name], ours, other) for name in asked.races or RACES]
    machine = f"{date.today()}, {os.cpu_count()} CPUs ({platform.machine()}), Python {PYTHON}"
    print(machine, "", "| race | ours | other | ratio |", "|---|---|---|---|", *rows, sep="\n")


if __name__ == "__main__":
    main()
