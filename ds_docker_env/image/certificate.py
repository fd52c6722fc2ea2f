"""The secret of a Dask cluster: a key and a certificate that scheduler, workers and clients share.

Format: https://distributed.dask.org/en/stable/tls.html
"""

from __future__ import annotations

import subprocess
from pathlib import Path

from ds_docker_env.common.errors import ProjectError

_MONTH = 30 * 24 * 60 * 60
# All parts trust only this certificate, so it may be valid for longer than the project lasts.
_DAYS = 36_500
_MAKE = (
    *("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
    *("-subj", "/CN=dask", "-days", str(_DAYS), "-keyout", "-"),
    # Python 3.13 requires keyUsage.
    *("-addext", "keyUsage=critical,digitalSignature,keyCertSign"),
)


def new_certificate(path: Path) -> bytes:
    """Return a new key and certificate if the file is empty or its certificate expires within a month, else nothing.

    Raise `ProjectError` if the file has other content, which a person may want to keep, or if openssl fails.
    """
    content = path.read_bytes().strip() if path.exists() else b""
    if content and _openssl("x509", "-noout", given=content).returncode:
        raise ProjectError(f".secrets/{path.name}: not a key with a certificate; empty the file to get new ones")
    if content and _openssl("x509", "-noout", "-checkend", str(_MONTH), given=content).returncode == 0:
        return b""
    made = _openssl(*_MAKE)
    if made.returncode:
        raise ProjectError(f"openssl: {made.stderr.decode(errors='replace').strip()}")
    return made.stdout


def _openssl(*arguments: str, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["/usr/bin/openssl", *arguments], input=given, capture_output=True, check=False)
