"""A project's uv.toml: settings that ds-docker-env writes, followed by the user's own."""

from __future__ import annotations

from ds_docker_env.common.errors import GenerationError
from ds_docker_env.common.redaction import without_credentials

BEGIN = "# How uv builds production's sources; written by ds-docker-env."
END = "# End of what ds-docker-env writes; settings of your own follow."


def own_settings(text: str) -> str:
    """Return the user's own settings in a uv.toml; raise `GenerationError` if they contain a password."""
    own = text.partition(f"{END}\n")[2] if text.startswith(BEGIN) else text
    if without_credentials(own) != own:
        raise GenerationError(
            "uv.toml: contains a password, which git and the image build would copy; "
            "put it in .secrets/netrc, and remove it from the URL"
        )
    return own
