"""A generated project, and the actions of a user with Docker and HTTP."""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.cookiejar import CookieJar
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from urllib.request import HTTPCookieProcessor, build_opener

import nbformat

Done = subprocess.CompletedProcess[str]

NOTEBOOK = Path("src", "analysis.ipynb")
PASSWORD = Path(".secrets", "jupyter_password")
PROCESSES = """\
for process in /proc/[0-9]*; do
    cat $process/status && echo "environ: $(tr '\\0\\n' '  ' <$process/environ)"
done 2>/dev/null
true"""
SETUP = ("docker", "compose", "-p", "setup", "run", "--rm", "setup")
EXECUTE = ("jupyter", "nbconvert", "--to", "notebook", "--stdout", "--execute", "--allow-errors")


def free_port(address: str = "127.0.0.1") -> int:
    """Return a free port below the range that Linux gives to clients."""
    for _ in range(100):
        port = 15_000 + secrets.randbelow(17_000)
        with contextlib.suppress(OSError):
            socket.create_server((address, port)).close()
            return port
    raise OSError(f"no free port at {address}")


def sh(
    *command: str,
    folder: Path | None = None,
    check: bool = True,
    environment: Mapping[str, str] | None = None,
    timeout: float = 600,
) -> Done:
    """Run a command without standard input; a failure shows its output."""
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "BUILDKIT_PROGRESS": "plain", **(environment or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=False,
        timeout=timeout,
    )
    if check and done.returncode:
        raise AssertionError(f"exit code {done.returncode}: {' '.join(command)}\n{done.stdout}\n{done.stderr}")
    return done


def eventually(question: Callable[[], Any], what: str, seconds: float = 180) -> Any:
    """Ask until the answer is true; fail after a deadline."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if answer := question():
            return answer
        time.sleep(0.2)
    raise AssertionError(f"not within {seconds:.0f} s: {what}")


@dataclass(frozen=True)
class Answer:
    """Status and text of an HTTP answer."""

    status: int
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)


def ask(url: str, *, token: str = "", method: str = "GET", body: Any = None) -> Answer:
    request = urllib.request.Request(url, method=method, headers={"Authorization": f"token {token}"} if token else {})
    data = None if body is None else json.dumps(body).encode()
    try:
        with urllib.request.urlopen(request, data, timeout=30) as response:
            return Answer(response.status, response.read().decode())
    except urllib.error.HTTPError as error:
        return Answer(error.code, error.read().decode())
    except OSError as error:
        return Answer(0, str(error))


@dataclass(frozen=True)
class Project:
    """A folder with a Compose project name and a free port; many of them can share one built image."""

    folder: Path
    image: str
    name: str
    port: int = field(default_factory=free_port)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def password(self) -> str:
        return (self.folder / PASSWORD).read_text(encoding="utf-8").strip()

    @property
    def environment(self) -> dict[str, str]:
        return {"PORT": str(self.port), "COMPOSE_PROJECT_NAME": self.name}

    def read(self, name: str | Path) -> str:
        return (self.folder / name).read_text(encoding="utf-8")

    def compose(self, *arguments: str, check: bool = True) -> Done:
        return sh("docker", "compose", *arguments, folder=self.folder, check=check, environment=self.environment)

    def build(self) -> Done:
        """Build as Compose does, without compression, which would take half of the time."""
        read = [name for name in ("docker-compose.yml", "docker-compose.override.yml") if (self.folder / name).exists()]
        output = "--set=*.output=type=image,compression=uncompressed"
        bake = ("docker", "buildx", "bake", *(f"--file={name}" for name in read), output, "jupyter")
        # A secret may be a file in the home directory.
        allowed = {"BUILDX_BAKE_ENTITLEMENTS_FS": "0"}
        built = sh(*bake, folder=self.folder, environment=self.environment | allowed)
        # Otherwise the first command would print this build on standard output.
        self.compose("build", "--quiet", "writer")
        return built

    def run(self, *command: str, check: bool = True) -> Done:
        """Run a command in a new container, as the README does."""
        return self.compose("run", "--rm", "--no-TTY", "jupyter", *command, check=check)

    def container(self, service: str = "jupyter") -> str:
        return self.compose("ps", "--all", "--quiet", service).stdout.strip()

    def inspect(self, service: str = "jupyter") -> Any:
        return json.loads(sh("docker", "inspect", self.container(service)).stdout)[0]

    def processes(self, service: str = "jupyter", *, user: str = "") -> list[dict[str, str]]:
        """Return the status and environment of a container's processes, without those that Docker starts in it.

        A health check is root's for its first moments. The user, the project's owner unless told, sees only the
        environments of their own processes.
        """
        owner = self.folder.stat()
        user = user or f"{owner.st_uid}:{owner.st_gid}"
        told = self.compose("exec", "--no-TTY", "--user", user, service, "sh", "-c", PROCESSES).stdout
        states = re.split(r"^(?=Name:\t)", told, flags=re.MULTILINE)[1:]
        found = [dict(re.findall(r"^(\w+):[ \t]*(.*)$", state, re.MULTILINE)) for state in states]
        started = [state for state in found if state["Pid"] == "1"]
        for state in started:
            started += [child for child in found if child["PPid"] == state["Pid"]]
        return started

    def wait_until_answering(self) -> None:
        def answering() -> bool:
            assert self.inspect()["State"]["Running"], f"the server stopped:\n{self.log()}"
            return ask(f"{self.url}/api").status == 200

        eventually(answering, f"{self.name} answers")

    def log(self) -> str:
        log = self.compose("logs", "--no-color", "--no-log-prefix", "jupyter").stdout
        return re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", log)

    @contextmanager
    def up(self) -> Iterator[Project]:
        try:
            self.compose("up", "--detach")
            self.wait_until_answering()
            yield self
        finally:
            self.remove()

    def remove(self) -> None:
        self.compose("down", "--volumes", "--remove-orphans", "--timeout", "3", check=False)

    def api(self, path: str, *, method: str = "GET", body: Any = None) -> Answer:
        return ask(f"{self.url}{path}", token=self.password, method=method, body=body)

    def write_notebook(self, *cells: str, name: str = "src/asked.ipynb") -> str:
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
        notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python", "language": "python"}
        path = self.folder / name
        path.write_text(nbformat.writes(notebook), encoding="utf-8")
        return name

    def outputs(self, *cells: str) -> list[str]:
        """Run cells on the notebook's kernel and return the output of each."""
        return _printed_by_cells(self.run(*EXECUTE, self.write_notebook(*cells)).stdout)

    def outputs_beside_services(self, *cells: str) -> list[str]:
        """Do the same from a shell in the running container, so that Compose does not start or stop services."""
        execute = ("bash", "-c", 'exec "$0" "$@"', *EXECUTE, self.write_notebook(*cells))
        return _printed_by_cells(self.compose("exec", "--no-TTY", "jupyter", *execute).stdout)


