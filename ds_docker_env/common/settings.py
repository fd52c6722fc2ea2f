"""A project's uv.toml: what ds-docker-env writes at its beginning, and a person's own settings behind that."""

from __future__ import annotations

from ds_docker_env.common.errors import GenerationError
from ds_docker_env.common.redaction import without_credentials

BEGIN = "# How uv builds production's sources; written by ds-docker-env."
END = "# End of what ds-docker-env writes; settings of your own follow."


def own_settings(text: str) -> str:
    """Return what a person wrote into a uv.toml; raise `GenerationError` if git would get a password with it."""
    own = text.partition(f"{END}\n")[2] if text.startswith(BEGIN) else text
    if without_credentials(own) != own:
        raise GenerationError(
            "uv.toml: holds a password, which git and the image build would get; "
            "put it into .secrets/netrc, and name the index without"
        )
    return own
