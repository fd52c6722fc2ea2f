"""Production's Debian packages come from the snapshot that the base image names."""

from __future__ import annotations

import json
import re
import secrets
import shutil
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from conftest import write_files

from docker.conftest import have_image
from docker.project import Project, sh

pytestmark = pytest.mark.docker

SNAPSHOT = "http://snapshot.debian.org/archive/debian/20261103T000000Z"
SOURCES = f"""\
Types: deb
# {SNAPSHOT}
URIs: http://deb.debian.org/debian
Suites: trixie
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
"""
BASE = """\
FROM python:3.13-trixie
RUN rm -f /etc/apt/sources.list
COPY debian.sources /etc/apt/sources.list.d/debian.sources
COPY built /built
RUN PYTHONPATH=$(echo /built/*.whl) python -m ds_docker_env.image.build.context /built /
"""
# Their installation makes a user, a machine id and a link for ldconfig.
PACKAGES = "dbus hello"


class Archive:
    """A proxy that serves one Debian archive under every name, and records the requests."""

    def __init__(self, host: str) -> None:
        self.asked: list[str] = []
        archive = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                archive.asked.append(self.path)
                try:
                    with urllib.request.urlopen(self.path.replace(SNAPSHOT, "http://deb.debian.org/debian")) as answer:
                        content = answer.read()
                except urllib.error.HTTPError as error:
                    return self.send_error(error.code)
                self.send_response(200)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *arguments: object) -> None:
                pass

        self.server = ThreadingHTTPServer((host, 0), Handler)
        self.url = f"http://{host}:{self.server.server_address[1]}"


@pytest.fixture
def archive(host: str) -> Iterator[Archive]:
    archive = Archive(host)
    threading.Thread(target=archive.server.serve_forever, daemon=True).start()
    yield archive
    archive.server.shutdown()


@pytest.fixture
def base(engine: None) -> Iterator[str]:
    have_image("python:3.13-trixie")
    base = f"ds-docker-env-test-{secrets.token_hex(3)}"
    yield base
    sh("docker", "image", "rm", "--force", base, check=False)


def test_debian_packages_come_from_the_base_images_snapshot(
    base: str, archive: Archive, built: Project, tmp_path: Path
) -> None:
    [step] = re.findall(r"^ARG DEBIAN_PACKAGES=.*\nRUN .*\n", built.read("Dockerfile"), re.MULTILINE)
    named = step.replace('""', f'"{PACKAGES}"')
    assert PACKAGES in named
    files = {"base/Dockerfile": BASE, "base/debian.sources": SOURCES}
    write_files(tmp_path, files | {"project/Dockerfile": f"FROM {base} AS files\nFROM {base}\n{named}"})
    shutil.copytree(built.folder, tmp_path / "base" / "built")
    sh("docker", "build", "--tag", base, str(tmp_path / "base"))
    first, second = (digest(tmp_path / "project", archive) for _ in range(2))
    assert archive.asked
    assert {url for url in archive.asked if not url.startswith(f"{SNAPSHOT}/")} == set()
    assert first == second


def digest(project: Path, archive: Archive) -> str:
    """Build the image with further packages, and return its digest."""
    sh(
        *("docker", "buildx", "build", "--no-cache", "--provenance=false", "--metadata-file=said.json"),
        f"--build-arg=http_proxy={archive.url}",
        *("--output=type=oci,dest=image.tar,rewrite-timestamp=true,compression=uncompressed", "."),
        folder=project,
        environment={"SOURCE_DATE_EPOCH": "1700000000"},
    )
    return str(json.loads((project / "said.json").read_text(encoding="utf-8"))["containerimage.digest"])
