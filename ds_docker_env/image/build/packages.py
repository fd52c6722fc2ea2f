"""The environment of the analysis: production's versions and nothing else, in one layer of the image after another."""

from __future__ import annotations

import hashlib
import os
import platform
import re
from pathlib import Path

from ds_docker_env.image.build import sources
from ds_docker_env.image.build.running import STEP, compile_packages, run
from ds_docker_env.image.build.sources import UV

ANALYSIS = Path("/opt/analysis")
# Packages of a project's lock that the image lacks.
VOLUME = Path("/opt/packages")
# An environment that names the packages in use for the lists of uv.
LISTED = Path("/opt/tools/overlay")
_PYTHON = Path("/usr/local/bin/python")
_LINKS = ("limits.pth", "overlay.pth", "_overlay.py")
# The tools' own programs, and uv's lock file, which everyone can write.
LEFT_OUT = ("bin/jupyter*", "bin/pip*", ".lock")


def install() -> None:
    """Install the packages of a layer; raise `subprocess.CalledProcessError` if a program fails."""
    if not ANALYSIS.exists():
        create()
    lock = (STEP / "requirements.txt").read_text(encoding="utf-8")
    if re.search(r"^\w", lock, re.MULTILINE):
        sources.install(UV, ANALYSIS, _PYTHON, lock)
        for path in [path for pattern in LEFT_OUT for path in ANALYSIS.glob(pattern)]:
            path.unlink()
        compile_packages(ANALYSIS, Path("/usr/local/lib", site_packages().parent.name))
    protect()


def protect() -> None:
    """Make the directories of the analysis read-only."""
    # Root without capabilities, as in a rootless engine, owns the analysis and must not change it by mistake.
    for folder in (Path(name) for name, _, _ in os.walk(ANALYSIS)):
        if folder.stat().st_mode & 0o222:
            folder.chmod(folder.stat().st_mode & ~0o222)


def create() -> None:
    """Create the environment, which finds the modules in src from every directory."""
    run(UV, "venv", f"--python={_PYTHON}", ANALYSIS)
    (site_packages() / "project.pth").write_text("/project/src\n", encoding="utf-8")
    for name in _LINKS:
        (site_packages() / name).symlink_to(f"/opt/tools/etc/{name}")


def finish() -> None:
    """Make the analysis a kernel, store the lock, and link to the packages that a project installs later.

    This runs code of packages, so it is not in a step that has the logins of the build.
    """
    python = site_packages().parent.name.replace("python", "")
    kernel = (f"--prefix={ANALYSIS}", f"--display-name=Python {python}")
    run(ANALYSIS / "bin" / "python", "-m", "ipykernel", "install", *kernel)
    lock = (STEP / "lock.txt").read_bytes()
    (ANALYSIS / "requirements.txt").write_bytes(lock)
    name = f"{python}-{release()}-{platform.machine()}-{hashlib.sha256(lock).hexdigest()[:16]}"
    (ANALYSIS / "packages").symlink_to(VOLUME / name)
    VOLUME.mkdir(exist_ok=True)
    VOLUME.chmod(0o1777)
    create_listed(ANALYSIS, LISTED)
    protect()


def create_listed(analysis: Path, listed: Path) -> None:
    """Create an environment for the packages that are in use instead of the image's."""
    (listed / "bin").mkdir(parents=True)
    (listed / "bin" / "python").symlink_to(analysis / "bin" / "python")
    (listed / "lib").symlink_to(analysis / "packages" / "current" / "lib")
    (listed / "pyvenv.cfg").write_bytes((analysis / "pyvenv.cfg").read_bytes())


def release() -> str:
    """Return the name of Debian's release, for which source archives are compiled.

    Format: https://www.freedesktop.org/software/systemd/man/latest/os-release.html
    """
    path = Path("/etc/os-release")
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    found = re.search(r"^VERSION_CODENAME=(\w+)$", text, re.MULTILINE)
    return found[1] if found else "debian"


def site_packages() -> Path:
    """Return the directory of the environment's packages."""
    [path] = ANALYSIS.glob("lib/python3*/site-packages")
    return path
