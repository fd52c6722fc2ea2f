"""Compare how long things take with how long they take otherwise: ``uv run benchmarks/speed.py [LINE...]``.

Prints a table; without the names of lines it does all of them and writes the table into
``docs/explanations/speed.md``, which says how to read it. Needs hyperfine and, for images, a Docker engine
whose cache of packages it empties.
"""

from __future__ import annotations

import functools
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
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import date
from importlib.metadata import version
from pathlib import Path

TEMPLATE = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TEMPLATE / "tests")]

from docker.project import free_port  # noqa: E402

from ds_docker_env.common.target import Target  # noqa: E402
from ds_docker_env.pinning.parity import read_lock  # noqa: E402
from ds_docker_env.pinning.resolver import compile_command  # noqa: E402

PAGE = TEMPLATE / "docs" / "explanations" / "speed.md"
PRODUCTION = TEMPLATE / "benchmarks" / "production.txt"
# The Python of this machine, so that the same JupyterLab can start beside the container.
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
DEBIAN = {"3.11": "bookworm", "3.13": "trixie"}
# What is added to an image that is built already.
ADDED = "tabulate==0.9.0"
# With a digest there is no question to a registry, which is not ours to be measured.
KNOWN = {"_base_image": f"python:{PYTHON}@sha256:{'0' * 64}"}

ARTICLE = """\
FROM python:{python}-{debian}
COPY requirements.txt .
RUN --mount=type=secret,id=pip.conf,target=/etc/pip.conf pip install --no-cache-dir -r requirements.txt
WORKDIR /project
COPY src src
CMD ["jupyter", "lab", "--ip=0.0.0.0", "--allow-root"]
"""
# What the extension does for the files, without staging and guard.
EXTENSION = """\
from types import SimpleNamespace
from jinja2.ext import Extension

def base_image(answers):
    return SimpleNamespace(reference=answers["_base_image"])

class TemplateExtension(Extension):
    def __init__(self, environment):
        super().__init__(environment)
        environment.filters |= {"absolute_location": str, "base_image": base_image}
        environment.filters |= {"checked": str, "services": str.split}
"""


@dataclass(frozen=True)
class Contender:
    """A command for a shell, and what goes before each run."""

    command: str
    prepare: str = "true"


@dataclass(frozen=True)
class Result:
    """What ours and the other needed, each a mean and its deviation, and whether the goal is reached."""

    ours: str
    other: str
    compared: str
    reached: bool


@dataclass(frozen=True)
class Line:
    """A row of the table: what is measured, against what, and how."""

    what: str
    against: str
    goal: str
    measure: Callable[[Bench], Result]


