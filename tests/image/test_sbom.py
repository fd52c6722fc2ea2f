"""``sbom`` in a real environment of tiny packages, and the verification of a checkout by its signed form."""

from __future__ import annotations

import base64
import io
import json
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import ANSWERS
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from small_image import Image

from ds_docker_env.common.errors import ProjectError
from ds_docker_env.common.target import AMD64
from ds_docker_env.generation.answers import Answers
from ds_docker_env.generation.wheel import pack
from ds_docker_env.image import check, sbom
from ds_docker_env.image.template import Template

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="it runs in containers, on Linux")
DPKG = """\
ii \tg++\t4:14.2.0-1\tamd64\tgcc-defaults@1.220
ii \tlibpq5\t17.6-0+deb13u1\tamd64\tpostgresql-17@17.6-0+deb13u1
ii \ttzdata\t2025b-4\tall\ttzdata@2025b-4
rc \tvim\t2:9.1\tamd64\tvim@2:9.1
"""
IMAGE = f"ghcr.io/shop/churn@sha256:{'a' * 64}"


@pytest.fixture
def written(image: Image, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """Return the output of the command in a project whose image has these Debian packages."""
    made_by = Template("2026.11.0", "f" * 40, [], {})
    monkeypatch.setattr(check, "template", lambda: made_by)
    monkeypatch.setattr(sbom, "template", lambda: made_by)
    monkeypatch.setattr(sbom, "TOOLS", image.environment)
    monkeypatch.setattr(platform, "machine", lambda: AMD64)
    monkeypatch.setattr(platform, "freedesktop_os_release", lambda: {"ID": "debian", "VERSION_ID": "13"}, raising=False)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "dpkg-query").write_text(f"#!/bin/sh\ncat <<'END'\n{DPKG}END\n")
    (tmp_path / "bin" / "dpkg-query").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=":")
    (image.project / "tools.txt").write_text("tool==0.9 --hash=sha256:" + "0" * 64 + "\n")
    (image.project / "Dockerfile").write_text("FROM python\n")
    assert sbom.run([str(tmp_path / "sbom.json")]) == 0
    return (tmp_path / "sbom.json").read_text(encoding="utf-8")


def attested(bill: str, image: str = IMAGE) -> str:
    """Return a line of ``cosign verify-attestation``."""
    name, _, digest = image.partition("@sha256:")
    statement = {"subject": [{"name": name, "digest": {"sha256": digest}}], "predicate": json.loads(bill)}
    payload = base64.b64encode(json.dumps(statement).encode()).decode()
    return json.dumps({"payloadType": "application/vnd.in-toto+json", "payload": payload}) + "\n"


