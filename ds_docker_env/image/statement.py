"""Compares the signed statement of an image, which cosign has verified, with the files of a checkout.

The base image runs this module from the checkout's wheel, as it runs `setup`, with the standard library alone, so that
code of the image does not run. Formats: https://github.com/secure-systems-lab/dsse/blob/master/envelope.md,
https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md, https://cyclonedx.org/docs/1.6/json/
"""

from __future__ import annotations

import base64
import hashlib
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple, TextIO

from ds_docker_env.common.redaction import printable
from ds_docker_env.image.setup import become_owner

# The files that fix an image; the digests of the base image and of the wheel are in the Dockerfile.
FILES = ("Dockerfile", "build-requirements.txt", "production.txt", "requirements.txt", "tools.txt")
PROPERTY = "ds-docker-env:"
EQUAL = "equal"
_NOTHING = "statement: cosign did not verify an SBOM; see its message above"


class Statement(NamedTuple):
    """The image, the SHA-256 of each file that fixes it, and further facts by name, such as the commit."""

    image: str
    files: Mapping[str, str]
    facts: Mapping[str, str]


def main(verified: TextIO = sys.stdin, project: Path = Path("/project")) -> None:
    """Print the proven facts; exit with a line for each problem if all statements differ from the checkout."""
    try:
        become_owner(project)
        here = {name: sha256((project / name).read_bytes()) for name in FILES if (project / name).is_file()}
        statements = [_read(line) for line in verified if line.strip("\ufeff\r\n ")]
    except OSError as error:
        sys.exit(f"statement: {error.filename}: {error.strerror}; correct its owner and mode")
    except (AttributeError, LookupError, TypeError, ValueError):
        sys.exit(_NOTHING)
    if not statements:
        sys.exit(_NOTHING)
    found = [(statement, _problems(statement, here)) for statement in statements]
    # A tag that was built twice has two; the newest one comes last.
    statement, problems = min(reversed(found), key=lambda each: len(each[1]))
    if problems:
        sys.exit("\n".join(map(printable, problems)))
    facts = {"Image": statement.image, "Files": f"{', '.join(here)}: same as in this directory"}
    facts |= {name.capitalize(): value for name, value in statement.facts.items() if name != "check"}
    print(*(printable(f"{name + ':':<10} {value}") for name, value in facts.items()), sep="\n")


def sha256(content: bytes) -> str:
    """Return the digest of a file in hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


def _read(line: str) -> Statement:
    """Read one line of cosign's output."""
    statement = json.loads(base64.b64decode(json.loads(line.lstrip("\ufeff"))["payload"]))
    [subject], bill = statement["subject"], statement["predicate"]
    files = {each["name"]: each["hashes"][0]["content"] for each in bill["components"] if each["type"] == "file"}
    properties = {each["name"]: each["value"] for each in bill["metadata"]["properties"]}
    facts = {name.removeprefix(PROPERTY): value for name, value in properties.items() if name.startswith(PROPERTY)}
    return Statement(f"{subject['name']}@sha256:{subject['digest']['sha256']}", files, facts)


def _problems(statement: Statement, here: Mapping[str, str]) -> list[str]:
    commit = statement.facts.get("commit")
    advice = f"check out commit {commit}" if commit else "check out the commit of its tag"
    problems = [
        f"{name}: differs from the file that {statement.image} was built from; {advice}, or use another image"
        for name in sorted(here.keys() | statement.files.keys())
        if here.get(name) != statement.files.get(name)
    ]
    if "production.txt" in statement.files and statement.facts.get("check") != EQUAL:
        problems.append(
            f"production.txt: {statement.image} did not contain these versions when it was signed; use another image"
        )
    return problems


if __name__ == "__main__":
    main()
