"""The Docker engine that will run the project, as far as a person should know its version."""

from __future__ import annotations

import contextlib
import json
import os
import sys

from ds_docker_env.common.redaction import printable

# An engine of this machine needs a fiftieth.
_SECONDS = 1
# https://docs.docker.com/engine/network/#published-ports
_CLOSED_SINCE = 28


def open_ports() -> list[str]:
    """Return lines of the summary if the engine lets the local network reach ports on 127.0.0.1.

    Docker Desktop, engines without root and Podman do not. Where no engine answers, there is nothing to say.
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
                f"Docker:     {version} lets other machines of the local network reach ports on 127.0.0.1,",
                f"            where only the password protects the notebook; update it to {_CLOSED_SINCE}.0 or newer",
            ]
    return []