class Bench:
    """A folder with what the lines need, made when the first of them does."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder, self._stack = folder, stack
        self.name = f"ds-docker-env-speed-{secrets.token_hex(3)}"
        config = folder / "cookiecutter.yml"
        config.write_text(f"cookiecutters_dir: {folder}\nreplay_dir: {folder}\n", encoding="utf-8")
        self.environment = {**os.environ, "COOKIECUTTER_CONFIG": str(config), "BUILDKIT_PROGRESS": "plain"}
        # Else every process compiles the hooks again.
        self.environment.pop("PYTHONDONTWRITEBYTECODE", None)

    def run(self, *command: str, folder: Path | None = None) -> str:
        """Run a command and return what it prints."""
        done = subprocess.run(command, cwd=folder or self.folder, env=self.environment, capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"{shlex.join(command)}\n{done.stdout}{done.stderr}")
        return done.stdout.strip()

    def race(self, *contenders: Contender, runs: int, warmup: int = 0) -> list[tuple[float, float]]:
        """Let hyperfine run them one after the other; return mean and deviation in seconds for each."""
        report = self.folder / "hyperfine.json"
        options = [f"--runs={runs}", f"--warmup={warmup}", f"--export-json={report}", "--style=basic"]
        options += [part for each in contenders for part in ("--prepare", each.prepare)]
        said = self.folder / "said.log"
        command = ["hyperfine", *options, *(f"{{ {each.command}; }} 2>{said}" for each in contenders)]
        if subprocess.run(command, cwd=self.folder, env=self.environment, stdout=sys.stderr).returncode:
            sys.exit(f"hyperfine stopped; the command said:\n{said.read_text(encoding='utf-8')}")
        results = json.loads(report.read_text(encoding="utf-8"))["results"]
        return [(each["mean"], each["stddev"] or 0) for each in results]

    @functools.cached_property
    def cookiecutter(self) -> Path:
        """Return cookiecutter as people have it: alone in its environment."""
        wanted = f"cookiecutter=={version('cookiecutter')}"
        self.run("uv", "venv", "--quiet", "--python", sys.executable, "cookiecutter")
        self.run("uv", "pip", "install", "--quiet", "--python=cookiecutter", "--compile-bytecode", wanted)
        return self.folder / "cookiecutter" / "bin" / "cookiecutter"

    def generating(self, template: Path, slug: str, **answers: str) -> Contender:
        """Generate into a folder of this name."""
        answers = {"project_slug": slug, "python_version": PYTHON, "debian_release": DEBIAN[PYTHON]} | answers
        said = [f"{name}={value}" for name, value in answers.items()]
        return Contender(shlex.join([str(self.cookiecutter), "--no-input", str(template), *said]), f"rm -rf {slug}")

    @functools.cached_property
    def project(self) -> Path:
        """Return a default project with an image of its own name."""
        self.run(*shlex.split(self.generating(TEMPLATE, self.name).command))
        return self.folder / self.name

    @functools.cached_property
    def bare(self) -> Path:
        """Return the template with its files and without hooks: the locks are files of the template."""
        bare = self.folder / "bare"
        files = bare / "{{cookiecutter.project_slug}}"
        shutil.copytree(TEMPLATE / files.name, files)
        for name in ("requirements.in", "requirements.txt", "tools.txt"):
            shutil.copy(self.project / name, files)
        shutil.copy(TEMPLATE / "cookiecutter.json", bare)
        (bare / "local_extensions.py").write_text(EXTENSION, encoding="utf-8")
        return bare

    @functools.cached_property
    def article(self) -> Path:
        """Return a folder with the article's Dockerfile: one environment, with the versions of both of ours.

        Where the two differ it has the version of the analysis.
        """
        article = self.folder / "article"
        article.mkdir()
        shutil.copytree(self.project / "src", article / "src")
        dockerfile = ARTICLE.format(python=PYTHON, debian=DEBIAN[PYTHON])
        (article / "Dockerfile").write_text(dockerfile, encoding="utf-8")
        analysis, tools = ((self.project / name).read_text("utf-8") for name in ("requirements.txt", "tools.txt"))
        have = read_lock(analysis)
        entries = re.split(r"^(?=[a-z0-9-]+==)", tools, flags=re.MULTILINE)[1:]
        more = [entry for entry in entries if entry.partition("==")[0] not in have]
        (article / "requirements.txt").write_text("".join([analysis, *more]), encoding="utf-8")
        return article

    @functools.cached_property
    def building(self) -> str:
        """Return the command that builds, from an index on this machine with all that the images need."""
        gateway = "{{range .IPAM.Config}}{{.Gateway}}{{end}}"
        host = self.run("docker", "network", "inspect", "bridge", "--format", gateway)
        wheels, port = self.folder / "wheels", free_port(host)
        wheels.mkdir()
        (wheels / "added.txt").write_text(f"{ADDED}\n", encoding="utf-8")
        for lock in (self.article / "requirements.txt", self.project / "tools.txt", wheels / "added.txt"):
            download = ["pip", "download", "--quiet", "--no-deps", "--dest=/wheels", "--requirement=/lock.txt"]
            volumes = [f"--volume={wheels}:/wheels", f"--volume={lock}:/lock.txt:ro"]
            self.run("docker", "run", "--rm", *volumes, f"python:{PYTHON}-{DEBIAN[PYTHON]}", *download)
        serve = ["uvx", "--from=pypiserver", "--with=gunicorn", "pypi-server", "run", "--server=gunicorn"]
        serve += [f"--interface={host}", f"--port={port}", "--cache-control=86400", "--disable-fallback", str(wheels)]
        threads = {**self.environment, "GUNICORN_CMD_ARGS": "--threads=8"}
        index = self._stack.enter_context(subprocess.Popen(serve, env=threads, stderr=subprocess.DEVNULL))
        self._stack.callback(index.terminate)
        url = f"http://{host}:{port}/simple/"
        self.run("curl", "--fail", "--silent", "--retry", "60", "--retry-delay", "1", "--retry-connrefused", url)
        pip, uv = self.folder / "pip.conf", self.folder / "uv.toml"
        pip.write_text(f"[global]\nindex-url = {url}\ntrusted-host = {host}\n", encoding="utf-8")
        uv.write_text(f'[[index]]\nurl = "{url}"\ndefault = true\n', encoding="utf-8")
        return f"docker build --quiet --secret id=pip.conf,src={pip} --secret id=uv.toml,src={uv}"

    def build(self, folder: Path, *options: str, prepare: str = "true") -> Contender:
        """Build the image of a folder."""
        tag = self.image(folder)
        return Contender(f"{self.building} {' '.join(options)} --tag {tag} {folder}", prepare)

    def image(self, folder: Path) -> str:
        """Return the name of the image of a folder, which goes in the end."""
        tag = self.name if folder == self.project else f"{self.name}-{folder.name}"
        self._stack.callback(subprocess.run, ["docker", "image", "rm", "--force", tag], capture_output=True)
        return tag

    def layers(self, folder: Path) -> list[str]:
        """Return the layers of the image of a folder, as built now."""
        self.run("sh", "-c", self.build(folder).command)
        said = self.run("docker", "image", "inspect", "--format={{json .RootFS.Layers}}", self.image(folder))
        layers: list[str] = json.loads(said)
        return layers

    @functools.cached_property
    def built(self) -> tuple[Path, Path]:
        """Return the folders of ours and of the article's, of which both have an image."""
        for folder in (self.project, self.article):
            self.run("sh", "-c", self.build(folder).command)
        return self.project, self.article


