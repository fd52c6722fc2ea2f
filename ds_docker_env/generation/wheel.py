"""The wheel with the commands of a project's image: modules, programs, settings.

Format: https://packaging.python.org/en/latest/specifications/binary-distribution-format/
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

from ds_docker_env.common.services import WITH_PASSWORD
from ds_docker_env.common.shipped import BUILD_REQUIREMENTS, shipped_analysis, shipped_build_requirements, shipped_names
from ds_docker_env.common.target import PYTHON_VERSIONS
from ds_docker_env.generation.answers import Answers
from ds_docker_env.generation.release import VERSION, WHEEL

PACKAGE = Path(__file__).parents[1]
# The libraries and programs that the image's modules use; the tools' lock has their versions.
REQUIRES = (
    "cyclonedx-python-lib",
    "django-js-lib-vega-embed",
    "dumb-init",
    "jinja2",
    "jupyter-client",
    "jupyter-core",
    "jupyterlab",
    "latex2mathml",
    "nbclient",
    "nbconvert",
    "nbformat",
    "packageurl-python",
    "packaging",
    "papermill",
    "pip",
    "pip-audit",
    "pip-requirements-parser",
    "psutil",
    "pyyaml",
    "requests",
    "rich",
    "ruff",
    "uv",
)
_WINGS = ("common", "pinning", "image")
_FILES = "image/files/"
# Modules and their data.
_KINDS = ("*.py", "*.txt")
# Programs for one option; the others are in every image.
_OPTIONAL = {
    **{"dvc": "dvc", "profile": "dvc", "h2o": "h2o"},
    **dict.fromkeys(["dask-scheduler", "dask-worker", "tls.yaml", "dashboard.py", "dask.svg"], "dask"),
    **{"prepare-passwords": "secrets", "datasette.svg": "sqlite"},
}
# The same file under further names.
_ALIASES = {
    "pip": ["uv", "pip3", *(f"pip{version}" for version in PYTHON_VERSIONS)],
    "dask-worker": ["dask-scheduler"],
}
_INFO = f"ds_docker_env-{VERSION}.dist-info"
_DATA = f"ds_docker_env-{VERSION}.data/data"


class Wheel(NamedTuple):
    """A wheel, with its facts for the Dockerfile."""

    content: bytes
    name: str
    version: str
    commit: str

    @property
    def sha256(self) -> str:
        """Return the digest of the content."""
        return hashlib.sha256(self.content).hexdigest()


def pack(answers: Answers) -> Wheel:
    """Return the wheel for a project with these answers.

    The same commit and answers give the same bytes everywhere. Members are not compressed, because versions of zlib
    differ.
    """
    members = dict(_members(answers))
    record = "".join(f"{name},sha256={_digest(content)},{len(content)}\n" for name, content in sorted(members.items()))
    members[f"{_INFO}/RECORD"] = f"{record}{_INFO}/RECORD,,\n".encode()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, content in sorted(members.items()):
            member = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            member.create_system, member.external_attr = 3, (0o100755 if "/commands/" in name else 0o100644) << 16
            archive.writestr(member, content)
    return Wheel(buffer.getvalue(), WHEEL, VERSION, answers.commit)


def _members(answers: Answers) -> Iterator[tuple[str, bytes]]:
    chosen = {"", *answers.options}
    chosen |= {"secrets"} if {*WITH_PASSWORD, "dask"} & chosen else set()
    yield "ds_docker_env/__init__.py", _content(PACKAGE / "__init__.py")
    for path in (path for wing in _WINGS for kind in _KINDS for path in (PACKAGE / wing).rglob(kind)):
        name = path.relative_to(PACKAGE).as_posix()
        if not name.startswith(_FILES):
            yield f"ds_docker_env/{name}", _content(path)
    files = [path for path in (PACKAGE / _FILES).rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    # File managers leave hidden files.
    for path in (path for path in files if not path.name.startswith(".")):
        for name in (path.name, *_ALIASES.get(path.name, [])):
            if _OPTIONAL.get(name, "") in chosen:
                where = path.relative_to(PACKAGE / _FILES).with_name(name).as_posix()
                yield f"{_DATA}/{where}", _content(path)
    known = {
        "version": VERSION,
        "commit": answers.commit,
        "names": shipped_names(answers.python_version),
        "production": bool(answers.production_requirements),
        "clients": dict(shipped_analysis(answers.python_version, answers.options).clients),
    }
    yield "ds_docker_env/image/template.json", json.dumps(known, indent=0).encode()
    of_tools = shipped_build_requirements("tools", answers.debian_release, answers.options)
    yield f"ds_docker_env/image/{BUILD_REQUIREMENTS}", of_tools.encode()
    metadata = (
        f"Metadata-Version: 2.1\nName: ds-docker-env\nVersion: {VERSION}\n"
        "Summary: The commands of an image of ds-docker-env\n"
        f"Project-URL: Source, {answers.template_url}/tree/{answers.commit}\n"
    )
    yield f"{_INFO}/METADATA", (metadata + "".join(f"Requires-Dist: {name}\n" for name in REQUIRES)).encode()
    provisioner = "ds-docker-env = ds_docker_env.image.kernels:Provisioner"
    yield f"{_INFO}/entry_points.txt", f"[jupyter_client.kernel_provisioners]\n{provisioner}\n".encode()
    yield f"{_INFO}/WHEEL", b"Wheel-Version: 1.0\nGenerator: ds-docker-env\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


@cache
def _content(path: Path) -> bytes:
    return path.read_bytes()


@cache
def _digest(content: bytes) -> str:
    return urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
