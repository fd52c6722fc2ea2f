"""A file in a git repository."""

from __future__ import annotations

import atexit
import hashlib
import os
import posixpath
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from ds_docker_env.common import certificates, day
from ds_docker_env.common.errors import DayError, SourceError
from ds_docker_env.common.redaction import some, without_credentials
from ds_docker_env.common.sources.command import PROTOCOLS, Folder, TooLargeError, git_environment, run, run_git
from ds_docker_env.common.sources.interface import MAX_BYTES, Remote, too_large

# Seconds without progress of git.
SECONDS = 60
# Bytes on disk, and of one object in memory, as a few kilobytes may unpack to gigabytes. More than
# core.bigFileThreshold, above which git reads files in parts. GIT_ALLOC_LIMIT is documented in git's tests only.
MOST, _MEMORY = 2_000_000_000, 600_000_000
_SHOWN = 5

# https://git-scm.com/docs/git-check-ref-format, and names that git fetch would take for a refspec or an option.
_BAD_REF = re.compile(r"^[-+/.]|[ ~^:?*\[\\]|\.\.|@\{|//|[/.]$|\.lock$")
_BAD_PATH = re.compile(r"^[-/]|^(?:.*/)?\.\.(?:/|$)")
_AT = re.compile(rf"@({day.PATTERN})$")
_LIKE_A_DAY = re.compile(r"(?:^|@)\d{4}[-./]?\d{1,2}[-./]?\d{1,2}$")
_HASH = re.compile(r"[0-9a-f]{7,40}", re.IGNORECASE)
_REMOTE = "production"
# Infinite depth: https://git-scm.com/docs/shallow. Without a depth, a fetch with a filter from a shallow repository,
# such as a pipeline's checkout, would never end.
_ALL = "--depth=2147483647"
_EVERYTHING = ("+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*")
# Answers of servers that lack a commit, or do not serve commits by hash.
_UNKNOWN = rb"find remote ref|unadvertised object|not our ref|not valid"


@dataclass(frozen=True)
class GitFile(Remote):
    """A file at ``git+URL@REF@DAY#PATH``; REF defaults to the default branch, PATH to requirements.txt.

    With a DAY, such as 2026-03-01, the file at the end of that day in UTC, in the last commit up to then. First parents
    count, so a merged commit counts from its merge. Passwords and keys come from git's usual sources: netrc, a
    credential helper, an ssh agent.
    """

    @property
    def provenance(self) -> str:
        """The commit, as ``commit <40 hex>``, with its day if the location has a day."""
        _, commit, own = self._fetched()
        return f"commit {commit}{own}"

    @property
    def place(self) -> tuple[str, ...]:
        """The repository, the ref and the day."""
        return ("git", *self._parts()[:3])

    @property
    def day(self) -> str:
        """The day, or a blank."""
        return self._parts().day

    def on(self, other: str) -> str:
        """Return the location of this file on another day; a blank means now."""
        return self._parts()._replace(day=other).location

    def read(self) -> bytes:
        git, commit, own = self._fetched()
        path = posixpath.normpath(self._parts().path)
        kind, size, thing = git.look(f"{commit}:{path}")
        where = f"in commit {commit[:10]}{own}"
        if kind == "tree":
            raise SourceError(f"{self.name}: {path} is a directory {where}; {_there(git.files(thing), '')}")
        if kind == "link":
            raise SourceError(
                f"{self.name}: {path} is a link {where} that leads out of the repository; use the file itself"
            )
        if kind != "blob":
            raise SourceError(f"{self.name}: {path} is not {where}; {_there(git.files(commit), path)}")
        if size > MAX_BYTES:
            raise too_large(self.name)
        return git.must("cat-file", "blob", thing)

    def beside(self, reference: str) -> str:
        if "://" in reference:
            return reference
        parts = self._parts()
        joined = posixpath.normpath(posixpath.join(posixpath.dirname(parts.path), reference))
        return parts._replace(path=joined).location

    def _parts(self) -> _Parts:
        address, _, path = self.location.removeprefix("git+").partition("#")
        found = _AT.search(address)
        repository = _repository(address[: found.start()] if found else address)
        return _Parts(*repository, found[1] if found else "", path or "requirements.txt")

    def _fetched(self) -> tuple[_Git, str, str]:
        self._check()
        url, ref, asked, _ = self._parts()
        if (url, ref, asked) not in _FETCHED:
            _FETCHED[url, ref, asked] = _fetch(self.name, url, ref, asked)
        folder, commit, own = _FETCHED[url, ref, asked]
        return _Git(self.name, folder), commit, f" of {own}" if own else ""

    def _check(self) -> None:
        if not self.location.isprintable():
            raise SourceError(f"{self.name!r}: contains an unprintable character; enter it again")
        url, ref, asked, path = self._parts()
        day.checked(asked, self.name)
        protocol = url.partition("://")[0].lower() if "://" in url else "file"
        if protocol not in PROTOCOLS or not (url.startswith("/") or "://" in url):
            raise SourceError(
                f"{self.name}: git cannot read this URL; use git+https://, git+ssh://, git+file:/// or git+/path"
            )
        if protocol != "file" and not _has_host(url):
            raise SourceError(
                f"{self.name}: has an invalid host; write it as https://host/team/repository.git "
                "or ssh://git@host/team/repository.git, with a / after the host"
            )
        if self.location.partition("#")[0].endswith("@") or (ref and _BAD_REF.search(ref)):
            raise SourceError(
                f"{self.name}: {ref!r} is not a branch, tag or commit; write one after the @, such as @v1.4.2"
            )
        if _BAD_PATH.search(path):
            raise SourceError(
                f"{self.name}: {path!r} is not a path in a repository; write it relative to its root, without .."
            )