def generation(bench: Bench) -> Result:
    """Generate with the default answers."""
    ours, theirs = bench.generating(TEMPLATE, "ours", **KNOWN), bench.generating(bench.bare, "theirs", **KNOWN)
    return ratio(*bench.race(ours, theirs, runs=30, warmup=3), at_most=1.25)


def production(bench: Bench) -> Result:
    """Generate with a production file."""
    ours = bench.generating(TEMPLATE, "ours", production_requirements=str(PRODUCTION), **KNOWN)
    (bench.folder / "requirements.in").write_bytes((bench.project / "requirements.in").read_bytes())
    compiling = compile_command(Target(PYTHON).full_python, str(PRODUCTION), "requirements.in", output="theirs.txt")
    theirs = Contender(shlex.join(["uv", *compiling, "--quiet", "--python", sys.executable]), "rm -f theirs.txt")
    for each in (ours, theirs):
        bench.run("sh", "-c", f"{each.prepare}; {each.command}")
    # A warm cache: else it would be the index that is measured, which uv asks each time whether there is something new.
    bench.environment["UV_OFFLINE"] = "1"
    mine, other = bench.race(ours, theirs, runs=10, warmup=1)
    del bench.environment["UV_OFFLINE"]
    more = mine[0] - other[0]
    return Result(shown(mine), shown(other), f"+ {more:.2f} s", more <= 0.6)


def pinning(bench: Bench) -> Result:
    """Lock a production file with the packages of the analysis."""
    asked = {"location": str(PRODUCTION), "python": PYTHON, "debian": DEBIAN[PYTHON], "options": list[str]()}
    asked |= {"settings": "", "requirements": "", "before": ""}
    (bench.folder / "asked.json").write_text(json.dumps(asked), encoding="utf-8")
    (bench.folder / "requirements.in").write_bytes((bench.project / "requirements.in").read_bytes())
    ours = f"PYTHONPATH={TEMPLATE} {sys.executable} -m ds_docker_env.pinning <asked.json"
    theirs = ["uvx", "--python", sys.executable, "--from=pip-tools", "pip-compile", "--quiet", "--generate-hashes"]
    theirs += ["--no-strip-extras", "--output-file=theirs.txt", str(PRODUCTION), "requirements.in"]
    return times(*bench.race(Contender(ours), Contender(shlex.join(theirs), "rm -f theirs.txt"), runs=2), at_least=20)


def cold(bench: Bench) -> Result:
    """Build without a layer and without a package from before."""
    empty = "docker builder prune --force --filter type=exec.cachemount"
    both = (bench.build(folder, "--no-cache", prepare=empty) for folder in (bench.project, bench.article))
    return times(*bench.race(*both, runs=2), at_least=3)


