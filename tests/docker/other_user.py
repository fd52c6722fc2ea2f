"""Another user of the machine, without Docker rights and without a secret, at the ports of a project's containers."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from docker.project import Project, sh

# A local address, its port, and the state: 0A is a listening TCP socket, 07 a UDP socket.
# https://docs.kernel.org/networking/proc_net_tcp.html
_SOCKET = re.compile(r"^ *\d+: ([0-9A-F]+):([0-9A-F]{4}) [0-9A-F]+:[0-9A-F]{4} (\w\w) ", re.MULTILINE)
_LOOPBACK = re.compile(r"[0-9A-F]{6}7F|0{24}01000000|0{16}FFFF0000[0-9A-F]{6}7F")
_STATES = {"tcp": "0A", "tcp6": "0A", "udp": "07", "udp6": "07"}
_ATTACK = Path(__file__).with_name("attack.py").read_text(encoding="utf-8")


def ports(project: Project, *services: str) -> list[tuple[str, str, int]]:
    """Return service, address and port of each socket that other containers can reach; UDP ports are negative."""
    found = []
    for service in services:
        for container in project.compose("ps", "--quiet", service).stdout.split():
            [state] = json.loads(sh("docker", "inspect", container).stdout)
            [network] = state["NetworkSettings"]["Networks"].values()
            opened = set()
            for kind, wanted in _STATES.items():
                read = sh("docker", "exec", "--user=root", container, "cat", f"/proc/net/{kind}").stdout
                for address, port, now in _SOCKET.findall(read):
                    if now == wanted and not _LOOPBACK.fullmatch(address):
                        opened.add(int(port, 16) * (1 if wanted == "0A" else -1))
            found += [(service, network["IPAddress"], port) for port in sorted(opened)]
    return found


def answers(project: Project, found: list[tuple[str, str, int]]) -> list[tuple[str, Any]]:
    """Return each service and the answer of its port to another user of the machine."""
    run = ("docker", "run", "--rm", "--network=host", "--user=65534:65534", "--cap-drop=ALL", "--entrypoint=python")
    told = json.loads(sh(*run, project.image, "-c", _ATTACK, json.dumps(found)).stdout)
    return [(service, got) for service, _, _, got in told]
