"""What is piped in, for what a container cannot see by itself."""

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
            raise SourceError(f"{self.name}: nothing is piped in; write a command in front, such as pip freeze |")
        content = sys.stdin.buffer.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise too_large(self.name)
        return content

    def beside(self, reference: str) -> str:
        raise SourceError(
            f"{redacted(reference)}: is not read for text that is piped in; write its lines in its place, "
            "or name the file itself"
        )
