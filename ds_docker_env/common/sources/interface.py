"""The interface of a source, and the parts that sources share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from ds_docker_env.common.errors import SourceError
from ds_docker_env.common.redaction import redacted

MAX_BYTES = 10_000_000


class Source(Protocol):
    """A file that can be read, and can include others."""

    @property
    def name(self) -> str:
        """The name in messages and in production.txt, without credentials."""

    @property
    def provenance(self) -> str:
        """The version of the content, such as a commit; may be blank."""

    @property
    def place(self) -> tuple[str, ...]:
        """The host, repository or machine from which a file may include others."""

    def read(self) -> bytes:
        """Return the content; raise `SourceError`."""

    def beside(self, reference: str) -> str:
        """Return the location of a file that this one includes; raise `SourceError` if it cannot include any."""


@dataclass(frozen=True)
class Remote:
    """A location that may contain a secret."""

    location: str

    @property
    def name(self) -> str:
        return redacted(self.location)


def too_large(name: str) -> SourceError:
    """Return the error for a file of more than `MAX_BYTES`."""
    return SourceError(f"{name}: is larger than {MAX_BYTES // 1_000_000} MB; use a requirements file")
