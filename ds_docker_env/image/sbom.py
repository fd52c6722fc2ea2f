"""``sbom``: lists the packages of the image and the files that fix them, for scanners and signatures.

Formats: https://cyclonedx.org/docs/1.6/json/, https://github.com/package-url/purl-spec
"""

from __future__ import annotations

import contextlib
import io
import platform
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from cyclonedx.contrib.hash.factories import HashTypeFactory
from cyclonedx.model import ExternalReference, ExternalReferenceType, HashAlgorithm, HashType, Property, XsUri
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output import make_outputter
from cyclonedx.schema import OutputFormat, SchemaVersion
from packageurl import PackageURL

from ds_docker_env.common.errors import ProjectError
from ds_docker_env.image import check, commands, installed
from ds_docker_env.image.build.tools import TOOLS
from ds_docker_env.image.project import LOCK, PRODUCTION, root
from ds_docker_env.image.statement import EQUAL, FILES, PROPERTY, sha256
from ds_docker_env.image.template import template
from ds_docker_env.pinning.parity import read_lock
from ds_docker_env.pinning.production.model import same_version

_TOOLS_LOCK = "tools.txt"
_DEBIAN = "${db:Status-Abbrev}\t${Package}\t${Version}\t${Architecture}\t${source:Package}@${source:Version}\n"


def run(words: Sequence[str]) -> int:
    """Write the bill of materials to standard output, or to the file that is named.

    Print the output of ``check`` on standard error, and return its code. Raise `GenerationError`.
    """
    parser = commands.parser("sbom")
    parser.add_argument("file", nargs="?")
    file = parser.parse_args(words).file
    files = {name: (root() / name).read_bytes() for name in FILES if (root() / name).is_file()}
    if absent := [name for name in (LOCK, _TOOLS_LOCK) if name not in files]:
        raise ProjectError(*(f"{name}: is not in {root()}; restore it from git" for name in absent))
    result, facts = _compared() if PRODUCTION in files else (check.EQUAL, {})
    facts |= {"commit": _commit(), "template": f"ds-docker-env {template().version}, commit {template().commit}"}
    components = [
        *_files(files),
        *_packages("analysis", installed.ANALYSIS, LOCK, files[LOCK]),
        *_packages("tools", TOOLS, _TOOLS_LOCK, files[_TOOLS_LOCK]),
        *_debian(_said("dpkg-query", "--show", "--showformat", _DEBIAN), platform.freedesktop_os_release()),
    ]
    text = _bill(components, facts)
    if file:
        Path(file).write_text(text, encoding="utf-8", newline="\n")
        print(f"{file}: written", file=sys.stderr)
    else:
        print(text, end="")
    return result


def _bill(components: Iterable[Component], facts: Mapping[str, str]) -> str:
    """Return the document of these components, without a timestamp and a random serial number."""
    image = Component(name="analysis", type=ComponentType.CONTAINER, bom_ref="image")
    known = [Property(name=PROPERTY + name, value=value) for name, value in facts.items() if value]
    bom = Bom(components=components, metadata=BomMetaData(component=image, properties=known))
    bom.register_dependency(image, bom.components)
    bom.serial_number = bom.metadata.timestamp = None  # type: ignore[assignment] # both are optional in the format
    return make_outputter(bom, OutputFormat.JSON, SchemaVersion.V1_6).output_as_string(indent=1) + "\n"


def _compared() -> tuple[int, dict[str, str]]:
    """Return the code of ``check``, and its result with its first line."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        result = check.run(())
    print(said.getvalue(), end="", file=sys.stderr)
    first = said.getvalue().partition("\n")[0]
    return result, {"check": EQUAL if result == check.EQUAL else "different", "checked": first}


def _files(files: Mapping[str, bytes]) -> list[Component]:
    return [
        Component(
            name=name,
            type=ComponentType.FILE,
            bom_ref=f"file:{name}",
            hashes=[HashType(alg=HashAlgorithm.SHA_256, content=sha256(content))],
        )
        for name, content in files.items()
    ]


def _packages(name: str, environment: Path, lock: str, content: bytes) -> list[Component]:
    """Return the Python and the packages of an environment, with the hashes in its lock."""
    locked = read_lock(content.decode(), platform.machine())
    components = [_component(PackageURL("generic", None, "python", installed.patch_release(environment)), name)]
    for package, found in installed.read_installed(environment).packages.items():
        held = locked.get(package)
        known = held.hashes if held and held.hashes and same_version(held.version, found.version) else ()
        files = ExternalReference(
            type=ExternalReferenceType.DISTRIBUTION,
            url=XsUri(lock),
            comment="one of the files with these hashes",
            hashes=map(HashTypeFactory().from_composite_str, known),
        )
        purl = PackageURL("pypi", None, package, found.version)
        components.append(_component(purl, name, [files] if known else []))
    return components


def _debian(listed: str, release: Mapping[str, str]) -> list[Component]:
    """Return the installed packages in dpkg's list, with their source packages, which advisories name."""
    distribution = f"{release['ID']}-{release['VERSION_ID']}"
    components = []
    for line in listed.splitlines():
        status, package, version, architecture, source = line.split("\t")
        if status.startswith("ii"):
            more = {"arch": architecture, "distro": distribution}
            more |= {} if source == f"{package}@{version}" else {"upstream": source}
            components.append(_component(PackageURL("deb", release["ID"], package, version, more), "debian"))
    return components


def _component(purl: PackageURL, environment: str, files: Sequence[ExternalReference] = ()) -> Component:
    return Component(
        name=purl.name,
        version=purl.version,
        purl=purl,
        bom_ref=f"{environment}:{purl}",
        external_references=files,
        properties=[Property(name=f"{PROPERTY}environment", value=environment)],
    )


def _commit() -> str:
    """Return the commit of the project; it is blank without git or a commit."""
    with contextlib.suppress(OSError, subprocess.CalledProcessError):
        return _said("git", "-C", str(root()), "rev-parse", "HEAD").strip()
    return ""


def _said(*command: str) -> str:
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True).stdout
