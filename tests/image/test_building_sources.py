"""Packages without a wheel in the image build, with tiny sources on an index that moves on."""

from __future__ import annotations

import base64
import io
import os
import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.request import Request

import pytest
from package_index import PackageIndex

from ds_docker_env.common import uv
from ds_docker_env.image.build import sources

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the image is Linux")
LOCKED = "setuptools==70.0 \\\n    --hash={}\nwheel==0.40 \\\n    --hash={}\n"
ROOT = hasattr(os, "getuid") and os.getuid() == 0
PYTHON = Path("/usr/bin/python3" if ROOT else sys.executable)
# Looks for secrets, as a malicious source would, in all that its build can see of this step.
SPY = """\
import os
from pathlib import Path
def read(path):
    try:
        return Path(path).read_text()
    except OSError as error:
        return error.strerror
said = [*map(read, PATHS), os.environ.get("HTTPS_PROXY", "no proxy")]
"""


@pytest.fixture(scope="module")
def program() -> Iterator[Path]:
    """Return a uv outside root's home and the test's directory, which other users cannot enter."""
    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(shutil.copy(shutil.which(uv.find()[0]) or "", folder))


@pytest.fixture
def step(tmp_path: Path, program: Path, monkeypatch: pytest.MonkeyPatch, offline: PackageIndex) -> Path:
    """Return the directory of a step, whose lock has a source, and a home with secrets."""
    step, home = tmp_path / "step", tmp_path / "home"
    for folder in (step, home):
        folder.mkdir()
    monkeypatch.setattr(sources, "STEP", step)
    monkeypatch.setattr(sources, "BUILT", home / ".cache" / "built")
    monkeypatch.setattr(sources, "UV", program)
    monkeypatch.setattr(sources, "_SETTINGS", (home / "uv.toml",))
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("HTTPS_PROXY", "")
    offline.add_setuptools("70.0")
    return step


def write_lock(step: Path, index: PackageIndex, name: str = "ours", setup: str = "") -> str:
    """Add a source to the index, and write its lock and build requirements; return the lock."""
    digest = index.add_source(name, "1.0", files={"setup.py": setup})
    built_with = LOCKED.format(digest_of(index, "setuptools"), digest_of(index, "wheel"))
    (step / "build-requirements.txt").write_text(f"# What.\n\n# {name}==1.0\n{built_with}")
    return f"{name}==1.0 \\\n    --hash={digest}\nplain==1.0 \\\n    --hash={index.add('plain', '1.0')}\n"


def digest_of(index: PackageIndex, name: str) -> str:
    [line] = (index.folder / "simple" / name / "index.html").read_text().splitlines()[-1:]
    return "sha256:" + line.partition("sha256=")[2].partition('"')[0]


def installed(lock: str, folder: Path, name: str = "ours") -> dict[str, object]:
    """Install a lock into a new environment; return the output of the built module."""
    subprocess.run([*uv.find(), "venv", "--quiet", f"--python={PYTHON}", str(folder)], check=True)
    sources.install(sources.UV, folder, PYTHON, lock)
    assert next(folder.glob("lib/python3*/site-packages/plain.py"))
    # As if it came from the index.
    assert not list(folder.glob("lib/python3*/site-packages/ours*/direct_url.json"))
    assert not list(folder.glob("lib/python3*/site-packages/ours*/uv_cache.json"))
    said: dict[str, object] = {}
    exec(next(folder.glob(f"lib/python3*/site-packages/{name}.py")).read_text(), said)
    return said


def files(folder: Path) -> dict[str, bytes]:
    [site] = folder.glob("lib/python3*/site-packages")
    return {path.relative_to(site).as_posix(): path.read_bytes() for path in site.rglob("*") if path.is_file()}