def verified(lines: str, checkout: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """Return the facts about a checkout that agrees, or the reason why it does not."""
    from ds_docker_env.image import statement

    capsys.readouterr()
    try:
        statement.main(io.StringIO(lines), checkout)
    except SystemExit as ended:
        return str(ended.code)
    return capsys.readouterr().out


def test_the_packages_of_the_analysis_the_tools_and_debian_and_the_files_are_listed_as_cyclonedx(
    written: str, image: Image
) -> None:
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(written) is None
    bill = json.loads(written)
    listed: dict[str, Any] = {component["bom-ref"]: component for component in bill["components"]}
    assert {ref for ref in listed if ref.startswith("debian:")} == {
        "debian:pkg:deb/debian/g%2B%2B@4:14.2.0-1?arch=amd64&distro=debian-13&upstream=gcc-defaults%401.220",
        "debian:pkg:deb/debian/libpq5@17.6-0%2Bdeb13u1?arch=amd64&distro=debian-13"
        "&upstream=postgresql-17%4017.6-0%2Bdeb13u1",
        "debian:pkg:deb/debian/tzdata@2025b-4?arch=all&distro=debian-13",
    }
    for name, version in image.packages.items():
        [files] = listed[f"analysis:pkg:pypi/{name}@{version}"]["externalReferences"]
        assert files["hashes"] and files["url"] == "requirements.txt"
        # The tools' lock lacks these versions, so their hashes would be wrong.
        assert "externalReferences" not in listed[f"tools:pkg:pypi/{name}@{version}"]
    assert {ref for ref in listed if ref.startswith("file:")} == {
        *("file:Dockerfile", "file:production.txt", "file:requirements.txt", "file:tools.txt")
    }


def test_the_same_image_gives_the_same_text(written: str, image: Image, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert sbom.run([]) == 0
    assert capsys.readouterr().out == written
    assert "timestamp" not in written and "serialNumber" not in written


def test_a_project_without_production_has_nothing_to_check(
    written: str, image: Image, capsys: pytest.CaptureFixture[str]
) -> None:
    (image.project / "production.txt").unlink()
    capsys.readouterr()
    assert sbom.run([]) == 0
    bill = capsys.readouterr().out
    assert "ds-docker-env:check" not in bill
    said = verified(attested(bill), image.project, capsys)
    assert "\nFiles:     Dockerfile, requirements.txt, tools.txt: same as in this directory\n" in said
    assert "Checked:" not in said


def test_a_package_that_differs_from_production_is_named_and_sets_the_exit_code(
    written: str, image: Image, capsys: pytest.CaptureFixture[str]
) -> None:
    production = image.project / "production.txt"
    production.write_text(production.read_text().replace("prod==1.0", "prod==2.0"))
    capsys.readouterr()
    assert sbom.run([]) == 1
    said = capsys.readouterr()
    assert "1 of 2 versions of production.txt are installed" in said.err
    assert "did not contain these versions" in verified(attested(said.out), image.project, capsys)


def test_a_missing_lock_is_named(written: str, image: Image) -> None:
    (image.project / "tools.txt").unlink()
    with pytest.raises(ProjectError, match=r"tools\.txt: is not in"):
        sbom.run([])


def test_a_checkout_of_the_same_files_agrees_with_the_statement(
    written: str, image: Image, capsys: pytest.CaptureFixture[str]
) -> None:
    said = verified(attested(written), image.project, capsys).splitlines()
    assert said == [
        f"Image:     {IMAGE}",
        "Files:     Dockerfile, production.txt, requirements.txt, tools.txt: same as in this directory",
        "Checked:   2 of 2 versions of production.txt are installed",
        f"Template:  ds-docker-env 2026.11.0, commit {'f' * 40}",
    ]


def test_another_lock_and_added_or_missing_files_are_named(
    written: str, image: Image, capsys: pytest.CaptureFixture[str]
) -> None:
    (image.project / "requirements.txt").write_text("other==1\n")
    (image.project / "production.txt").unlink()
    assert verified(attested(written), image.project, capsys).splitlines() == [
        f"{name}: differs from the file that {IMAGE} was built from; "
        "check out the commit of its tag, or use another image"
        for name in ("production.txt", "requirements.txt")
    ]


def test_one_of_several_statements_is_enough(written: str, image: Image, capsys: pytest.CaptureFixture[str]) -> None:
    other = attested(written.replace('"Dockerfile"', '"Containerfile"'))
    assert verified(attested(written) + other, image.project, capsys).startswith("Image: ")
    assert "Containerfile: differs from the file" in verified(other, image.project, capsys)


def test_an_image_that_differed_from_production_does_not_pass(
    written: str, image: Image, capsys: pytest.CaptureFixture[str]
) -> None:
    different = attested(written.replace('"equal"', '"different"'))
    assert different != attested(written)
    said = verified(different, image.project, capsys)
    assert said.startswith(f"production.txt: {IMAGE} did not contain these versions when it was signed")


@pytest.mark.parametrize("lines", ["", "\r\n", "Error: no matching attestations\n", "{}\n", '{"payload": "e30="}\n'])
def test_without_a_statement_nothing_is_proven(lines: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert verified(lines, tmp_path, capsys) == ("statement: cosign did not verify an SBOM; see its message above")


def test_the_wheel_verifies_with_nothing_but_python_and_the_text_that_powershell_pipes(
    written: str, image: Image
) -> None:
    wheel = pack(Answers.of({**ANSWERS, "__production_requirements": ""}))
    (image.project / wheel.name).write_bytes(wheel.content)
    program = "import pathlib, sys; from ds_docker_env.image.statement import main; main(project=pathlib.Path.cwd())"
    done = subprocess.run(
        [sys.executable, "-S", "-c", program],
        env={"PYTHONPATH": wheel.name},
        cwd=image.project,
        input="\ufeff" + attested(written).replace("\n", "\r\n"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"Image:     {IMAGE}\n")
