"""A warning about old Docker engines."""

from __future__ import annotations

import contextlib
import json
import os
import sys

from ds_docker_env.common.redaction import printable

# A local engine needs a fiftieth.
_SECONDS = 1
# https://docs.docker.com/engine/network/#published-ports
_CLOSED_SINCE = 28


def open_ports() -> list[str]:
    """Return the summary's line if the engine opens ports on 127.0.0.1 to the local network.

    Docker Desktop, rootless engines and Podman do not. Without an answer of the engine there is nothing to say.
    """
    import subprocess

    from ds_docker_env.common.sources.command import run

    if sys.platform != "linux":
        return []
    command = ["docker", "version", "--format", "{{json .Server}}"]
    with contextlib.suppress(OSError, subprocess.TimeoutExpired, KeyError, TypeError, ValueError):
        server = json.loads(run(command, seconds=_SECONDS, environment=os.environ).stdout)
        parts = {part["Name"] for part in server["Components"]}
        elsewhere = "rootlesskit" in parts or "Engine" not in parts or "Desktop" in server["Platform"]["Name"]
        version = printable(str(server["Version"]))[:30]
        if not elsewhere and int(version.partition(".")[0]) < _CLOSED_SINCE:
            return [
                f"Docker:     {version} opens ports on 127.0.0.1 to the local network; "
                f"update to {_CLOSED_SINCE}.0 or newer"
            ]
    return []
