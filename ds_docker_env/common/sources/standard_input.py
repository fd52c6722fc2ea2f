"""Standard input, for files that a container cannot see."""

from __future__ import annotations

import sys
from dataclasses import dataclass

from ds_docker_env.common.errors import SourceError
from ds_docker_env.common.redaction import redacted
from ds_docker_env.common.sources.interface import MAX_BYTES, too_large


@dataclass(frozen=True)
class StandardInput:
    """Standard input, which can be read once."""

    @property
    def name(self) -> str:
        return "standard input"

    @property
    def provenance(self) -> str:
        return ""

    @property
    def place(self) -> tuple[str, ...]:
        return ("standard input",)

    def read(self) -> bytes:
        if sys.stdin is None or sys.stdin.isatty():
            raise SourceError(f"{self.name}: is empty; pipe the output of a command into it, such as: pip freeze |")
        content = sys.stdin.buffer.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise too_large(self.name)
        return content

    def beside(self, reference: str) -> str:
        raise SourceError(
            f"{redacted(reference)}: cannot be included from standard input; write its lines instead, "
            "or use the file itself"
        )
