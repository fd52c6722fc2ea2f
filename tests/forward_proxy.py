"""A company's proxy, which resolves names that are unknown elsewhere."""

from __future__ import annotations

import select
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit


class ForwardProxy:
    """Notes the host of each request in ``passed``, and connects to the address that ``names`` has for it.

    It answers a plain request itself, with the host's name.
    """

    def __init__(self, host: str = "127.0.0.1") -> None:
        self.passed: list[str] = []
        self.names: dict[str, tuple[str, int]] = {}
        self._server = ThreadingHTTPServer((host, 0), _handler(self))
        self._server.daemon_threads = True
        self.url = f"http://{host}:{self._server.server_address[1]}"

    def __enter__(self) -> ForwardProxy:
        threading.Thread(target=self._server.serve_forever, args=[0.01], daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def _handler(proxy: ForwardProxy) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            host = urlsplit(self.path).hostname or ""
            proxy.passed.append(host)
            self.send_response(200)
            self.send_header("Content-Length", str(len(host)))
            self.end_headers()
            self.wfile.write(host.encode())

        def do_CONNECT(self) -> None:
            host = self.path.partition(":")[0]
            proxy.passed.append(host)
            if host not in proxy.names:
                return self.send_error(502)
            with socket.create_connection(proxy.names[host]) as server:
                self.send_response(200)
                self.end_headers()
                _exchange(self.connection, server)

        def log_message(self, *_: object) -> None:
            pass

    return Handler


def _exchange(one: socket.socket, other: socket.socket) -> None:
    """Pass on bytes in both directions until one side ends."""
    others = {one: other, other: one}
    while True:
        for ready in select.select([one, other], [], [], 60)[0]:
            try:
                said = ready.recv(65536)
            except OSError:
                return
            if not said:
                return
            others[ready].sendall(said)
