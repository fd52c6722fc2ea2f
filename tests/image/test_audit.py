from __future__ import annotations

import json
import re
import signal
import subprocess
from collections.abc import Callable
from datetime import date, datetime, timezone
from pathlib import Path

import pytest

from ds_docker_env.common.errors import MissingError, ProjectError, SourceError
from ds_docker_env.common.sources.web import WebFile
from ds_docker_env.common.target import AMD64, ARM64, note
from ds_docker_env.image import accepted, advisories, audit, tracker
from ds_docker_env.image.accepted import Accepted
from ds_docker_env.image.advisories import Advisory, Group

HASH = "    --hash=sha256:00\n    # via -r requirements.in\n"
LOCK = f"""\
{note()}
numpy==2.1.0 ; platform_machine == '{AMD64}' \\
{HASH}numpy==2.1.1 ; platform_machine == '{ARM64}' \\
{HASH}only-arm==1.0 ; platform_machine == '{ARM64}' \\
{HASH}six==1.17.0 \\
{HASH}"""
TOOLS = f"six==1.17.0 \\\n{HASH}requests==2.0 \\\n{HASH}numpy==2.1.2 \\\n{HASH}"
DEBIAN = [Advisory("curl", "8-1", ("CVE-2099-7",), "8-2", "DEBIAN-CVE-2099-7")]
UNFIXED = [Advisory("tar", "1-1", (f"CVE-2098-{number}",), "", f"DEBIAN-CVE-2098-{number}") for number in range(3)]
TODAY = date(2026, 11, 29)
ACCEPTED = '[[accepted]]\nid = "{id}"\nreason = "only in its server"\nuntil = {until}\n'
Run = Callable[..., int]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Audit a project with these advisories and safe code."""
    (tmp_path / "requirements.txt").write_text(LOCK)
    (tmp_path / "tools.txt").write_text(TOOLS)
    (tmp_path / "production.txt").write_text("six==1.17.0\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    monkeypatch.setattr(tracker, "release", lambda: "trixie")
    monkeypatch.setattr(tracker, "installed", lambda: [tracker.Package("curl", "8-1", "curl", "8-1")])

    def _run(
        *options: str,
        known: dict[str, str] | None = None,
        debian: list[Advisory] = [],  # noqa: B006
        dates: str = "2099-01-02T03:04:05Z",
        silent: str = "",
    ) -> int:
        def ask(lock: str, options: object) -> list[dict[str, object]]:
            if silent == "python":
                raise ValueError("503 Server Error")
            pins = [line.rstrip(" \\").partition("==")[::2] for line in lock.splitlines() if line[0].isalpha()]
            return [
                {
                    "name": name,
                    "version": version,
                    "vulns": [
                        {"id": found, "aliases": [f"CVE-{found}"], "fix_versions": []}
                        for found, vulnerable in (known or {}).items()
                        if vulnerable == f"{name}=={version}"
                    ],
                }
                for name, version in pins
            ]

        def download(_: str) -> str:
            if silent == "debian":
                raise SourceError("https://tracker: no answer within 10 s; try again, or download it first")
            return ""

        def published(file: WebFile) -> bytes:
            if not dates:
                raise SourceError(f"{file.location}: cannot be reached (connection refused); check the URL")
            if "DEBIAN" in file.location:
                raise SourceError(f"{file.location}: the server answered 404 Not Found; check the URL")
            return json.dumps({"published": dates}).encode()

        monkeypatch.setattr(audit, "ask", ask)
        monkeypatch.setattr(tracker, "download", download)
        monkeypatch.setattr(tracker, "known", lambda *_: (debian, UNFIXED))
        monkeypatch.setattr(WebFile, "read", published)
        monkeypatch.setattr(audit, "_src", lambda: ([], False))
        return audit.run(options)

    return _run


def test_the_versions_of_both_processors_and_of_the_tools_are_asked_for_once(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def ask(lock: str, options: object) -> list[dict[str, object]]:
        # pip-audit takes one version of a package and evaluates markers.
        asked.append([line.rstrip(" \\").partition("==")[::2] for line in lock.splitlines() if line[0].isalpha()])
        return [{"name": name, "version": version, "vulns": []} for name, version in asked[-1]]

    monkeypatch.setattr(audit, "ask", ask)
    groups, said = audit._python([])
    assert said == "4 of 4 packages"
    assert not any(group.advisories for group in groups)
    first = [("numpy", "2.1.0"), ("only-arm", "1.0"), ("six", "1.17.0"), ("requests", "2.0")]
    assert asked == [first, [("numpy", "2.1.1")], [("numpy", "2.1.2")]]


def test_audit_lists_findings_with_date_and_remedy_and_counts_those_that_debian_has_not_fixed(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    known = {"P-1": "six==1.17.0", "P-2": "numpy==2.1.1", "P-3": "requests==2.0"}
    assert run(known=known, debian=DEBIAN) == audit.TODO
    out = capsys.readouterr().out
    tables = {table.splitlines()[0]: [line.split() for line in table.splitlines()[2:]] for table in out.split("\n\n")}
    assert tables["Inherited from production:"] == [
        ["six", "1.17.0", "P-1,", "CVE-P-1", "2099-01-02", "no", "version", "yet"]
    ]
    assert [row[0] for row in tables["Added by the analysis:"]] == ["numpy"]
    # A package with one version in both environments is in both tables.
    assert [row[0] for row in tables["JupyterLab and other tools:"]] == ["six", "requests"]
    # OSV lacks a record of it, so the date is blank.
    assert tables["Fixed by Debian:"] == [["curl", "8-1", "CVE-2099-7", "8-2"]]
    assert "Vulnerabilities that Debian has not fixed: 3; to list them, run: audit --unfixed\n" in out
    assert out.splitlines()[-1].split("; ") == [
        "To do: fix production's pins in production, then run take-over",
        f"docker compose run --rm jupyter lock --upgrade-package numpy --at {datetime.now(timezone.utc).date()}",
        "update the project to a newer template, which renews tools.txt",
        "renew the base image (docs/how-to/base-image.md of the template), then run: docker compose up --build",
    ]


def test_unfixed_vulnerabilities_of_debian_are_listed_on_request_without_a_remedy(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--unfixed") == audit.CLEAN
    out = capsys.readouterr().out
    assert "Not fixed by Debian:\n" in out and out.count("CVE-2098-") == 3
    last = out.splitlines()[-1]
    assert last.startswith("No known vulnerability to fix in 4 of 4 packages and 1 Debian packages; ")


def test_without_dates_the_column_is_blank(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(known={"P-2": "numpy==2.1.1"}, dates="") == audit.TODO
    assert ["numpy", "2.1.1", "P-2,", "CVE-P-2", "no", "version", "yet"] in [
        line.split() for line in capsys.readouterr().out.splitlines()
    ]


@pytest.mark.parametrize("silent", ["python", "debian"])
def test_an_incomplete_answer_is_an_error_of_the_audit(
    run: Run, silent: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(silent=silent) == audit.FAILED
    said = capsys.readouterr()
    assert "No known vulnerability" not in said.out
    assert "are not audited and may have vulnerabilities: " in said.err
    # A company may have another scanner for Debian.
    assert run("--no-debian", silent="debian") == audit.CLEAN
    assert " packages; nothing unsafe in src. Debian's packages are not audited." in capsys.readouterr().out


def test_a_database_that_never_ends_its_answer_times_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def hangs(command: list[str], timeout: float, **_: object) -> None:
        raise subprocess.TimeoutExpired(command, timeout)

    monkeypatch.setattr(subprocess, "run", hangs)
    with pytest.raises(ValueError, match="incomplete answer after 300 s"):
        advisories.ask(LOCK, [])


def test_a_database_that_cannot_be_reached_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    raised = (
        'Traceback (most recent call last):\n  File "osv.py", line 70, in query\n'
        "requests.exceptions.ConnectionError: HTTPSConnectionPool(host='api.osv.dev', port=443): Max retries exceeded "
        "with url: /v1/query (Caused by NameResolutionError(\"HTTPSConnection(host='api.osv.dev', port=443): Failed to "
        "resolve 'api.osv.dev' ([Errno -2] Name or service not known)\"))\n"
    )
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: subprocess.CompletedProcess([], 1, "", raised))
    with pytest.raises(ValueError, match=r"^api\.osv\.dev: cannot be reached \(Name or service not known\)$"):
        advisories.ask(LOCK, [])


def test_a_vulnerability_is_accepted_by_any_name_until_a_day_and_unused_entries_are_named(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    entries = [("CVE-P-2", "2999-01-31"), ("CVE-2099-7", "2999-01-31"), ("CVE-2001-1", "2999-01-31")]
    Path("audit.toml").write_text(
        "".join(ACCEPTED.format(id=each, until=until) for each, until in entries), encoding="utf-8"
    )
    assert run(known={"P-2": "numpy==2.1.1"}, debian=DEBIAN) == audit.CLEAN
    assert "audit.toml:9: CVE-2001-1: does not match a vulnerability; remove it\n" in capsys.readouterr().out
    # An incomplete answer does not show unused entries.
    run(known={"P-2": "numpy==2.1.1"}, silent="debian")
    assert "does not match a vulnerability" not in capsys.readouterr().out

    Path("audit.toml").write_text(ACCEPTED.format(id="P-2", until="2020-01-31"), encoding="utf-8")
    assert run(known={"P-2": "numpy==2.1.1"}) == audit.TODO
    out = capsys.readouterr().out
    assert out.startswith("audit.toml:1: P-2: was accepted until 2020-01-31; fix it, or set a later date\n")
    assert "To do: correct audit.toml; docker compose run" in out


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[[accepted]\n", r"audit\.toml:1: invalid TOML .*; correct it"),
        (
            "[[ignored]]\nid = 1\n",
            r"audit\.toml: contains other entries than \[\[accepted\]\]; write",
        ),
        ('\n[[accepted]]\nid = "P-1"\nuntil = 2999-01-01\n', r"audit\.toml:2: reason: missing"),
        (
            ACCEPTED.format(id="P-1", until='"2999-01-01"'),
            r"audit\.toml:1: until: missing, unknown or of",
        ),
        (ACCEPTED.format(id="P-1", until="2999-01-01T00:00:00"), r"audit\.toml:1: until: missing"),
        (ACCEPTED.format(id="P-1", until="2999-01-01") + "package = 1\n", r"audit\.toml:1: package: missing, unknown"),
        (ACCEPTED.format(id=" ", until="2999-01-01"), r"audit\.toml:1: id: missing"),
    ],
)
def test_an_incomplete_entry_accepts_nothing_and_shows_the_format(text: str, why: str) -> None:
    entries, [problem] = accepted.read(text, TODAY)
    assert entries == []
    assert re.match(why, problem), problem


def test_an_entry_holds_on_its_last_day() -> None:
    assert accepted.read(ACCEPTED.format(id="P-1", until=TODAY), TODAY) == ([Accepted("P-1", TODAY, 1)], [])
    group = Group("Known:", DEBIAN)
    assert accepted.without([group], [Accepted("CVE-2099-7", TODAY, 1)]) == ([Group("Known:", [])], [])


def test_pip_audits_own_option_to_accept_is_refused(run: Run) -> None:
    with pytest.raises(
        ProjectError, match=r"--ignore-vuln: .*; accept P-1 in audit\.toml instead \(docs/how-to/audit\.md"
    ):
        run("--ignore-vuln", "P-1")


@pytest.mark.parametrize(
    ("options", "url"),
    [
        ([], "https://api.osv.dev/v1/vulns/"),
        (["--osv-url", "https://osv.example.com/v1/query"], "https://osv.example.com/v1/vulns/"),
    ],
)
def test_dates_come_from_the_database_that_is_named(options: list[str], url: str) -> None:
    assert audit._osv(options) == url


def test_a_record_that_the_database_lacks_does_not_hide_the_dates_of_others(monkeypatch: pytest.MonkeyPatch) -> None:
    def read(file: WebFile) -> bytes:
        if file.location.endswith("/LOST-1"):
            raise MissingError("the server answered 404")
        return b'{"published": "2026-01-02T03:04:05Z"}'

    monkeypatch.setattr(WebFile, "read", read)
    assert advisories.published(["LOST-1", "KEPT-1"], "https://osv.example.com/") == {"KEPT-1": "2026-01-02"}