def package(bench: Bench) -> Result:
    """Build again after a package was added to the lock."""
    folders = bench.built
    added = bench.run("uv", "pip", "compile", "--quiet", "--generate-hashes", "--no-deps", "wheels/added.txt")
    (bench.folder / "added.txt").write_text(f"{added}\n", encoding="utf-8")
    both = []
    for folder in folders:
        lock = folder / "requirements.txt"
        shutil.copy(lock, f"{folder}.txt")
        # Another lock each time.
        prepare = f"(cat {folder}.txt added.txt; date +%s%N | sed 's/^/# /') >{lock}"
        both.append(bench.build(folder, prepare=prepare))
    result = times(*bench.race(*both, runs=2), at_least=10)
    for folder in folders:
        shutil.copy(f"{folder}.txt", folder / "requirements.txt")
    return result


def notebook(bench: Bench) -> Result:
    """Build again after the notebook was edited, and look which layers are new."""
    folders = bench.built
    before = bench.layers(bench.project)
    both = []
    for folder in folders:
        prepare = f"date +%s%N | sed 's/^/# /' >{folder}/src/notes.py"
        both.append(bench.build(folder, prepare=prepare))
    ours, other = bench.race(*both, runs=5)
    new = [number for number, layer in enumerate(bench.layers(bench.project)) if layer != before[number]]
    only_last = new == [len(before) - 1]
    return Result(shown(ours), shown(other), f"{len(new)} of {len(before)} layers new", only_last and ours[0] < 2)


def second(bench: Bench) -> Result:
    """Build an analysis with the same tools and another lock, where the first one is built."""
    other = bench.folder / "second"
    shutil.copytree(bench.project, other)
    lock = (other / "requirements.txt").read_text(encoding="utf-8")
    without = re.sub(r"^pymysql==[^\n]*\n(?: [^\n]*\n)*", "", lock, flags=re.MULTILINE)
    (other / "requirements.txt").write_text(without, encoding="utf-8")
    first = bench.race(bench.build(bench.project, "--no-cache"), runs=1)[0]
    told = bench.build(other).command.replace("--quiet", "--progress=plain")
    needed = bench.race(Contender(f"{told} 2>second.log"), runs=1)[0]
    log = (bench.folder / "second.log").read_text(encoding="utf-8")
    step = re.search(r"^#(\d+) \[.*?\] RUN .*uv venv \S+ \S+ /opt/tools", log, re.MULTILINE)
    shared = step is not None and f"#{step[1]} CACHED" in log
    return Result(shown(needed), shown(first), "tools shared" if shared else "tools NOT shared", shared)


def size(bench: Bench) -> Result:
    """Compare what the files of the images take, and what is sent to a registry."""
    on_disk, sent = [], []
    for image in map(bench.image, bench.built):
        du = ["docker", "run", "--rm", "--user=root", "--entrypoint=du", image, "-sx", "--block-size=1M", "/"]
        on_disk.append(int(bench.run(*du).split()[0]))
        sent.append(int(bench.run("sh", "-c", f"docker save {image} | wc -c")) / 2**20)
    ours, theirs = (f"{files} MB ({packed:.0f} saved)" for files, packed in zip(on_disk, sent, strict=True))
    compared = on_disk[0] / on_disk[1]
    return Result(ours, theirs, f"{compared:.2f} x ({sent[0] / sent[1]:.2f} x saved)", compared <= 0.9)


def start(bench: Bench) -> Result:
    """Start what is built until the page of JupyterLab is there for who is logged in."""
    project, _ = bench.built
    tools, inside, outside = bench.folder / "tools", free_port(), free_port()
    bench.run("uv", "venv", "--quiet", "--python", sys.executable, str(tools))
    bench.run("uv", "pip", "sync", "--quiet", "--python", str(tools), str(project / "tools.txt"))
    password = (project / ".secrets" / "jupyter_password").read_text(encoding="utf-8").strip()

    def page(port: int) -> str:
        asking = f"curl --fail --silent --header 'Authorization: token {password}' http://127.0.0.1:{port}/lab"
        return f"until {asking} >page.html; do sleep 0.02; done; grep -q jupyter-config-data page.html"

    compose = f"PORT={inside} docker compose --project-directory {project}"
    lab = f"{tools}/bin/jupyter lab --no-browser --port={outside} --IdentityProvider.token={password} --allow-root"
    stop = "kill $(cat lab.pid) && while kill -0 $(cat lab.pid); do sleep 0.1; done 2>lab.log; true"
    bench.run("sh", "-c", "echo 0 >lab.pid")
    ours = Contender(f"{compose} up --detach --quiet-pull && {page(inside)}", f"{compose} down --timeout 3")
    other = Contender(
        f"{{ {lab} >lab.log 2>&1 & echo $! >lab.pid; }} && {page(outside)}", f"[ $(cat lab.pid) = 0 ] || {{ {stop}; }}"
    )
    try:
        return ratio(*bench.race(ours, other, runs=5, warmup=1), at_most=1.3)
    finally:
        bench.run("sh", "-c", f"{other.prepare}; {compose} down --volumes --timeout 3")