class _Parts(NamedTuple):
    """The URL of a repository, a ref and a day or blanks, and a path."""

    url: str
    ref: str
    day: str
    path: str

    @property
    def location(self) -> str:
        at = "".join(f"@{each}" for each in (self.ref, self.day) if each)
        return f"git+{self.url}{at}#{self.path}"


# Directory, commit and its day by URL, ref and day, so that included files come from the same commit.
_FETCHED: dict[tuple[str, str, str], tuple[Path, str, str]] = {}


@dataclass(frozen=True)
class _Git:
    """Git in a new bare repository, for a source with this name."""

    name: str
    folder: Path

    def run(self, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[bytes]:
        # Otherwise the user's hooks would run.
        quiet = ("-c", f"core.hooksPath={os.devnull}", "-c", "gc.auto=0", "-c", "maintenance.auto=false")
        command = ["git", f"--git-dir={self.folder}", *quiet, *arguments]
        environment = {**git_environment(), "GIT_ALLOC_LIMIT": str(_MEMORY)}
        try:
            folder = Folder(self.folder, MOST)
            return run(command, seconds=SECONDS, environment=environment, stdin=stdin.encode(), folder=folder)
        except TooLargeError:
            shutil.rmtree(self.folder, ignore_errors=True)
            raise SourceError(
                f"{self.name}: git would fetch more than {MOST / 1e9:g} GB; clone it and use the file in the clone"
            ) from None
        except subprocess.TimeoutExpired:
            raise SourceError(
                f"{self.name}: git received nothing within {SECONDS:g} s; try again, or clone the repository "
                "and use the file in the clone"
            ) from None
        except OSError as error:
            raise SourceError(f"{self.name}: git cannot be run ({error.strerror}); reinstall it") from None

    def must(self, *arguments: str) -> bytes:
        done = self.run(*arguments)
        if done.returncode:
            raise self.failed(done)
        return done.stdout

    def fetch(self, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        return self.run("fetch", "--progress", "--no-tags", *arguments)

    def failed(self, done: subprocess.CompletedProcess[bytes]) -> SourceError:
        if b" over limit " in done.stderr:
            return SourceError(
                f"{self.name}: an object exceeds {_MEMORY / 1e9:g} GB; clone it and use the file in the clone"
            )
        cause = _cause(done.stderr)
        advice = next(
            (advice for pattern, advice in _ADVICE.items() if re.search(pattern, cause)),
            "test the URL with git ls-remote",
        )
        return SourceError(f"{self.name}: git fetch failed ({cause}); {advice}")

    def look(self, what: str) -> tuple[str, int, str]:
        """Return kind, size and object of ``commit:path``; follow links inside the repository."""
        done = self.run("cat-file", "--batch-check", "--follow-symlinks", stdin=f"{what}\n")
        if done.returncode:
            raise self.failed(done)
        if done.stdout.startswith((b"symlink ", b"dangling ", b"loop ")):
            return ("link", 0, "")
        found = re.match(rb"([0-9a-f]{40,64}) (\w+) (\d+)\n", done.stdout)
        return (found[2].decode(), int(found[3]), found[1].decode()) if found else ("", 0, "")

    def last_of(self, tip: str, asked: str) -> tuple[str, str]:
        """Return the last commit up to the end of a day, and its day; raise `DayError` if the first one is later."""
        follow = ("rev-list", "--first-parent", "--timestamp")
        until = int(day.last_second(asked).timestamp())
        found = self.must(*follow, "--max-count=1", f"--min-age={until}", tip).split()
        if found:
            return found[1].decode(), day.of(int(found[0]))
        first = day.of(int(self.must(*follow, "--max-parents=0", tip).split()[0]))
        fix = "use a later day"
        if (self.folder / "shallow").exists():
            fix = "use a later day, or run in this shallow repository: git fetch --unshallow"
        raise DayError(f"{self.name}: the first commit, of {first} (UTC), is later than {asked}; {fix}")

    def files(self, tree: str) -> list[str]:
        listed = self.run("ls-tree", "-r", "-z", "--name-only", "--full-tree", tree).stdout
        return [name for name in listed.decode(errors="replace").split("\0") if name and name.isprintable()]

    def commit(self, what: str) -> str:
        """Return the hash of a commit, or a blank if it is missing or ambiguous."""
        done = self.run("rev-parse", "--verify", "--quiet", f"{what}^{{commit}}")
        return "" if done.returncode else done.stdout.decode().strip()


def _repository(address: str) -> tuple[str, str]:
    """Split an address into the URL of the repository, and the ref or a blank."""
    scheme, separator, rest = address.partition("://") if "://" in address else ("", "", address)
    host, slash, folder = rest.partition("/")
    repository, at, ref = folder.partition(".git@")
    if at:
        repository += ".git"
    elif "@" in folder:
        repository, at, ref = folder.rpartition("@")
    return f"{scheme}{separator}{host}{slash}{repository}", ref


def _has_host(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return bool(parts.hostname) and not str(parts.hostname).startswith("-") and (parts.port or 1) > 0
    except ValueError:
        return False


def last_commit(path: str) -> str:
    """Return ``commit <40 hex>`` of the last change of a file, and whether it was changed since; blank outside of git.

    Settings of the file's repository can name programs that git runs. So a new repository without settings borrows its
    objects, and git does not read the file. A file that differs only in line endings counts as unchanged.
    """
    folder, name = os.path.split(os.path.realpath(path))
    # This command reads the settings, but does not run programs.
    asked = ("--git-path", "objects", "--git-path", "shallow", "--show-prefix", "--verify", "HEAD")
    answer = (run_git("-C", folder, "rev-parse", *asked) or "").split("\n")
    if len(answer) != 4:
        return ""
    objects, shallow, prefix, head = answer
    kind = "sha1" if len(head) == 40 else "sha256"
    with tempfile.TemporaryDirectory(prefix="ds-docker-env-git-") as own:
        run_git("init", "--quiet", "--bare", "--template=", *([f"--object-format={kind}"] * (kind != "sha1")), own)
        borrowed = {
            "GIT_OBJECT_DIRECTORY": os.path.join(folder, objects),
            "GIT_SHALLOW_FILE": os.path.join(folder, shallow),
            "GIT_ALLOW_PROTOCOL": "none",
        }
        ask = partial(run_git, f"--git-dir={own}", "--literal-pathspecs", variables=borrowed)
        commit = ask("rev-list", "--max-count=1", head, "--", f"{prefix}{name}")
        known = ask("rev-parse", "--verify", "--quiet", f"{head}:{prefix}{name}")
    if not commit:
        return ""
    content = Path(folder, name).read_bytes()
    same = known in {_blob(text, kind) for text in (content, content.replace(b"\r\n", b"\n"))}
    return f"commit {commit}" + ("" if same else ", changed since")


def _blob(content: bytes, kind: str) -> str:
    """Return git's hash of a file with this content: https://git-scm.com/book/en/v2/Git-Internals-Git-Objects."""
    return hashlib.new(kind, b"blob %d\0%s" % (len(content), content), usedforsecurity=False).hexdigest()


def _fetch(name: str, url: str, ref: str, asked: str) -> tuple[Path, str, str]:
    if shutil.which("git") is None:
        raise SourceError(
            f"{name}: git is not installed; install it from https://git-scm.com/downloads or run: apt-get install git"
        )
    folder = Path(tempfile.mkdtemp(prefix="ds-docker-env-git-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    git = _Git(name, folder)
    git.must("init", "--quiet", "--bare", "--template=", str(folder))
    # In a file that only this user can read; command lines are public.
    git.must("config", f"remote.{_REMOTE}.url", url)
    if not (os.environ.get("GIT_SSH") or git.run("config", "core.sshCommand").stdout):
        git.must("config", "core.sshCommand", "ssh -o BatchMode=yes")
    # Git ignores this variable; its own setting has priority.
    trusted = os.environ.get("SSL_CERT_FILE")
    if trusted and not git.run("config", "--get-urlmatch", "http.sslCAInfo", url).stdout:
        git.must("config", "http.sslCAInfo", trusted)
    if asked and not ref.startswith("refs/"):
        _require_day(git, ref, asked)
    # Fetch file names only, or commits only to find the day; git fetches the files on demand.
    depth, found = _ALL if asked else "--depth=1", "FETCH_HEAD"
    for kind in ("tree:0", "blob:none") if asked else ("blob:none",):
        shape = [depth, f"--filter={kind}"]
        done = git.fetch(*shape, _REMOTE, ref or "HEAD")
        if b"filter 'tree'" not in done.stderr:
            break
    if done.returncode and b"shallow capabilities" in done.stderr:
        git.run("config", "--unset-all", f"remote.{_REMOTE}.partialCloneFilter")
        git.run("config", "--unset-all", f"remote.{_REMOTE}.promisor")
        shape = []
        done = git.fetch(_REMOTE, ref or "HEAD")
    if done.returncode and _HASH.fullmatch(ref) and re.search(_UNKNOWN, done.stderr):
        done, found = git.fetch(*(shape and [_ALL, *shape[1:]]), _REMOTE, *_EVERYTHING), ref
    commit = "" if done.returncode else git.commit(found)
    if commit:
        return folder, *(git.last_of(commit, asked) if asked else (commit, ""))
    if done.returncode and b"find remote ref" not in done.stderr:
        raise git.failed(done)
    raise SourceError(_no_such_ref(git, ref))


def _require_day(git: _Git, ref: str, asked: str) -> None:
    """Raise `SourceError` if a branch or tag is named like the day, or like the ref and the day."""
    text = f"{ref}@{asked}" if ref else asked
    listed = git.run("ls-remote", _REMOTE, f"refs/heads/{text}", f"refs/tags/{text}").stdout.decode(errors="replace")
    for commit, name in (line.split("\t") for line in listed.splitlines()):
        raise SourceError(
            f"{git.name}: {name} also exists; write @{commit if ref else name} for it, "
            f"or @refs/heads/{ref or 'BRANCH'}@{asked} for a branch on that day"
        )


def _no_such_ref(git: _Git, ref: str) -> str:
    listed = git.run("ls-remote", "--heads", "--tags", "--refs", _REMOTE).stdout
    names = [line.split("\t")[-1].split("/", 2)[-1] for line in listed.decode(errors="replace").splitlines()]
    if not ref:
        there = f"use one, such as @{names[0]}" if names else "push one first"
        return f"{git.name}: the repository has no default branch; {there}"
    there = f"choose from {_few(names, ref)}" if names else "push one first"
    there += f"; write a day as YYYY-MM-DD, such as {day.today()}" if _LIKE_A_DAY.search(ref) else ""
    return f"{git.name}: unknown branch, tag or commit {ref}; {there}"


def _there(files: list[str], wanted: str) -> str:
    """Suggest files instead of a path."""
    candidates = [name for name in files if re.search(r"require|constraint|freeze|\.txt$|lock|\.in$", name)]
    return f"choose from {_few(candidates or files, wanted)}" if files else "the repository is empty"


def _few(names: list[str], wanted: str) -> str:
    close = get_close_matches(wanted, names, n=_SHOWN, cutoff=0.4)
    return some([*close, *(name for name in names if name not in close)], len(close) or _SHOWN)


_ADVICE = {
    r"ownership": "if you trust it, run: git config --global --add safe.directory <its path>",
    certificates.UNTRUSTED: certificates.ADVICE,
    r"not appear to be a git|not found|does not exist|Not Found": ("check the repository's URL, and your access to it"),
    r"(?i)username|password|authentication|permission denied|403|401|host key|access denied": (
        "check the URL; a private repository needs a password in ~/.netrc or git's credential helper, "
        "or an ssh key and a known host; test it with git ls-remote"
    ),
    r"(?i)resolve|connect|timed out|unreachable|certificate|ssl": "check the URL and the network",
}


def _cause(said: bytes) -> str:
    """Return the line of git's output with the cause."""
    lines = [line.strip() for line in said.decode(errors="replace").splitlines() if line.strip()]
    end = next((n for n, line in enumerate(lines) if line.startswith("fatal: Could not read from remote")), None)
    candidates = lines[:end] if end else [line for line in lines if line.startswith(("fatal:", "error:"))] or lines
    cause = candidates[-1] if candidates else "unknown reason"
    cause = re.sub(
        r"^(?:(?:fatal|error|ERROR|remote): )*(?:unable to access '[^']*': )?", "", without_credentials(cause)
    )
    return "".join(c for c in cause if c.isprintable())[:200]