def blocks(markdown: str, language: str) -> list[str]:
    """Return the blocks of code in this language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", markdown, re.MULTILINE | re.DOTALL)


def shown(html: str) -> str:
    """Return the text of a page, without tags."""
    return re.sub(r"<[^>]+>", "", html)


def _printed_by_cells(notebook: str) -> list[str]:
    return [_printed(cell) for cell in nbformat.reads(notebook, as_version=4).cells]


def _printed(cell: Any) -> str:
    parts = [
        output.get("text") or output.get("data", {}).get("text/plain") or "\n".join(output.get("traceback", []))
        for output in cell.outputs
    ]
    return re.sub(r"\x1b\[[0-9;]*m", "", "".join(parts)).strip()


def logs_in(project: Project) -> bool:
    """Submit the password to the login form."""
    jar = CookieJar()
    opener = build_opener(HTTPCookieProcessor(jar))
    opener.open(f"{project.url}/login", timeout=30).close()
    xsrf = next(cookie.value for cookie in jar if cookie.name == "_xsrf")
    form = urlencode({"password": project.password, "_xsrf": xsrf}).encode()
    opener.open(f"{project.url}/login", form, timeout=30).close()
    with opener.open(f"{project.url}/api/contents", timeout=30) as answer:
        return bool(answer.status == 200)


def printed_token(log: str) -> str:
    found = re.search(r"127\.0\.0\.1:\d+/\S*\?token=([0-9a-f]{32,})", log)
    return found[1] if found else ""


def token_of(container: str) -> str:
    said = sh("docker", "logs", container)
    return printed_token(said.stdout + said.stderr)
