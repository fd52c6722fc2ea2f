"""A package index on 127.0.0.1 with tiny wheels that are built on the spot."""

from __future__ import annotations

import base64
import hashlib
import html
import io
import json
import ssl
import sys
import tarfile
import threading
import time
import uuid
import zipfile
from collections.abc import Mapping
from datetime import datetime
from http.server import SimpleHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingTCPServer
from types import MappingProxyType
from typing import Any, BinaryIO

import trustme
from offers import PYTHON
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from ds_docker_env.common.shipped import shipped_analysis

# A fork may have other packages.
PACKAGES = """\
# What this analysis needs.
ipykernel>=6
ipywidgets>=8
pandas>=1.1
numpy>=1.19
matplotlib>=3.3
scikit-learn>=0.24
s3fs>=2021.4
boto3>=1.17
pymysql>=0.10
"""


COMPANY = "packages.example.com"
LONG_AGO = "2020-02-02T02:02:02Z"
JSON = "application/vnd.pypi.simple.v1+json"


class PackageIndex:
    """Serves ``simple/<name>/`` (PEP 503, 691, 700) from a folder, with the metadata beside each wheel (PEP 658).

    Files were uploaded years ago, unless `add` gets another time; an index without ``dates`` does not report times.
    ``login`` is ``name:password``, or blank for a public index. With an authority the index uses https,
    with a certificate for packages.example.com.
    """

    def __init__(
        self, folder: Path, login: str = "", host: str = "127.0.0.1", authority: trustme.CA | None = None
    ) -> None:
        self.folder = folder
        self._links: dict[str, dict[str, str]] = {}
        self._files: dict[str, dict[str, dict[str, Any]]] = {}
        self.dates = True
        self.cache_control = "no-cache"
        self._host = host
        self.name = uuid.uuid4().hex
        # Seconds before each answer, and names of files whose end is never sent.
        self.pause = 0.0
        self.refusing = False
        self.hanging: set[str] = set()
        self.over = threading.Event()
        self._server = _Server((host, 0), _handler(folder, login, self))
        if authority:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            authority.issue_cert(COMPANY).configure_cert(context)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)

    @property
    def address(self) -> tuple[str, int]:
        return self._host, self._server.server_address[1]

    @property
    def url(self) -> str:
        # With the name, uv does not use its cache of another test on this port.
        return f"http://{self._host}:{self._server.server_address[1]}/{self.name}/simple/"

    def __enter__(self) -> PackageIndex:
        threading.Thread(target=self._server.serve_forever, args=[0.01], daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self._server.shutdown()

    def add_analysis_packages(self) -> None:
        """Add these packages, and the template's, each at its floor and at a newer version."""
        for line in {*PACKAGES.splitlines()[1:], *shipped_analysis(PYTHON).requirements}:
            requirement = Requirement(line)
            floor = next(iter(requirement.specifier)).version
            self.add(requirement.name, floor, "9999.1")
        self.add("setuptools", "79.0.1")

    def add(
        self,
        name: str,
        *versions: str,
        requires: tuple[str, ...] = (),
        python: str = "",
        tag: str = "py3-none-any",
        yanked: str = "",
        files: Mapping[str, str] = MappingProxyType({}),
        uploaded: datetime | None = None,
        urls: tuple[str, ...] = (),
    ) -> str:
        """Add wheels, perhaps withdrawn for a reason, and return the hash of the last one as ``sha256:…``.

        Each has a module of its name, or the ``files`` with these texts.
        """
        module = canonicalize_name(name).replace("-", "_")
        facts: dict[str, Any] = {"core-metadata": True}
        facts |= {"requires-python": python} if python else {}
        facts |= {"yanked": yanked} if yanked else {}
        for version in versions:
            metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
            metadata += f"Requires-Python: {python}\n" if python else ""
            metadata += "".join(f"Requires-Dist: {requirement}\n" for requirement in requires)
            metadata += "".join(f"Project-URL: {url}\n" for url in urls)
            wheel = f"{module}-{version}-{tag}.whl"
            digest = self.add_file(name, wheel, _wheel(module, version, metadata, tag, files), facts, uploaded)
            (self.folder / "simple" / canonicalize_name(name) / f"{wheel}.metadata").write_text(metadata)
        return f"sha256:{digest}"

    def add_source(
        self,
        name: str,
        version: str,
        *,
        said: str = "",
        backend: str = "",
        files: Mapping[str, str] = MappingProxyType({}),
    ) -> str:
        """Add a source package and return its hash as ``sha256:…``.

        Its build fails with this, has this backend, or is not needed for its metadata; ``files`` are further files.
        """
        backend = f"raise SystemExit({said!r})\n" if said else backend
        files = files or {
            "pyproject.toml": '[build-system]\nrequires = []\nbackend-path = ["."]\nbuild-backend = "backend"\n'
            + ("" if backend else f'[project]\nname = "{name}"\nversion = "{version}"\n'),
            "backend.py": backend or "raise SystemExit('not built by a test')\n",
        }
        old = backend or "pyproject.toml" not in files
        info = f"Metadata-Version: {'1.0' if old else '2.2'}\nName: {name}\nVersion: {version}\n"
        files = {"PKG-INFO": info, **files}
        content = io.BytesIO()
        with tarfile.open(fileobj=content, mode="w:gz") as archive:
            for member_name, text in files.items():
                member = tarfile.TarInfo(f"{name}-{version}/{member_name}")
                member.size = len(text)
                archive.addfile(member, io.BytesIO(text.encode()))
        return f"sha256:{self.add_file(name, f'{name}-{version}.tar.gz', content.getvalue())}"

    def add_setuptools(self, *versions: str) -> None:
        """Add an imitation of setuptools, whose builds contain a module with its version."""
        for version in versions:
            build_meta = _SETUPTOOLS.replace("VERSION", version)
            self.add(
                "setuptools", version, files={"setuptools/__init__.py": "", "setuptools/build_meta.py": build_meta}
            )
        self.add("wheel", "0.40")

    def add_file(
        self,
        name: str,
        file: str,
        content: bytes,
        facts: Mapping[str, Any] = MappingProxyType({}),
        uploaded: datetime | None = None,
    ) -> str:
        """Add a file of a package, with these attributes, and return its hash."""
        folder = self.folder / "simple" / canonicalize_name(name)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / file).write_bytes(content)
        digest = hashlib.sha256(content).hexdigest()
        links = self._links.setdefault(folder.name, {})
        texts = {key: "true" if value is True else html.escape(value) for key, value in facts.items()}
        attributes = "".join(f' data-{key}="{text}"' for key, text in texts.items())
        links[file] = f'<a href="{file}#sha256={digest}"{attributes}>{file}</a>'
        (folder / "index.html").write_text("<!DOCTYPE html>\n" + "\n".join(links.values()))
        files = self._files.setdefault(folder.name, {})
        time = {"upload-time": uploaded.strftime("%Y-%m-%dT%H:%M:%SZ") if uploaded else LONG_AGO} if self.dates else {}
        files[file] = {
            "filename": file,
            "url": file,
            "hashes": {"sha256": digest},
            "size": len(content),
            **facts,
            **time,
        }
        page = {"meta": {"api-version": "1.1"}, "name": folder.name, "files": list(files.values()), "versions": []}
        (folder / "index.json").write_text(json.dumps(page))
        return digest


