"""The one sentence of uv's messages that holds the reason."""

from __future__ import annotations

import re

from ds_docker_env.common.redaction import excerpt

# Characters of one sentence.
_LENGTH = 200
# uv's error follows lines about its progress, and hints follow the error.
_ERROR = re.compile(r"^(?:error|.*? error): |^\s*×\s", re.MULTILINE)
_HINT = re.compile(r"^\s*hint: ", re.MULTILINE)
_CAUSE = re.compile(r"^\s*(?:cause: |Caused by: |[├╰]─▶ )", re.MULTILINE)
_PROGRESS = re.compile(
    r"^\s*(?:warning: .*|(?:Resolved|Prepared|Installed|Audited|Using|Creating|Downloading|Downloaded|Building|Built|"
    r"Updating|Updated|Fetching|Fetched|Cloning)\b.*|\[std(?:out|err)\]|Call to .* failed.*)$\n?",
    re.MULTILINE,
)
# https://github.com/pubgrub-rs/pubgrub writes its derivation as sentences.
_BECAUSE = re.compile(r"(?:^|\s)(?:And )?[Bb]ecause (.+?), (?:we can conclude|we know|it follows)", re.DOTALL)
_REQUIRED = re.compile(r",? and you require [^,]+$|^you require [^,]+(?: and |$)")


def sentence(said: str) -> str:
    """Return the reason in uv's messages in one sentence, without its progress, its hints and its conclusions."""
    error = _ERROR.search(said)
    text = said[error.end() :] if error else said
    text = _PROGRESS.sub("", _HINT.split(text, maxsplit=1)[0])
    if reasons := [why for each in _BECAUSE.findall(text) if (why := _REQUIRED.sub("", " ".join(each.split())))]:
        reason = ([each for each in reasons if "==" in each] or reasons)[-1]
    else:
        *_, last = _CAUSE.split(text)
        lines = [" ".join(line.split()) for line in last.splitlines() if line.strip()]
        # Not a hash, nor the word before it.
        reason = next((line for line in reversed(lines) if line.count(" ") > 1), lines[-1] if lines else "")
    reason = reason or " ".join(said.split())
    shown = excerpt(reason, _LENGTH)
    return f"{shown}..." if len(reason) > _LENGTH else shown
