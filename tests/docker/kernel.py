"""A kernel on the running server, and cells for it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import uuid4

from websockets.sync.client import connect
from websockets.sync.connection import Connection

from docker.project import Project


@dataclass(frozen=True)
class Kernel:
    """A kernel with its own connection."""

    connection: Connection

    def begin(self, code: str) -> str:
        """Send a cell, and return the id of its message, which its outputs refer to."""
        header = {"msg_id": uuid4().hex, "session": "", "username": "", "version": "5.4", "msg_type": "execute_request"}
        content = {"code": code, "silent": False, "store_history": False, "allow_stdin": False}
        message = {"channel": "shell", "header": header, "parent_header": {}, "metadata": {}, "content": content}
        self.connection.send(json.dumps(message))
        return header["msg_id"]

    def run(self, code: str, seconds: float = 180) -> str:
        """Run a cell, and return its output or its error."""
        sent, said = self.begin(code), ""
        while True:
            message = json.loads(self.connection.recv(seconds))
            content, kind = message["content"], message["msg_type"]
            if kind == "status" and content["execution_state"] in ("dead", "restarting"):
                return str(content["execution_state"])
            if message["parent_header"].get("msg_id") != sent:
                continue
            if kind == "stream":
                said += content["text"]
            elif kind == "error":
                said += f"{content['ename']}: {content['evalue']}"
            elif kind == "status" and content["execution_state"] == "idle":
                return said.strip()


@contextmanager
def started_kernel(project: Project) -> Iterator[Kernel]:
    answer = project.api("/api/kernels", method="POST", body={"name": "python3"})
    assert answer.status == 201, answer.text
    channels = f"ws://127.0.0.1:{project.port}/api/kernels/{answer.json['id']}/channels?session_id={uuid4().hex}"
    login = {"Authorization": f"token {project.password}"}
    # Without a ping, because a busy server may answer late.
    with connect(channels, max_size=None, ping_interval=None, additional_headers=login) as connection:
        yield Kernel(connection)
