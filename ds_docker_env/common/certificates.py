"""Certificates that this machine does not trust, such as those of a company's proxy."""

from __future__ import annotations

import re

ADVICE = "set SSL_CERT_FILE to a file with your company's certificates"
# The words of OpenSSL, uv, GnuTLS, macOS, Windows and Docker.
UNTRUSTED = (
    r"(?i)local issuer|UnknownIssuer|self[- ]signed|certificate verification failed|invalid certificate chain|"
    r"SEC_E_UNTRUSTED_ROOT|unknown authority|certificate is not trusted"
)


def untrusted(said: str) -> bool:
    """Say whether a program stopped because it does not know the issuer of a certificate."""
    return bool(re.search(UNTRUSTED, said))
