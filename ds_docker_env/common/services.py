"""The services that can run in other containers beside the notebook."""

from __future__ import annotations

SERVICES = ("redis", "sqlite", "mysql", "postgres", "h2o", "dask")
# The services that ask for a password.
WITH_PASSWORD = {"mysql": "MySQL", "postgres": "PostgreSQL", "h2o": "H2O"}


def secret_of(service: str) -> str:
    """Return the name of a service's file in ``.secrets``."""
    # Dask's key and certificate, which the first start writes.
    return "dask.pem" if service == "dask" else f"{service}_password"
