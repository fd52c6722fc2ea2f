"""Prepare a release: ``uv run releases/prepare.py 2026.12.0``; ``--dry-run`` shows it and changes nothing."""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

from packaging.version import Version

sys.path.insert(0, str(Path(__file__).parents[1]))

from releases.assets import section

ROOT = Path(__file__).parents[1]
GIT = shutil.which("git") or "git"
CALVER = re.compile(r"(\d{4})\.([1-9]|1[0-2])\.(0|[1-9]\d*)")
RELEASE = "ds_docker_env/generation/release.py"
# The programs that write pages and trees from the code.
RENEWING = ("tests/golden.py", "tests/reference.py")


def problems(version: str, day: date) -> list[str]:
    """Return all reasons against a release, each with its fix."""
    found = []
    month, tags = f"{day.year}.{day.month}", [tag for tag in _git("tag").split() if CALVER.fullmatch(tag)]
    newest = max([Version(_read_version(ROOT)), *map(Version, tags)])
    if not CALVER.fullmatch(version) or version.rpartition(".")[0] != month:
        found.append(f"{version}: not a version of this month; use {month}.PATCH, such as {month}.0")
    elif Version(version) <= newest:
        found.append(f"{version}: not newer than {newest}; increase PATCH")
    if (branch := _git("branch", "--show-current").strip()) != "main":
        found.append(f"branch: {branch or 'none'}, but a release is made from main; run `git switch main`")
    if changed := _git("status", "--porcelain").splitlines():
        some = ", ".join(line[3:] for line in changed[:3]) + (f" and {len(changed) - 3} more" if changed[3:] else "")
        found.append(f"working tree: uncommitted changes in {some}; commit or stash them")
    if "\n- " not in "\n" + section(_read("CHANGELOG.md"), "Unreleased"):
        found.append("CHANGELOG.md: [Unreleased] is empty; describe the changes for users")
    return found


def released(changelog: str, version: str, day: date, url: str) -> str:
    """Return the changelog with the unreleased entries under this version, and with links that compare versions."""
    before = re.search(rf"^## \[({CALVER.pattern})\]", changelog, re.MULTILINE)
    text = changelog.replace("## [Unreleased]\n", f"## [Unreleased]\n\n## [{version}] - {day}\n", 1)
    text = re.sub(r"^\[Unreleased\]: .*\n", "", text, flags=re.MULTILINE)
    this = f"{url}/compare/{before[1]}...{version}" if before else f"{url}/releases/tag/{version}"
    links = f"[Unreleased]: {url}/compare/{version}...main\n[{version}]: {this}\n"
    first = re.search(r"^\[\d.*\]: ", text, re.MULTILINE)
    return text[: first.start()] + links + text[first.start() :] if first else f"{text.rstrip()}\n\n{links}"


def prepare(folder: Path, version: str, day: date, *, keep_locks: bool) -> tuple[str, str, str]:
    """Commit the release and the next version in a worktree; return both commits and the digest of ``wheels.txt``."""
    if not keep_locks:
        _run(folder, "locks/refresh.py")
    url = json.loads(_read("cookiecutter.json", folder))["_template_url"]
    changelog = released(_read("CHANGELOG.md", folder), version, day, url)
    (folder / "CHANGELOG.md").write_text(changelog, encoding="utf-8", newline="\n")
    tagged = _commit(folder, version, f"Release {version}")
    with TemporaryDirectory() as assets:
        _run(folder, "releases/assets.py", version, assets)
        digest = hashlib.sha256(Path(assets, "wheels.txt").read_bytes()).hexdigest()
    year, month, patch = version.split(".")
    following = f"{year}.{month}.{int(patch) + 1}.dev0"
    return tagged, _commit(folder, following, f"Begin {following}"), digest


def _commit(folder: Path, version: str, message: str) -> str:
    """Set the version, renew the pages that are made from the code, and commit."""
    module = _read(RELEASE, folder).replace(f'"{_read_version(folder)}"', f'"{version}"')
    (folder / RELEASE).write_text(module, encoding="utf-8", newline="\n")
    for program in RENEWING:
        if (folder / program).exists():
            _run(folder, program)
    _git("add", "--all", folder=folder)
    _git("commit", "--quiet", "--message", message, folder=folder)
    return _git("rev-parse", "HEAD", folder=folder).strip()


@contextlib.contextmanager
def _worktree() -> Iterator[Path]:
    """Check the commit out into a temporary directory, so that a failure leaves this one as it is."""
    with TemporaryDirectory() as parent:
        folder = Path(parent, ROOT.name)
        _git("worktree", "add", "--quiet", "--detach", str(folder))
        try:
            yield folder
        finally:
            _git("worktree", "remove", "--force", str(folder))


def _read(name: str, folder: Path = ROOT) -> str:
    return (folder / name).read_text(encoding="utf-8")


def _read_version(folder: Path) -> str:
    found: list[str] = re.findall(r'^VERSION = "(.*)"$', _read(RELEASE, folder), re.MULTILINE)
    return found[0]


def _run(folder: Path, program: str, *arguments: str) -> None:
    """Run a program of the worktree by this Python, with its output on standard error."""
    subprocess.run([sys.executable, program, *arguments], cwd=folder, check=True, stdout=sys.stderr)


def _git(*arguments: str, folder: Path = ROOT) -> str:
    done = subprocess.run([GIT, *arguments], cwd=folder, check=True, stdout=subprocess.PIPE, encoding="utf-8")
    return done.stdout


def main(words: Sequence[str]) -> int:
    """Return 0 if the release is prepared, or would be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("version", help="such as 2026.12.0: year, month and number of the release in that month")
    parser.add_argument("--dry-run", action="store_true", help="show the commits and the message of the tag only")
    parser.add_argument("--keep-locks", action="store_true", help="leave the locks as they are")
    parser.add_argument("--day", type=date.fromisoformat, default=date.today(), help="of the release (today)")
    asked = parser.parse_args(words)
    found = problems(asked.version, asked.day)
    print("".join(f"{problem}\n" for problem in found), end="", file=sys.stderr)
    # A dry run shows the reasons against the release, and the release.
    if found and not (asked.dry_run and CALVER.fullmatch(asked.version)):
        return 1
    before = _git("rev-parse", "HEAD").strip()
    with _worktree() as folder:
        tagged, head, digest = prepare(folder, asked.version, asked.day, keep_locks=asked.keep_locks)
    message = f"{asked.version}\n\nSHA-256 of the list of wheels:\n{digest}  wheels.txt\n"
    if asked.dry_run:
        print(_git("log", "--reverse", "--stat", "--patch", f"{before}..{head}"), f"Tag: {message}", sep="\n")
        return bool(found)
    _git("tag", "--sign", "--message", message, asked.version, tagged)
    try:
        # git 2.39 makes a tag without a signature if it cannot read the key.
        if "-----BEGIN " not in _git("cat-file", "tag", asked.version):
            sys.exit(f"{asked.version}: git has not signed the tag; correct user.signingKey: nothing has changed")
        _git("merge", "--quiet", "--ff-only", head)
    except BaseException:
        _git("tag", "--delete", asked.version)
        raise
    print(f"Next:  git push --atomic origin main {asked.version}")
    print(f"Undo:  git tag --delete {asked.version} && git reset --hard {before}")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except subprocess.CalledProcessError as error:
        command = " ".join(map(str, error.cmd[1:3]))
        sys.exit(f"{command}: exit code {error.returncode}; fix the reason above: nothing has changed")
