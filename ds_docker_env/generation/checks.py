"""The checks of the answers."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ds_docker_env.common.decoding import decode
from ds_docker_env.common.errors import AnswerError, SourceError
from ds_docker_env.common.redaction import excerpt, redacted, without_credentials
from ds_docker_env.common.sources import LocalFile, source_of
from ds_docker_env.common.target import DEBIAN_RELEASES
from ds_docker_env.generation.answers import Answers
from ds_docker_env.generation.services import services_of

# English is the README in the template's directory; other languages are files in templates.
LANGUAGES = (
    "en",
    *sorted(path.name.split(".")[1] for path in (Path(__file__).parents[2] / "templates").glob("README.*.md")),
)
# A component of an image's name (distribution/reference), which is stricter than a Compose project name.
_SLUG = re.compile(r"[a-z0-9]+(?:(?:_{1,2}|-+)[a-z0-9]+)*")
_SLUG_LENGTH = 63
# https://learn.microsoft.com/windows/win32/fileio/naming-a-file
_RESERVED = {"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(10))}
_ONE_LINE = ("project_name", "ticket_url", "production_requirements", "services")
_TEXTS = (*_ONE_LINE, "question", "data")
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html; the path is limited to characters
# that do not need quotes in DVC's configuration and in a shell.
_BUCKET = r"(?!\d+\.\d+\.\d+\.\d+(?:/|$))(?![^/]*\.\.)[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]"
_S3 = re.compile(rf"s3://{_BUCKET}(?:/(?!\.{{1,2}}(?:/|$))[\w.=+@-]+)*/?", re.ASCII)


def check(raw: Mapping[str, Any]) -> Answers:
    """Take cookiecutter's context; raise `AnswerError` with all its problems.

    This reads a local production file, too. It reads a URL only if there are other problems, to report all at once.
    """
    problems = [
        *_text_problems(raw),
        *_slug_problems(str(raw["project_slug"])),
        *_ticket_problems(str(raw["ticket_url"]).strip()),
        *_image_problems(str(raw["python_version"]), str(raw["debian_release"])),
        *_dvc_problems(str(raw["dvc_s3_url"]).strip()),
        *_services_problems(str(raw["services"])),
        *_language_problems(str(raw["_language"])),
        *_index_problems(str(raw["_package_index"])),
    ]
    problems += _production_problems(str(raw["__production_requirements"]), even_a_url=bool(problems))
    if problems:
        raise AnswerError(*problems)
    return Answers.of(raw)


def _text_problems(raw: Mapping[str, Any]) -> Iterator[str]:
    for name in _TEXTS:
        allowed = "" if name in _ONE_LINE else "\n\t"
        found = {c for c in str(raw[name]) if unicodedata.category(c) in ("Cc", "Cs") and c not in allowed}
        if found:
            codes = ", ".join(f"U+{ord(c):04X}" for c in sorted(found))
            yield f"{name}: contains unprintable characters ({codes}); remove them"
    if not str(raw["project_name"]).strip():
        yield "project_name: is blank; enter a title for the analysis"


def _slug_problems(slug: str) -> Iterator[str]:
    shown = slug if len(slug) <= 80 else f"{slug[:77]}..."
    if not _SLUG.fullmatch(slug):
        yield (
            f"project_slug: {shown!r} cannot name a directory, an image and a Compose project; "
            "use lower-case letters and digits with single - or _ between them, such as churn_2026"
        )
    elif len(slug) > _SLUG_LENGTH:
        yield f"project_slug: {shown!r} has {len(slug)} characters; use at most {_SLUG_LENGTH}"
    elif slug in _RESERVED:
        yield f"project_slug: {shown!r} is a reserved name on Windows; choose another, such as {slug}_analysis"


def _ticket_problems(ticket: str) -> Iterator[str]:
    if ticket and (why := _no_plain_url(ticket)):
        advice = "use the ticket's full URL, beginning with https://, or leave it blank"
        yield f"ticket_url: {excerpt(ticket, 80)!r} {why}; {advice}"


def _index_problems(index: str) -> Iterator[str]:
    why = _no_plain_url(index) or ("contains a $ or a quote" if re.search(r"[$']", index) else "")
    if index and why:
        advice = "write it like https://packages.example.com/simple/, and put the login in ~/.netrc"
        yield f"_package_index: {excerpt(without_credentials(index), 80)!r} {why}; {advice}"


def _no_plain_url(address: str) -> str:
    """Return the reason if this is not an http(s) address without a login."""
    try:
        url = urlsplit(address)
        valid = url.scheme in ("http", "https") and bool(url.hostname) and not re.search(r"[\s<>\"`\\]", address)
    except ValueError:
        valid = False
    return "is not a URL" if not valid else "contains a password" if url.username or url.password else ""


def _image_problems(python: str, debian: str) -> Iterator[str]:
    releases = DEBIAN_RELEASES.get(python, ())
    if not releases:
        yield f"python_version: {python!r} is not supported; choose from {', '.join(DEBIAN_RELEASES)}"
    elif debian not in releases:
        yield (
            f"debian_release: the image python:{python}-{debian} does not exist; "
            f"for Python {python} choose {' or '.join(releases)}"
        )


def _dvc_problems(url: str) -> Iterator[str]:
    shown = excerpt(url, 80)
    if not url or _S3.fullmatch(url):
        return
    if without_credentials(url) != url:
        yield (
            f"dvc_s3_url: {shown!r} contains a password, which would be written to files; put it in ~/.aws/credentials"
        )
    else:
        yield (
            f"dvc_s3_url: {shown!r} is not a valid S3 URL; write s3://bucket/path: 3 to 63 lower-case letters, digits, "
            "dots and dashes for the bucket, letters, digits and . _ - = + @ in the path"
        )


def _services_problems(answer: str) -> Iterator[str]:
    try:
        services_of(answer)
    except AnswerError as error:
        yield from error.problems


def _language_problems(language: str) -> Iterator[str]:
    if language not in LANGUAGES:
        offered = ", ".join(LANGUAGES)
        yield f"_language: {excerpt(language, 80)!r} is not a language of the README; choose from {offered}"


def _production_problems(location: str, *, even_a_url: bool) -> Iterator[str]:
    if not location:
        return
    if without_credentials(location) != location:
        yield (
            f"production_requirements: {redacted(location)} contains a password, which would be written to files; "
            "put it in ~/.netrc, or download the file and use its path"
        )
        return
    try:
        source = source_of(location)
        if isinstance(source, LocalFile) or (even_a_url and location.lower().startswith("http")):
            decode(source.read(), source.name)
    except SourceError as error:
        yield from (f"production_requirements: {problem}" for problem in error.problems)


def unknown(given: Iterable[str], questions: Mapping[str, Any]) -> list[str]:
    """Return a problem for each unknown question on the command line."""
    asked = ", ".join(question for question in questions if not question.startswith("_"))
    return [
        f"{name}: unknown question; {_meant(name, questions) or f'choose from {asked}'}"
        for name in given
        if name not in questions
    ]


def misspelt(configured: Iterable[str], questions: Mapping[str, Any], path: str) -> list[str]:
    """Return a note for each name in the user's configuration that is similar to a question's."""
    close = {name: meant for name in configured if name not in questions and (meant := _meant(name, questions))}
    return [f"ds-docker-env: {path}: {name}: unknown question; {meant}" for name, meant in close.items()]


def unusable(configured: Mapping[str, Any], questions: Mapping[str, Any], path: str) -> list[str]:
    """Return a problem for each answer in the user's configuration that cookiecutter would ignore or misread."""
    problems = []
    for name, answer in configured.items():
        choices = questions.get(name)
        if name.startswith("_") or choices is None:
            continue
        if isinstance(choices, list):
            if answer not in choices:
                offered = ", ".join(map(repr, choices))
                problems.append(f"{name}: {answer!r} in {path} is not a choice; choose from {offered}, quotes included")
        elif isinstance(answer, bool) or not isinstance(answer, str | int | float):
            problems.append(f"{name}: {answer!r} in {path} is not text; put it in quotes, or remove it")
    return problems


def _meant(name: str, questions: Iterable[str]) -> str:
    from difflib import get_close_matches

    close = get_close_matches(name, questions, n=1, cutoff=0.85)
    return f"did you mean {close[0]}?" if close else ""
