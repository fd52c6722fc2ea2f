"""A proxy on 127.0.0.1 that answers as all databases of advisories, with its own certificate."""

from __future__ import annotations

import json
import re
import ssl
import threading
import zlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import trustme
from packaging.utils import canonicalize_name

# A package in a lock, and its version.
LOCKED = re.compile(r"^([a-z0-9._-]+)(?:\[[^\]]*\])?==([^\s;]+)", re.MULTILINE)

# A company's base image has its proxy's certificate in this file.
ON_THIS_MACHINE = """\
services:
  jupyter:
    network_mode: host
    environment: ["HTTPS_PROXY={proxy}"]
    volumes: ["{certificate}:/etc/ssl/certs/ca-certificates.crt:ro"]
"""


class Advisories:
    """Knows every version in locks, some with advisories; ``status`` other than 200 is the answer to everything.

    It is the package index, OSV, which has a date for each advisory but those without a date, and Debian's tracker.
    """

    def __init__(self, *locks: str) -> None:
        self.known: dict[tuple[str, str], list[dict[str, Any]]] = {
            # Databases do not list local versions, such as PyTorch's +cpu.
            (name, version.partition("+")[0]): []
            for lock in locks
            for name, version in LOCKED.findall(lock)
        }
        # The real list is never empty.
        self.debian: list[tuple[str, str, str]] = [("none-has-it", "CVE-1999-1", "")]
        self.asked: list[str] = []
        self.status = 200
        self.authority = trustme.CA()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Advisories:
        threading.Thread(target=self._server.serve_forever, args=[0.01], daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self._server.shutdown()

    def override(self, certificate: Path) -> str:
        """Write the certificate, and return the override with which Compose's container asks here."""
        self.write_certificate(certificate)
        return ON_THIS_MACHINE.format(proxy=self.url, certificate=certificate)

    def write_certificate(self, path: Path) -> None:
        self.authority.cert_pem.write_to_path(str(path))

    def add_debian(self, package: str, id: str, fixed_in: str = "") -> None:
        """Add a vulnerability of every version of a Debian source package before this one."""
        self.debian.append((package, id, fixed_in))

    def debian_list(self) -> bytes:
        """Return the list of the tracker, as debsecan reads it."""
        names = [f"{id},,A text, with a comma" for _, id, _ in self.debian]
        packages = [
            f"{package},{number},S  {'F' if fixed_in else ' '},,{fixed_in}"
            for number, (package, _, fixed_in) in enumerate(self.debian)
        ]
        return zlib.compress("\n".join(["VERSION 1", *names, "", *packages, "", "acl,acl libacl1", ""]).encode())

    def add(self, name: str, version: str, *ids: str, fixed_in: str = "", withdrawn: bool = False) -> None:
        """Add an advisory in the formats of the package index and of OSV."""
        name = canonicalize_name(name)
        fixed = [fixed_in] if fixed_in else []
        self.known[name, version].append(
            {
                "id": ids[0],
                "aliases": list(ids[1:]),
                "details": "Somebody else's text. " * 20,
                "fixed_in": fixed,
                "withdrawn": "2099-01-02T03:04:05Z" if withdrawn else None,
                "affected": [
                    {
                        "package": {"name": name, "ecosystem": "PyPI"},
                        "ranges": [{"type": "ECOSYSTEM", "events": [{"fixed": version} for version in fixed]}],
                    }
                ],
            }
        )


def _handler(advisories: Advisories) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        host = ""

        def do_CONNECT(self) -> None:
            self.host = self.path.partition(":")[0]
            self.send_response(200)
            self.end_headers()
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            advisories.authority.issue_cert(self.host).configure_cert(context)
            self.connection = context.wrap_socket(self.connection, server_side=True)
            self.rfile = self.connection.makefile("rb")
            self.wfile = self.connection.makefile("wb", buffering=0)
            self.close_connection = False

        def do_GET(self) -> None:
            """Answer ``/pypi/NAME/VERSION/json``, OSV's ``/v1/vulns/ID``, and Debian's list."""
            if self.host == "security-tracker.debian.org":
                self._send(advisories.status, advisories.debian_list())
            elif self.host == "api.osv.dev":
                undated = self.path.endswith("-undated")
                body = json.dumps({} if undated else {"published": "2099-01-02T03:04:05Z"}).encode()
                self._send(404 if undated else advisories.status, body)
            else:
                name, version = self.path.split("/")[2:4]
                self._answer((name, version), "vulnerabilities")

        def do_POST(self) -> None:
            """Answer OSV's ``/v1/query``, which is empty for packages without advisories."""
            query = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            pin = query["package"]["name"], query["version"]
            advisories.known.setdefault(pin, [])
            self._answer(pin, "vulns" if advisories.known[pin] else "")

        def _answer(self, pin: tuple[str, str], key: str) -> None:
            advisories.asked.append(self.host)
            status = advisories.status if pin in advisories.known else 404
            self._send(status, json.dumps({key: advisories.known[pin]} if key and status == 200 else {}).encode())

        def _send(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *arguments: object) -> None:
            """Do not log requests."""

    return Handler
