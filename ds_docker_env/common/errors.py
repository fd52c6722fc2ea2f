"""The errors that stop generation or a command, one class for each cause."""

from __future__ import annotations

from ds_docker_env.common.redaction import printable, without_credentials

# More would push the first ones off the screen.
_SHOWN = 20


class GenerationError(Exception):
    """Stops generation or a command; ``problems`` are messages of the form ``where: problem; fix``."""

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(printable(without_credentials(problem)) for problem in problems)

    def report(self, outcome: str = "ds-docker-env: nothing was generated") -> str:
        """Return the text for the user, headed by the ``outcome``."""
        count = "this" if len(self.problems) == 1 else f"these {len(self.problems)} problems"
        heading = f"{outcome}; fix {count} first:"
        more = [f"  and {len(self.problems) - _SHOWN} more"] if len(self.problems) > _SHOWN else []
        return "\n".join([heading, *(f"  {problem}" for problem in self.problems[:_SHOWN]), *more])


class AnswerError(GenerationError):
    """An invalid answer to a question."""


class SourceError(GenerationError):
    """Production's file cannot be read, or is not a text file."""


class MissingError(SourceError):
    """A server does not have the file (404)."""


class DayError(GenerationError):
    """An invalid or future day, or one before the first file, commit or release."""


class RequirementsError(GenerationError):
    """Production's file has invalid lines, or lines that hide a version."""


class UvError(GenerationError):
    """uv is missing, crashes or stalls."""


class StallError(UvError):
    """uv stalls, or takes too long for an optional answer."""


class UnreachableError(UvError):
    """An address is unreachable; ``url`` is the address in uv's message, or a blank."""

    def __init__(self, *problems: str, url: str = "") -> None:
        super().__init__(*problems)
        self.url = url


class UntrustedError(UnreachableError):
    """The certificate of a package index is not trusted."""


class RefusedError(UnreachableError):
    """A package index asks for a password."""


class LockError(GenerationError):
    """Production's versions cannot be locked for the chosen Python and Debian."""


class ParityError(GenerationError):
    """The lock differs from production and is discarded."""


class ProjectError(GenerationError):
    """A file of the project cannot be read or written, or this is not a project's container."""

    @classmethod
    def of(cls, error: OSError, folder: object) -> ProjectError:
        """Name the file that could not be written, or the project's directory if the system does not name it."""
        where = error.filename2 or error.filename or folder
        advice = "; check the directory, its owner and the free disk space" if error.errno else ""
        return cls(f"{where}: {error.strerror or error}{advice}")