# It runs a source's setup.py, as the real one does.
_SETUPTOOLS = """\
import re, sys, zipfile
from pathlib import Path

def get_requires_for_build_wheel(config_settings=None):
    return ["wheel"]

def build_wheel(directory, config_settings=None, metadata_directory=None):
    said = {}
    exec(Path("setup.py").read_text(), said)
    name, version = re.findall("^(?:Name|Version): (.*)$", Path("PKG-INFO").read_text(), re.MULTILINE)
    info, wheel = f"{name}-{version}.dist-info", f"{name}-{version}-py3-none-any.whl"
    module = f"built_by, said = 'VERSION', {said.get('said')!r}"
    files = {
        f"{name}.py": module,
        **said.get("files", {}),
        f"{info}/METADATA": f"Metadata-Version: 2.1\\nName: {name}\\nVersion: {version}\\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\\nGenerator: tests\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
    }
    files[f"{info}/RECORD"] = "".join(f"{each},,\\n" for each in [*files, f"{info}/RECORD"])
    with zipfile.ZipFile(Path(directory, wheel), "w") as archive:
        for each, text in files.items():
            archive.writestr(zipfile.ZipInfo(each), text)
    return wheel

def prepare_metadata_for_build_wheel(directory, config_settings=None):
    wheel = build_wheel(directory)
    with zipfile.ZipFile(Path(directory, wheel)) as archive:
        archive.extractall(directory)
    return f"{'-'.join(wheel.split('-')[:2])}.dist-info"

__legacy__ = sys.modules[__name__]
"""


