"""Kill Jupyter at random moments while it saves a notebook of 3 MB: the old notebook or the new one must be left.

    uv run benchmarks/save.py IMAGE [KILLS] [OPTION OF JUPYTER...]

IMAGE is one that a generated project built. Prints a table; exits with 1 if a notebook was broken or lost. For
jupyter_server's own way of saving, give
--ServerApp.contents_manager_class=jupyter_server.services.contents.largefilemanager.AsyncLargeFileManager
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.error import URLError

LINES, CELLS = 1000, 40
NAME = "src/saved.ipynb"


def notebook(number: int) -> dict[str, Any]:
    """Return a notebook of 3 MB with this number in each cell."""
    text = f"{number} and some more, to fill a line of text which one might have printed in a cell\n" * LINES
    cell = {"cell_type": "markdown", "metadata": {}, "source": text}
    return {
        "cells": [{**cell, "id": str(place)} for place in range(CELLS)],
        "metadata": {},
        "nbformat": 4,
        "nbformat_minor": 5,
    }


def state(path: Path, old: int) -> str:
    """Return the number of the notebook in a file, if it is complete."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError:
        return "LOST"
    except ValueError:
        return "BROKEN"
    cells = ["".join(cell["source"]) for cell in content["cells"]]
    found = [number for number in (old, old + 1) if cells == [cell["source"] for cell in notebook(number)["cells"]]]
    return {(old,): "old", (old + 1,): "new"}.get(tuple(found), "MIXED")


class Server:
    """A container with Jupyter on a directory."""

    def __init__(self, image: str, directory: Path, options: list[str]) -> None:
        command = ["docker", "create", "--publish=127.0.0.1::8888", f"--volume={directory}/src:/project/src", image]
        jupyter = ["jupyter", "server", "--IdentityProvider.token=t", "--ServerApp.disable_check_xsrf=True"]
        self.name = run(*command, *jupyter, *options)

    def start(self) -> str:
        """Start, and return the address once it answers."""
        run("docker", "start", self.name)
        url = f"http://{run('docker', 'port', self.name, '8888').splitlines()[0]}"
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                with urllib.request.urlopen(f"{url}/api", timeout=5):  # noqa: S310
                    return url
            except (URLError, OSError):
                time.sleep(0.1)
        sys.exit(f"{self.name} does not answer:\n{run('docker', 'logs', self.name)}")

    def kill(self) -> None:
        """Kill every process."""
        run("docker", "kill", self.name)

    def remove(self) -> None:
        """Remove the container."""
        run("docker", "rm", "--force", "--volumes", self.name)


def run(*command: str) -> str:
    """Return the output of a command."""
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def save(url: str, body: bytes) -> float:
    """Save and return the seconds."""
    headers = {"Authorization": "token t", "Content-Type": "application/json"}
    request = urllib.request.Request(f"{url}/api/contents/{NAME}", body, headers, method="PUT")  # noqa: S310
    begin = time.monotonic()
    with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
        answer.read()
    return time.monotonic() - begin


def body(number: int) -> bytes:
    """Return JupyterLab's request that saves this notebook."""
    return json.dumps({"type": "notebook", "format": "json", "content": notebook(number)}).encode()


def attempt(url: str, content: bytes) -> None:
    """Save on a server that is about to be killed."""
    with suppress(OSError):
        save(url, content)


def main() -> int:
    """Print the table and return the exit code."""
    image, kills = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 100
    chance = random.Random(1)  # noqa: S311
    outcomes, number = Counter[str](), 0
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, NAME)
        path.parent.mkdir()
        # The image may have another user.
        Path(directory).chmod(0o755)
        path.parent.chmod(0o777)
        server = Server(image, Path(directory), sys.argv[3:])
        try:
            url = server.start()
            save(url, body(0))
            seconds = max(save(url, body(0)) for _ in range(3))
            for _ in range(kills):
                content = body(number + 1)
                saving = threading.Thread(target=attempt, args=(url, content))
                saving.start()
                time.sleep(chance.uniform(0, seconds))
                server.kill()
                saving.join()
                outcome = state(path, number)
                outcomes[outcome] += 1
                url = server.start()
                number += 1
                save(url, body(number))
        finally:
            server.remove()
        left = [one.name for one in path.parent.iterdir() if one.name.startswith(".~")]
    print(
        f"{kills} kills, within {seconds * 1000:.0f} ms of the beginning of a save; {len(left)} hidden files are left"
    )
    for outcome, count in sorted(outcomes.items()):
        print(f"{count:5}  {outcome}")
    return int(bool(outcomes.keys() - {"old", "new"}))


if __name__ == "__main__":
    sys.exit(main())