def tests(bench: Bench) -> Result:
    """Run the fast tests."""
    fast = [sys.executable, "-m", "pytest", "--quiet", "-m", "not docker and not network", f"--rootdir={TEMPLATE}"]
    needed = bench.race(Contender(f"cd {TEMPLATE} && {shlex.join(fast)}"), runs=2)[0]
    return Result(shown(needed), "", "", needed[0] < 60)


LINES = {
    "generation": Line("generation, no production file", "the template without hooks", "<= 1.25 x", generation),
    "production": Line(
        f"generation with {len(PRODUCTION.read_text(encoding='utf-8').splitlines())} production pins, warm cache",
        "`uv pip compile` of the same input alone",
        "<= + 0.6 s",
        production,
    ),
    "pinning": Line("pinning", "pip-tools on the same input", ">= 20 x faster", pinning),
    "cold": Line("cold image build", "the article's Dockerfile", ">= 3 x faster", cold),
    "package": Line("rebuild after adding one package", "the article's", ">= 10 x faster", package),
    "notebook": Line("rebuild after editing a notebook", "the article's", "only the copy is new, < 2 s", notebook),
    "second": Line("second analysis of a team", "its first build", "tools layer shared", second),
    "size": Line("image size, same packages", "the article's", "<= 0.9 x", size),
    "start": Line("`docker compose up` to a logged-in page", "`jupyter lab` on the host", "<= 1.3 x", start),
    "tests": Line("the fast test suite", "", "< 60 s", tests),
}


def ratio(ours: tuple[float, float], other: tuple[float, float], *, at_most: float) -> Result:
    """Compare where ours can only be slower."""
    return Result(shown(ours), shown(other), f"{ours[0] / other[0]:.2f} x", ours[0] / other[0] <= at_most)


def times(ours: tuple[float, float], other: tuple[float, float], *, at_least: float) -> Result:
    """Compare where ours is to be faster."""
    faster = other[0] / ours[0]
    return Result(shown(ours), shown(other), f"{faster:.1f} x faster", faster >= at_least)


def shown(needed: tuple[float, float]) -> str:
    """Return a mean with its deviation."""
    mean, deviation = needed
    return f"{mean * 1000:.0f} ± {deviation * 1000:.0f} ms" if mean < 1 else f"{mean:.1f} ± {deviation:.1f} s"


@contextmanager
def benches() -> Iterator[Bench]:
    """Give what the lines need, until they are done with it."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        yield Bench(Path(folder), stack)


def main(*names: str) -> int:
    """Print the table, and return the number of goals that were missed."""
    if shutil.which("hyperfine") is None:
        sys.exit("hyperfine is missing; install it, with: apt-get install hyperfine, or: brew install hyperfine")
    if PYTHON not in DEBIAN:
        sys.exit(f"Python {PYTHON} is on no Debian release offered; start with: uv run --python 3.13 {sys.argv[0]}")
    if unknown := [name for name in names if name not in LINES]:
        sys.exit(f"no line {', '.join(unknown)}; choose from {', '.join(LINES)}")
    rows = ["| line | what | against | ours | theirs | compared | goal | reached |", "|" + "---|" * 8]
    missed = 0
    with benches() as bench:
        for name in names or LINES:
            line = LINES[name]
            got = line.measure(bench)
            missed += not got.reached
            cells = (name, line.what, line.against, got.ours, got.other, got.compared, line.goal)
            rows.append(f"| {' | '.join(cells)} | {'yes' if got.reached else 'no'} |")
            print(rows[-1], file=sys.stderr)
    machine = f"{date.today()}, {os.cpu_count()} CPUs ({platform.machine()}), Python {PYTHON}, Debian {DEBIAN[PYTHON]}"
    table = "\n".join([machine, "", *rows, ""])
    print(table)
    if not names:
        before = PAGE.read_text(encoding="utf-8").partition("## Results\n")[0]
        PAGE.write_text(f"{before}## Results\n\n{table}", encoding="utf-8")
    return missed


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
