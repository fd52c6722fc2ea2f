"""Try each port without a secret, with the real clients: runs in the image, on the host's network.

The argument is a JSON list of service, address and port; the output maps them to the answers.
"""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import subprocess
import sys
from importlib import import_module

PATHS = {
    "jupyter": ["/api/contents", "/lab", "/datasette/", "/dask/status", "/proxy/8787/status"],
    "h2o": ["/", "/3/Cloud", "/flow/index.html", "/3/ImportFiles?path=/etc"],
}
CLIENTS = {"mysql": ("pymysql", "Access denied"), "postgres": ("psycopg", "password")}
CERTIFICATE = "/tmp/own.pem"
MAKE = f"req -x509 -newkey rsa:2048 -nodes -subj /CN=dask -keyout {CERTIFICATE} -out {CERTIFICATE}.crt"


def web(address: str, port: int, path: str, password: str = "") -> int:
    connection = http.client.HTTPConnection(address, port, timeout=30)
    connection.request("GET", path, headers={"Authorization": f"Basic {password}"} if password else {})
    return connection.getresponse().status


def plain(address: str, port: int) -> str:
    with socket.create_connection((address, port), timeout=30) as peer:
        try:
            peer.sendall(b"GET / HTTP/1.0\r\n\r\n")
            return peer.recv(99).decode(errors="replace")
        except ConnectionError:
            return ""


def encrypted(address: str, port: int, *certificate: str) -> str:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if certificate:
        context.load_cert_chain(*certificate)
    try:
        with context.wrap_socket(socket.create_connection((address, port), timeout=30)) as peer:
            return peer.recv(99).decode(errors="replace")
    except (ConnectionError, ssl.SSLError):
        return ""


def database(address: str, port: int, client: str, refusal: str) -> str:
    try:
        import_module(client).connect(host=address, port=port, user="analysis", password="")
    except Exception as error:
        return "refused" if refusal in str(error) else repr(error)
    return "connected"


def attack(service: str, address: str, port: int) -> list[int] | list[str]:
    if service in PATHS:
        got = [web(address, port, path) for path in PATHS[service]]
        # The user of H2O, without a password.
        return [*got, web(address, port, PATHS[service][0], "YW5hbHlzaXM6")]
    if service in CLIENTS:
        return [database(address, port, *CLIENTS[service])]
    own = (f"{CERTIFICATE}.crt", CERTIFICATE)
    return [plain(address, port), encrypted(address, port), encrypted(address, port, *own)]


if __name__ == "__main__":
    subprocess.run(["openssl", *MAKE.split()], check=True, capture_output=True)
    found = json.loads(sys.argv[1])
    print(json.dumps([[*port, attack(*port)] for port in found]))
