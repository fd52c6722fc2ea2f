"""A project's uv.toml: what ds-docker-env writes at its beginning, and a person's own settings behind that."""

from __future__ import annotations

BEGIN = "# How uv builds production's sources; written by ds-docker-env."
END = "# End of what ds-docker-env writes; settings of your own follow."


def own_settings(text: str) -> str:
    """Return what a person wrote into a uv.toml."""
    return text.partition(f"{END}\n")[2] if text.startswith(BEGIN) else text