class _Server(ThreadingTCPServer):
    # By default the sixth of uv's parallel connections is lost, and repeated after a second.
    request_queue_size = 128

    def handle_error(self, *arguments: Any) -> None:
        """Ignore a client that was killed."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(*arguments)


def _wheel(module: str, version: str, metadata: str, tag: str, own: Mapping[str, str]) -> bytes:
    info = f"{module}-{version}.dist-info"
    files = {
        **(own or {f"{module}.py": f'__version__ = "{version}"\n'}),
        f"{info}/METADATA": metadata,
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: {tag}\n",
    }
    record = [f"{name},{_record_hash(text)},{len(text.encode())}" for name, text in files.items()]
    files[f"{info}/RECORD"] = "\n".join([*record, f"{info}/RECORD,,", ""])
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as wheel:
        for name, text in files.items():
            wheel.writestr(zipfile.ZipInfo(name), text)
    return content.getvalue()


def _record_hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return "sha256=" + base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _handler(folder: Path, login: str, index: PackageIndex) -> type[SimpleHTTPRequestHandler]:
    wanted = f"Basic {base64.b64encode(login.encode()).decode()}" if login else None

    class Handler(SimpleHTTPRequestHandler):
        def __init__(self, *arguments: object, **options: object) -> None:
            super().__init__(*arguments, directory=str(folder), **options)  # type: ignore[arg-type]

        protocol_version = "HTTP/1.1"
        # Otherwise every answer waits 40 ms for the acknowledgement of its header.
        disable_nagle_algorithm = True

        def send_head(self) -> io.BytesIO | BinaryIO | None:
            time.sleep(index.pause)
            if index.refusing:
                self.send_error(503)
                return None
            if wanted and self.headers["Authorization"] != wanted:
                self.send_response(401)
                self.send_header("WWW-Authenticate", "Basic")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return None
            del self.headers["If-Modified-Since"]
            return super().send_head()

        def translate_path(self, path: str) -> str:
            page = Path(super().translate_path(path.removeprefix(f"/{index.name}")), "index.json")
            return str(page) if JSON in self.headers.get("Accept", "") and page.is_file() else str(page.parent)

        def guess_type(self, path: Any) -> str:
            return JSON if str(path).endswith("index.json") else super().guess_type(path)

        def copyfile(self, source: Any, outputfile: Any) -> None:
            if self.path.strip("/").rpartition("/")[2] in index.hanging:
                outputfile.write(source.read(10))
                index.over.wait()
            else:
                super().copyfile(source, outputfile)

        def end_headers(self) -> None:
            self.send_header("Cache-Control", index.cache_control)
            super().end_headers()

        def log_message(self, *arguments: object) -> None:
            pass

    return Handler
