"""Kill cookiecutter at moments spread over generation: a whole project or one hidden directory at most may be left.

    uv run benchmarks/kill.py [MOMENTS]

Then generates again, which must give a whole project and remove the hidden directory. Prints a table; exits with 1 if
a project was half done or lost, or the next run failed. Needs POSIX.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

TEMPLATE = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TEMPLATE), str(TEMPLATE / "tests")]

from package_index import PackageIndex  # noqa: E402

OWN = {"src/analysis.ipynb": "mine", ".secrets/jupyter_password": "mine\n", "src/data/mine.csv": "1\n", ".env": "A=1\n"}
EDITED = {"README.md": "mine\n", "Dockerfile": "FROM mine\n", "tools.txt": "old\n"}
HIDDEN = [".p.generating", "p/.generating"]
Tree = dict[str, bytes]


def tree(folder: Path) -> Tree:
    """Return the content of every file, and the names of folders."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() if path.is_file() else b"" for path in folder.rglob("*")
    }


def alike(tree: Tree) -> Tree:
    """Return a tree without values that differ each time."""

    def steady(content: bytes) -> bytes:
        return b"\n".join(line for line in content.split(b"\n") if b"index as of" not in line)

    return {name: b"" if name == "p/.secrets/jupyter_password" else steady(content) for name, content in tree.items()}


class Case:
    """One way to generate, in its own folders."""

    def __init__(self, folder: Path, *, again: bool, production: str, index: str) -> None:
        self.folder, self.again = folder, again
        home = folder / "home"
        home.mkdir(parents=True)
        self.environment = {**os.environ, "HOME": str(home), "UV_DEFAULT_INDEX": index}
        answers = ["project_slug=p", "dvc_s3_url=s3://bucket/x", "services=redis"]
        self.command = [
            *(sys.executable, "-m", "cookiecutter", str(TEMPLATE), "--no-input"),
            *(["--overwrite-if-exists"] if again else []),
            *answers,
            *([f"production_requirements={production}"] if production else []),
        ]
        self.count = 0

    def prepared(self) -> Path:
        """Return a new output folder, which contains the project to generate again."""
        self.count += 1
        output = self.folder / str(self.count)
        output.mkdir()
        if self.again:
            for name, text in (OWN | EDITED).items():
                path = output / "p" / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
        return output

    def start(self, output: Path) -> subprocess.Popen[bytes]:
        """Begin to generate."""
        return subprocess.Popen(
            self.command,
            cwd=output,
            env=self.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )

    def whole(self) -> tuple[Tree, float]:
        """Return the result and the seconds."""
        output = self.prepared()
        begin = time.monotonic()
        if self.fails(output):
            sys.exit(f"generation fails by itself: {' '.join(self.command)}")
        return alike(tree(output)), time.monotonic() - begin

    def fails(self, output: Path) -> bool:
        """Generate to the end; return whether that failed."""
        process = self.start(output)
        process.communicate()
        return bool(process.returncode)

    def killed(self, after: float, *, group: bool, whole: Tree) -> str:
        """Return the state after a kill, and the reason if the next run does not make it whole."""
        output = self.prepared()
        before = tree(output)
        process = self.start(output)
        time.sleep(after)
        ended = process.poll() is not None
        (os.killpg if group else os.kill)(process.pid, signal.SIGKILL) if not ended else None
        # The hook may outlive cookiecutter.
        process.communicate()
        left = tree(output)
        visible = without(left, HIDDEN)
        interrupted = any((output / name / "plan").exists() for name in HIDDEN)
        if left == before:
            outcome = "nothing new"
        elif visible == before:
            outcome = "a hidden directory"
        elif interrupted:
            outcome = "a hidden directory, and files half in their places"
        elif self.settled(visible) == self.settled(whole):
            outcome = "whole, before the kill" if ended else "whole"
        else:
            changed = {name for name in left.keys() | before.keys() if left.get(name) != before.get(name)}
            return f"HALF: {sorted(changed)}"
        if outcome.startswith("whole") and left != visible and not self.again:
            return f"{outcome}, with a hidden directory"
        if not outcome.startswith("whole") and (self.fails(output) or alike(tree(output)) != whole):
            return f"THE NEXT RUN FAILS after {outcome}"
        lost = [name for name, text in OWN.items() if self.again and (output / "p" / name).read_text() != text]
        return f"LOST: {lost}" if lost else outcome

    def settled(self, tree: Tree) -> Tree:
        """Return a tree without the repository, which an older project gets last."""
        return alike(without(tree, ["p/.git"]) if self.again else tree)


def without(tree: Tree, folders: list[str]) -> Tree:
    """Return a tree without these folders."""
    return {name: content for name, content in tree.items() if not any(f"{name}/".startswith(f"{f}/") for f in folders)}


def main() -> int:
    """Print the table and return the exit code."""
    moments = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    outcomes: Counter[tuple[str, str, str]] = Counter()
    with tempfile.TemporaryDirectory() as folder, PackageIndex(Path(folder) / "index") as index:
        index.add_analysis_packages()
        for name, version in (("prod", "1.0"), ("redis", "9999.1")):
            index.add(name, version)
        pins = Path(folder, "requirements.txt")
        pins.write_text("prod==1.0\n", encoding="utf-8")
        for again in (False, True):
            for production in ("", str(pins)):
                name = f"{'again' if again else 'new'}{', production' if production else ''}"
                case = Case(Path(folder, name), again=again, production=production, index=index.url)
                case.whole()
                whole, seconds = case.whole()
                for group in (False, True):
                    for moment in range(moments):
                        outcome = case.killed(seconds * (moment + 0.5) / moments, group=group, whole=whole)
                        outcomes[name, "group" if group else "alone", outcome] += 1
    for (case_name, killed, outcome), count in sorted(outcomes.items()):
        print(f"{case_name:20} {killed:6} {count:4}  {outcome}")
    return int(any(not outcome.startswith(("whole", "nothing new", "a hidden")) for *_, outcome in outcomes))


if __name__ == "__main__":
    sys.exit(main())