def test_the_same_bytes_are_installed_when_the_index_has_moved_on(
    step: Path, offline: PackageIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = write_lock(step, offline)
    assert installed(lock, tmp_path / "then")["built_by"] == "70.0"
    offline.add_setuptools("70.1", "99.0")
    monkeypatch.setattr(sources, "BUILT", tmp_path / "another builder")
    assert installed(lock, tmp_path / "later")["built_by"] == "70.0"
    assert files(tmp_path / "then") == files(tmp_path / "later")


def test_a_build_requirement_with_another_hash_is_refused(
    step: Path, offline: PackageIndex, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    lock = write_lock(step, offline)
    offline.add("setuptools", "70.0", files={"setuptools/__init__.py": "raise SystemExit('somebody else')"})
    with pytest.raises(subprocess.CalledProcessError):
        installed(lock, tmp_path / "environment")
    assert "Hash mismatch for `setuptools==70.0`" in capfd.readouterr().err


def test_a_source_with_another_hash_is_refused_before_it_runs(
    step: Path, offline: PackageIndex, tmp_path: Path
) -> None:
    lock = write_lock(step, offline)
    offline.add_source("ours", "1.0", files={"setup.py": f"open({str(tmp_path / 'ran')!r}, 'w')"})
    with pytest.raises(SystemExit, match=r"ours-1\.0\.tar\.gz: its hash is not in the lock; check"):
        installed(lock, tmp_path / "environment")
    assert not (tmp_path / "ran").exists()


def test_all_sources_that_do_not_build_are_named_with_the_debian_packages_that_they_need(
    step: Path, offline: PackageIndex, tmp_path: Path
) -> None:
    said = {
        "first": ("Error: pg_config executable not found.", "pg_config not found; add libpq-dev to DEBIAN_PACKAGES"),
        "second": ("lber.c:1:10: fatal error: sasl/sasl.h: No such file", r"sasl/sasl\.h not found; add libsasl2-dev"),
        "third": ("ValueError: too old", r"does not build \(ValueError: too old\)"),
    }
    locks, sections = [], []
    for name, (words, _) in said.items():
        locks.append(write_lock(step, offline, name, f"raise SystemExit({words!r})").partition("plain==")[0])
        sections.append((step / "build-requirements.txt").read_text())
    (step / "build-requirements.txt").write_text("\n".join(sections))
    plain = f"plain==1.0 \\\n    --hash={offline.add('plain', '1.0')}\n"
    lines = [f"{name}==1.0: {problem}.*" for name, (_, problem) in said.items()]
    with pytest.raises(SystemExit, match="\n".join(lines)):
        installed("".join([*locks, plain]), tmp_path / "environment")


def test_an_archive_that_uv_refuses_to_unpack_is_built_without_links_that_leave_it(
    step: Path, offline: PackageIndex, tmp_path: Path
) -> None:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as archive:
        for name, text in {"setup.py": "said = 'built'", "PKG-INFO": "Name: ours\nVersion: 1.0\n"}.items():
            member = tarfile.TarInfo(f"ours-1.0/{name}")
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))
        link = tarfile.TarInfo("ours-1.0/CHANGELOG.md")
        link.type, link.linkname = tarfile.SYMTYPE, "/home/somebody/CHANGELOG.md"
        archive.addfile(link)
    lock = write_lock(step, offline)
    digest = offline.add_file("ours", "ours-1.0.tar.gz", content.getvalue())
    lock = re.sub("(ours.*\n.*sha256:)[0-9a-f]+", rf"\g<1>{digest}", lock)
    assert installed(lock, tmp_path / "environment")["said"] == "built"


