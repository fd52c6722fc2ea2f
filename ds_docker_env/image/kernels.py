"""Starts kernels with the packages of the lock, and logs when one runs out of memory."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from typing import Any, ClassVar

from jupyter_client.provisioning import LocalProvisioner  # type: ignore[attr-defined]

# In both versions a line "oom_kill 1" counts the processes that the system has killed.
# https://docs.kernel.org/admin-guide/cgroup-v2.html and admin-guide/cgroup-v1/memory.html
_COUNTERS = (Path("/sys/fs/cgroup/memory.events"), Path("/sys/fs/cgroup/memory/memory.oom_control"))
_MORE = "close other notebooks, or set MEMORY=16g in .env, then run: docker compose up"


class Provisioner(LocalProvisioner):
    """Starts kernels as Jupyter does, on the packages of the lock, and logs when memory ended one."""

    # Counted for the container, so for all kernels together; None until the first one starts.
    _seen: ClassVar[int | None] = None
    _aborted = False

    async def pre_launch(self, **options: Any) -> dict[str, Any]:
        """Install packages of requirements.txt that the image lacks; raise `GenerationError` if that fails.

        The notebook, or the command that executes it, shows the message of the error.
        """
        # Jupyter's other commands read this module, too.
        from ds_docker_env.image.overlay import follow

        await asyncio.to_thread(follow, self.log.info)
        return await super().pre_launch(**options)

    async def launch_kernel(self, cmd: list[str], **options: Any) -> Any:
        """Start the kernel."""
        self._aborted = False
        if Provisioner._seen is None:
            Provisioner._seen = killed()
        return await super().launch_kernel(cmd, **options)

    async def poll(self) -> int | None:
        """Return None while the kernel runs, else its exit code, which is negative for a signal."""
        code: int | None = await super().poll()
        now = killed()
        if Provisioner._seen is not None and now > Provisioner._seen:
            self.log.warning("memory: full, so the system ended a kernel or another process; %s", _MORE)
        elif code == -signal.SIGABRT and not self._aborted:
            self.log.warning("memory: the kernel ended itself, perhaps because memory was full; %s", _MORE)
            self._aborted = True
        Provisioner._seen = now
        return code


def killed() -> int:
    """Return how many processes of this container the system has killed because memory was full."""
    for counter in _COUNTERS:
        if counter.exists():
            lines = (line.split() for line in counter.read_text(encoding="ascii").splitlines())
            return next((int(count) for name, count in lines if name == "oom_kill"), 0)
    return 0
