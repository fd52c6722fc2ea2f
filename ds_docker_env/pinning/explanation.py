"""The reason in uv's messages, in one sentence."""

from __future__ import annotations

import re

from ds_docker_env.common.redaction import excerpt

# Characters of one sentence.
_LENGTH = 200
# uv's error follows lines about its progress, and hints follow the error.
_ERROR = re.compile(r"^error: ", re.MULTILINE)
_HINT = re.compile(r"^\s*hint: ", re.MULTILINE)
_CAUSE = re.compile(r"^\s*cause: ", re.MULTILINE)
_PROGRESS = re.compile(
    r"^\s*(?:warning: .*|(?:Resolved|Prepared|Installed|Audited|Using|Creating|Downloading|Downloaded|Building|Built|"
    r"Updating|Updated|Fetching|Fetched|Cloning)\b.*|\[std(?:out|err)\]|Call to .* failed.*|.*full log can be found.*|"
    r"(?:Expected|Computed):|sha256:\w+|note: .*|.*\n[ |]*\^[ |^~]*)$\n?",
    re.MULTILINE,
)
# Patterns for the reason in a build's output, the most certain first; the last line is often a summary.
_SURE = (
    re.compile(r"fatal error: "),
    re.compile(r"\bERROR: |[A-Z]\w*Error: |[a-z]\w*Error: "),
    re.compile(r"\berror: "),
)
# https://github.com/pubgrub-rs/pubgrub writes its derivation as sentences.
_BECAUSE = re.compile(r"(?:^|\s)(?:And )?[Bb]ecause (.+?), (?:we can conclude|we know|it follows)", re.DOTALL)
_REQUIRED = re.compile(r",? and you require [^,]+$|^you require [^,]+(?: and |$)")


def sentence(said: str) -> str:
    """Return the reason in uv's messages in one sentence, without its progress, its hints and its conclusions."""
    error = _ERROR.search(said)
    text = said[error.end() :] if error else said
    text = _HINT.split(text, maxsplit=1)[0]
    if reasons := [why for each in _BECAUSE.findall(" ".join(text.split())) if (why := _REQUIRED.sub("", each))]:
        reason = ([each for each in reasons if "==" in each] or reasons)[-1]
    else:
        *_, last = _CAUSE.split(text)
        # uv writes the problem below the mark, or above the line if the mark is last; it wraps long lines.
        below = " ".join(last.rpartition("^\n")[2].split()) if "^\n" in last else ""
        lines = (
            [below]
            if below
            else [" ".join(line.split()) for line in _PROGRESS.sub("", last).splitlines() if line.strip()]
        )
        sure = ([line for line in lines if found.search(line)] for found in _SURE)
        reason = next((found[-1] for found in sure if found), lines[-1] if lines else "")
    reason = reason or " ".join(said.split())
    shown = excerpt(reason, _LENGTH)
    return f"{shown}..." if len(reason) > _LENGTH else shown