def test_a_process_that_a_build_leaves_behind_is_killed(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    home = tmp_path / "home"
    home.mkdir()
    command = ["/bin/sh", "-c", "(sleep 2; echo late) & echo said; exit 3"]
    with pytest.raises(sources.BuildError, match=r"^said\n$"):
        sources._run_as_nobody(command, home, os.environ, [home])
    assert capfd.readouterr().out == "said\n"


@pytest.mark.skipif(not ROOT, reason="only root can be somebody else")
def test_a_source_cannot_read_secrets_while_it_is_built(
    step: Path, offline: PackageIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secrets = [tmp_path / "home" / name for name in (".netrc", "uv.toml", "pip.conf")]
    for secret in secrets:
        secret.write_text("# canary\n")
        secret.chmod(0o400)
    # Otherwise pytest's directories, which are private, would hide the secrets.
    for folder in (tmp_path / "home", tmp_path, *tmp_path.parents):
        if folder.stat().st_uid == 0:
            folder.chmod(folder.stat().st_mode | 0o055)
    monkeypatch.setenv("HTTPS_PROXY", "http://me:canary@proxy.example.com")
    paths = [*map(str, secrets), f"/proc/{os.getpid()}/environ"]
    lock = write_lock(step, offline, setup=SPY.replace("PATHS", repr(paths)))
    assert installed(lock, tmp_path / "environment")["said"] == ["Permission denied"] * 4 + ["no proxy"]


def test_code_of_a_source_does_not_run_beside_the_logins_of_later_steps(
    step: Path, offline: PackageIndex, tmp_path: Path
) -> None:
    """uv starts the Python of the environment, which runs such files."""
    ran = f"open({str(tmp_path / 'ran')!r}, 'w')"
    brought = {"late.pth": f"import sys; {ran}\n", "sitecustomize.py": f"{ran}\n"}
    environment = tmp_path / "environment"
    installed(write_lock(step, offline, setup=f"files = {brought!r}"), environment)
    more = f"other==1.0 \\\n    --hash={offline.add('other', '1.0')}\n"
    sources.install(sources.UV, environment, PYTHON, more)
    assert next(environment.glob("lib/python3*/site-packages/other.py"))
    assert not (tmp_path / "ran").exists()
    # The analysis still has them.
    assert {"late.pth", "sitecustomize.py"} <= files(environment).keys()
    subprocess.run([environment / "bin" / "python", "-c", ""], check=True)
    assert (tmp_path / "ran").exists()


def test_the_login_goes_to_the_host_of_the_source_and_not_to_a_redirection(
    step: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "home" / ".netrc").write_text("machine packages.example.com login me password secret\n")
    (tmp_path / "home" / "uv.toml").write_text('[[index]]\nurl = "https://you:p%40ss@other.example.com/simple"\n')
    asked = []

    def urlopen(request: Request, timeout: int) -> None:
        asked.append((request.headers, request.unredirected_hdrs))
        raise OSError("stopped")

    monkeypatch.setattr(sources, "urlopen", urlopen)
    for host in ("packages", "other", "third"):
        with pytest.raises(SystemExit, match=rf"{host}.*cannot be downloaded \(stopped\)"):
            sources._download(sources.Source("a", "a==1", f"https://{host}.example.com/a.tar.gz", []), tmp_path / "a")
    logins = [base64.b64encode(login).decode() for login in (b"me:secret", b"you:p@ss")]
    assert asked == [*(({}, {"Authorization": f"Basic {login}"}) for login in logins), ({}, {})]


def test_a_source_with_unlocked_build_requirements_is_built_and_named(
    step: Path, offline: PackageIndex, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    lock = write_lock(step, offline, setup="import helper")
    offline.add_setuptools("80.0")
    path = step / "build-requirements.txt"
    path.write_text(path.read_text().replace("# ours==1.0\n", "# ours==1.0: not fixed, it asks for more\n"))
    # Known requirements stay fixed, and uv.toml may add others.
    offline.add("helper", "1.0")
    (step / "uv.toml").write_text('extra-build-dependencies = { other = ["x"], ours = ["helper"] }\n')
    assert installed(lock, tmp_path / "partly")["built_by"] == "70.0"
    path.unlink()
    assert installed(lock, tmp_path / "older project")["built_by"] == "80.0"
    said = "ours==1.0: not all of its build requirements are locked; run lock\n"
    assert capfd.readouterr().out.count(said) == 2


def test_a_step_gets_the_build_requirements_of_its_own_sources() -> None:
    text = (
        "# What.\n\n# a==1: needs x y\n# b==2: not fixed, why\nsix==1\n\n# c @ https://example.com/c.tar.gz\nsix==2\n"
    )
    assert sources.only(text, {"b"}) == "# b==2: not fixed, why\nsix==1\n"
    assert sources.only(text, {"a", "c"}) == "# a==1: needs x y\nsix==1\n\n# c @ https://example.com/c.tar.gz\nsix==2\n"
    assert sources.only(text, {"d"}) == ""
    assert sources.sections(text) == {
        "a==1": sources.Section("six==1\n", True),
        "b==2": sources.Section("six==1\n", False),
        "c @ https://example.com/c.tar.gz": sources.Section("six==2\n", True),
    }
