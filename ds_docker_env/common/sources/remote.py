"""What the sources have in common that are named by an address."""

from __future__ import annotations

from dataclasses import dataclass

from ds_docker_env.common.redaction import redacted


@dataclass(frozen=True)
class Remote:
    """Something at a location that may hold a secret."""

    location: str

    @property
    def name(self) -> str:
        return redacted(self.location)
