"""An image's environment of tiny packages, and a project that was locked with them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import pytest
from package_index import PackageIndex

from ds_docker_env.image import installed, overlay
from ds_docker_env.image.build.packages import create_listed

PRODUCTION = "# source: /api/requirements.txt\n\nprod==1.0\nshared==1.0\n"
REQUIREMENTS = (
    "# What this analysis needs.\nipykernel>=6\ntool>=1  # for the plots\n# late>=2: left out, it cannot live\n"
)
COMPILE = (
    "pip compile --generate-hashes --python-version 3.11.14 --python-platform x86_64-manylinux_2_36 "
    "--output-file requirements.txt production.txt requirements.in"
)


@dataclass
class Image:
    """The directory of the environment, the project (the working directory), and the index of both."""

    environment: Path
    project: Path
    index: PackageIndex

    @property
    def python(self) -> Path:
        return self.environment / "bin" / "python"

    @property
    def site(self) -> Path:
        """The directory of the packages that the analysis sees."""
        return next(overlay.current().glob("lib/python3*/site-packages"))

    @property
    def image_site(self) -> Path:
        """The directory of the image's packages."""
        return next(self.environment.glob("lib/python3*/site-packages"))

    @property
    def packages(self) -> dict[str, str]:
        """The packages that the analysis sees."""
        return {name: locked.version for name, locked in installed.read_installed(overlay.current()).packages.items()}

    @property
    def files(self) -> dict[str, bytes]:
        """All files of the project."""
        return {path.name: path.read_bytes() for path in self.project.iterdir() if path.is_file()}

    def install(self, lock: str) -> None:
        """Build the image's environment from this lock, without comments and later additions."""
        self.environment.mkdir(exist_ok=True)
        (self.environment / "requirements.txt").write_text(lock)
        options = ("--quiet", "--python", str(self.environment))
        if not self.python.exists():
            uv("venv", "--allow-existing", *options[:1], "--python", sys.executable, str(self.environment))
        uv("pip", "sync", *options, str(self.environment / "requirements.txt"))
        link = self.environment / "packages"
        link.unlink(missing_ok=True)
        link.symlink_to(self.environment.with_name("packages") / sha256(lock.encode()).hexdigest()[:16])

    def read(self, name: str) -> str:
        return (self.project / name).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def made_image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Image]:
    """Make an image with prod 1.0, shared 1.0, tool 1.0 and ipykernel 9999.1, and its project."""
    from conftest import only_index

    folder = tmp_path_factory.mktemp("image")
    with pytest.MonkeyPatch.context() as patch, only_index(folder, patch) as index:
        for name in ("prod", "shared", "tool"):
            index.add(name, "1.0")
        (folder / "project").mkdir()
        # Without pyenv, whose Pythons uv would start.
        patch.setenv("PATH", f"{Path(sys.executable).parent}:/usr/bin:/bin")
        patch.setenv("UV_PYTHON_DOWNLOADS", "never")
        patch.chdir(folder / "project")
        Path("production.txt").write_text(PRODUCTION, encoding="utf-8")
        Path("requirements.in").write_text(REQUIREMENTS, encoding="utf-8")
        uv(*COMPILE.split(), "--quiet", "--custom-compile-command", f"uv {COMPILE}")
        image = Image(folder / "analysis", folder / "project", index)
        lines = image.read("requirements.txt").splitlines(keepends=True)
        image.install("".join(line for line in lines if not line.lstrip().startswith("#")))
        create_listed(image.environment, folder / "listed")
        yield image


@pytest.fixture
def image(made_image: Image, monkeypatch: pytest.MonkeyPatch) -> Iterator[Image]:
    """Work in an image's project, which is restored before each test."""
    monkeypatch.chdir(made_image.project)
    # Tests add different packages with the same versions, so each test needs another address.
    made_image.index.name = uuid.uuid4().hex
    monkeypatch.setenv("UV_DEFAULT_INDEX", made_image.index.url)
    monkeypatch.setattr(installed, "ANALYSIS", made_image.environment)
    monkeypatch.setattr(installed, "LISTED", made_image.environment.with_name("listed"))
    files, lock = made_image.files, (made_image.environment / "requirements.txt").read_text()
    yield made_image
    made_image.index.pause, made_image.index.refusing = 0.0, False
    for path in made_image.project.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    for name, content in files.items():
        (made_image.project / name).write_bytes(content)
    if (made_image.environment / "requirements.txt").read_text() != lock:
        made_image.install(lock)
    packages = made_image.environment.with_name("packages")
    for directory, _, _ in os.walk(packages):
        Path(directory).chmod(0o755)
    # Keep uv's cache, without which uv would start each Python again.
    for path in packages.glob("*/*"):
        if path.is_dir() and not path.is_symlink() and path.name != "cache":
            shutil.rmtree(path, ignore_errors=True)
        elif path.name != "cache":
            path.unlink(missing_ok=True)


def uv(*arguments: str) -> None:
    subprocess.run(["uv", *arguments], check=True)
