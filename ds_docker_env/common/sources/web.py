"""A file behind an http(s) URL."""

from __future__ import annotations

import ssl
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError, TimeoutError

from ds_docker_env.common import certificates
from ds_docker_env.common.errors import MissingError, SourceError
from ds_docker_env.common.sources.interface import MAX_BYTES, Remote, too_large

# Seconds to connect, without data, and for the whole file.
CONNECT, SILENCE, WHOLE = 5, 10, 30


@dataclass(frozen=True)
class WebFile(Remote):
    """A file behind a URL; ``requests`` takes the password from netrc and the proxy from the environment.

    It may have ``size`` bytes and take ``seconds``, `WHOLE` by default.
    """

    size: int = MAX_BYTES
    seconds: float = 0

    @property
    def provenance(self) -> str:
        return ""

    @property
    def place(self) -> tuple[str, ...]:
        """Scheme and host, compared as text, so that different parsers cannot disagree."""
        parts = urlsplit(self.location)
        return (parts.scheme, parts.netloc)

    def read(self) -> bytes:
        whole = self.seconds or WHOLE
        deadline = time.monotonic() + whole
        content = bytearray()
        session = requests.Session()
        session.mount("https://", _Trusting())
        try:
            with session, session.get(self.location, timeout=(CONNECT, SILENCE), stream=True) as response:
                if not response.ok:
                    problem = MissingError if response.status_code == 404 else SourceError
                    raise problem(
                        f"{self.name}: the server answered {response.status_code} {response.reason}; "
                        "check the URL, and the password in ~/.netrc if it needs one"
                    )
                while chunk := _arrived(response.raw):
                    content += chunk
                    if len(content) > self.size:
                        raise too_large(self.name)
                    if time.monotonic() > deadline:
                        raise SourceError(
                            f"{self.name}: not downloaded within {whole} s; try again, or download it first"
                        )
        except (requests.Timeout, TimeoutError):
            raise SourceError(f"{self.name}: no answer within {SILENCE} s; try again, or download it first") from None
        except (requests.RequestException, HTTPError, OSError, UnicodeError) as error:
            if certificates.untrusted(str(error)):
                raise SourceError(f"{self.name}: its certificate is not trusted; {certificates.ADVICE}") from None
            raise SourceError(
                f"{self.name}: cannot be reached ({_cause(error)}); check the URL and the network"
            ) from None
        return bytes(content)

    def beside(self, reference: str) -> str:
        try:
            return urljoin(self.location, reference)
        except ValueError as error:
            raise SourceError(f"{reference}: is not a valid URL ({error}); correct it") from None


def reachable(url: str) -> bool:
    """Say whether a server answers at a URL, even with an error."""
    try:
        requests.head(url, timeout=(CONNECT, SILENCE), stream=True).close()
    except (requests.exceptions.SSLError, requests.exceptions.ReadTimeout):
        return True  # uv may trust it, or wait longer
    except requests.RequestException:
        return False
    return True


class _Trusting(HTTPAdapter):
    """Trusts the certificates of the system and of ``SSL_CERT_FILE`` in addition to those of requests.

    https://requests.readthedocs.io/en/latest/user/advanced/#transport-adapters
    """

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        super().init_poolmanager(*arguments, ssl_context=ssl.create_default_context(), **options)

    def proxy_manager_for(self, *arguments: Any, **options: Any) -> Any:
        return super().proxy_manager_for(*arguments, ssl_context=ssl.create_default_context(), **options)


def _arrived(raw: Any) -> bytes:
    """Return the data that has arrived without waiting, so that a trickle meets the deadline (urllib3 2)."""
    read = getattr(raw, "read1", raw.read)
    return bytes(read(65536, decode_content=True))


def _cause(error: BaseException) -> str:
    """Return the system's message, the only readable part of a wrapped connection error."""
    inner: BaseException | None = error
    while inner is not None:
        if isinstance(inner, OSError) and inner.strerror:
            return inner.strerror.lower()
        inner = inner.__cause__ or inner.__context__
    return type(error).__name__
