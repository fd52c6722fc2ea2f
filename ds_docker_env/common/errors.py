"""Everything that can stop generation, one class for each cause."""

from __future__ import annotations

from ds_docker_env.common.redaction import printable, without_credentials

# More would push the first ones off the screen.
_SHOWN = 20


class GenerationError(Exception):
    """Stops generation; ``problems`` holds one message each: what, where, the value, what to do."""

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(printable(without_credentials(problem)) for problem in problems)

    def report(self, outcome: str = "ds-docker-env: nothing was generated") -> str:
        """Return the text for a person, headed by the ``outcome``."""
        count = "this" if len(self.problems) == 1 else f"these {len(self.problems)} things"
        heading = f"{outcome}; fix {count} first:"
        more = [f"  and {len(self.problems) - _SHOWN} more"] if len(self.problems) > _SHOWN else []
        return "\n".join([heading, *(f"  {problem}" for problem in self.problems[:_SHOWN]), *more])


class AnswerError(GenerationError):
    """An answer that cannot be rendered or would not work."""


class SourceError(GenerationError):
    """Production's file cannot be had, or is not a text file."""


class DayError(GenerationError):
    """A day that does not exist or has not begun, or that has no file, commit or release."""


class RequirementsError(GenerationError):
    """Production's file holds lines that no requirements file can have, or that hide a version."""


class UvError(GenerationError):
    """uv is missing, crashes or stands still."""


class StallError(UvError):
    """uv stands still, or takes longer for an answer than that is worth."""


class UnreachableError(UvError):
    """An address cannot be reached; ``url`` is the one that uv names, if it does."""

    def __init__(self, *problems: str, url: str = "") -> None:
        super().__init__(*problems)
        self.url = url


class UntrustedError(UnreachableError):
    """The certificate of a package index is not trusted."""


class RefusedError(UnreachableError):
    """A package index asks for a password."""


class LockError(GenerationError):
    """No lock can hold production's versions on the chosen Python and Linux."""


class ParityError(GenerationError):
    """The lock differs from production; it is thrown away."""


class ProjectError(GenerationError):
    """A file of the project cannot be used or written, or this is no project's container."""

    @classmethod
    def of(cls, error: OSError, folder: object) -> ProjectError:
        """Say what could not be written, in the project folder if the system does not say where."""
        where = error.filename2 or error.filename or folder
        advice = "; check the folder, its owner and the space on the disk" if error.errno else ""
        return cls(f"{where}: {error.strerror or error}{advice}")
