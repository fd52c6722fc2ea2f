"""Compare a generation with an empty cache and a second one, for production that must build sources.

Run ``uv run benchmarks/cold.py [--against CHECKOUT] [--busy]``. Sides are this template and another checkout of it,
such as the one before a change. Each pins the same file twice, from an index on this machine that lets uv keep files,
and from one that does not. With ``--busy`` three other processes compute for each processor.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

TEMPLATE = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TEMPLATE), str(TEMPLATE / "tests")]

from package_index import PackageIndex  # noqa: E402

SOURCES = [f"source-{number}" for number in range(6)]
HEADERS = {"kept": "max-age=365000000, immutable", "stripped": "no-cache"}
# Each build works for half a second and records itself in a file.
BACKEND = """\
import os, time
def prepare_metadata_for_build_wheel(folder, settings=None):
    while time.process_time() < 0.5: pass
    open({built!r}, "a").write("x")
    os.mkdir(os.path.join(folder, "{module}-1.0.dist-info"))
    with open(os.path.join(folder, "{module}-1.0.dist-info", "METADATA"), "w") as file:
        file.write("Metadata-Version: 2.1\\nName: {name}\\nVersion: 1.0\\n")
    return "{module}-1.0.dist-info"
"""
# The load ends by itself, because this process may be killed.
LOAD = "import time\nend = time.time() + 900\nwhile time.time() < end: pass"


def pin(side: Path, index: PackageIndex, cache: Path, production: Path) -> float:
    """Pin production's file as generation does and return the seconds."""
    asked = {
        "python": "3.11",
        "options": [],
        "requirements": "",
        "before": "",
        "location": str(production),
        "debian": "bookworm",
        "settings": "",
        "built_with": "",
    }
    variables = {"UV_DEFAULT_INDEX": index.url, "UV_CACHE_DIR": str(cache), "PYTHONPATH": str(side)}
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "ds_docker_env.pinning"],
        input=json.dumps(asked),
        env={**os.environ, **variables},
        cwd=cache.parent,
        capture_output=True,
        text=True,
        check=True,
    )
    seconds = time.monotonic() - started
    if "problems" in (answer := json.loads(done.stdout)):
        sys.exit("\n".join(answer["problems"]))
    return seconds


@contextmanager
def busy(number: int) -> Iterator[None]:
    """Keep this many processes busy."""
    processes = [subprocess.Popen([sys.executable, "-c", LOAD]) for _ in range(number)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()


def main() -> None:
    """Print a line for each side and index."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--against", type=Path)
    parser.add_argument("--busy", action="store_true")
    options = parser.parse_args()
    sides = {"here": TEMPLATE, **({"against": options.against.resolve()} if options.against else {})}
    print(f"{'side':8} {'headers':9} {'first':>7} {'builds':>7} {'second':>7} {'builds':>7}")
    with busy(3 * (os.cpu_count() or 1) if options.busy else 0):
        for headers, control in HEADERS.items():
            for name, side in sides.items():
                with tempfile.TemporaryDirectory() as folder, PackageIndex(Path(folder, "index")) as index:
                    index.cache_control = control
                    index.add_analysis_packages()
                    built, production = Path(folder, "built"), Path(folder, "requirements.txt")
                    for source in SOURCES:
                        module = source.replace("-", "_")
                        backend = BACKEND.format(built=str(built), name=source, module=module)
                        index.add_source(source, "1.0", backend=backend)
                    # A conflict with a package of the analysis makes generation call uv more than once.
                    index.add("fsspec", "0.9", "9.0")
                    index.add("s3fs", "2021.4", "9999.1", requires=("fsspec>=1",))
                    pins = "".join(f"{source}==1.0\n" for source in SOURCES) + "fsspec==0.9\n"
                    production.write_text(pins, encoding="utf-8")
                    cells, before = [], 0
                    for _ in range(2):
                        seconds = pin(side, index, Path(folder, "cache"), production)
                        builds = len(built.read_text(encoding="utf-8"))
                        cells += [f"{seconds:5.1f} s", f"{builds - before:7}"]
                        before = builds
                    print(f"{name:8} {headers:9} {' '.join(cells)}", flush=True)


if __name__ == "__main__":
    main()
