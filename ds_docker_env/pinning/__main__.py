"""Pins in a separate process, which has the parsing libraries."""

from __future__ import annotations

import json
import signal
import sys

from ds_docker_env.common.errors import GenerationError
from ds_docker_env.common.shipped import shipped_analysis
from ds_docker_env.common.signals import STOPPED, STOPPING
from ds_docker_env.common.target import AMD64, Target
from ds_docker_env.common.uv import STEP
from ds_docker_env.pinning.pinned import pin, require_notebook, versions_in


def main() -> None:
    """Read the arguments of `pin` as JSON, and print ``files`` and ``summary``, or ``problems``, as JSON.

    Stop uv and its children after a signal, and if the hook no longer reads standard error.
    """
    for number in STOPPING:
        signal.signal(number, _stop)
    try:
        asked = json.load(sys.stdin)
        python = asked["python"]
        analysis = shipped_analysis(python, asked["options"])
        if asked["requirements"]:
            before = asked["before"] if versions_in(asked["before"], AMD64) else ""
            analysis = analysis._replace(text=asked["requirements"], before=before)
            require_notebook(analysis)
        target = Target(python, debian=asked["debian"])
        pinned = pin(asked["location"], target, analysis, asked["settings"], _say, asked["built_with"])
        answer = {"files": pinned.files, "summary": pinned.summary}
    except GenerationError as error:
        answer = {"problems": error.problems}
    except KeyboardInterrupt:
        sys.exit(STOPPED)
    json.dump(answer, sys.stdout)


def _say(step: str) -> None:
    try:
        print(f"{STEP}{step}", file=sys.stderr, flush=True)
    except OSError:
        raise KeyboardInterrupt from None


def _stop(*_: object) -> None:
    """Interrupt once; a second signal would interrupt the cleanup."""
    for number in STOPPING:
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
