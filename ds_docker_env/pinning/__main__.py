"""Pins in a process of its own, which has the parsing libraries."""

from __future__ import annotations

import json
import sys

from ds_docker_env.common.errors import GenerationError
from ds_docker_env.common.shipped import shipped_analysis
from ds_docker_env.common.target import Target
from ds_docker_env.pinning.pinned import pin, require_notebook, versions_in


def main() -> None:
    """Answer what `pin` takes, in JSON, with ``files`` and ``summary``, or with ``problems``."""
    try:
        asked = json.load(sys.stdin)
        python = asked["python"]
        analysis = shipped_analysis(python, asked["options"])
        if asked["requirements"]:
            before = asked["before"] if versions_in(asked["before"]) else ""
            analysis = analysis._replace(text=asked["requirements"], before=before)
            require_notebook(analysis)
        pinned = pin(asked["location"], Target(python), analysis, asked["debian"], asked["settings"])
        answer = {"files": pinned.files, "summary": pinned.summary}
    except GenerationError as error:
        answer = {"problems": error.problems}
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()
