"""Options of pip after a requirement, on the same line."""

from __future__ import annotations

import shlex

# https://pip.pypa.io/en/stable/reference/requirements-file-format/#per-requirement-options, and those of a whole file:
# pip takes them on such a line too, --no-binary and --only-binary with effect.
_FLAGS = {"--pre", "--prefer-binary", "--require-hashes", "--no-index", "--use-pep517", "--no-use-pep517"}
_SHORT = {"-C": "--config-settings", "-i": "--index-url", "-f": "--find-links"}
_VALUED = {
    *("--no-binary", "--only-binary", "--global-option", "--install-option", "--build-option", "--config-settings"),
    *("--config-setting", "--index-url", "--extra-index-url", "--find-links", "--trusted-host", "--use-feature"),
    "--hash",
}
_BUILD = "--no-binary"
_NOTHING = "does not affect the lock"


def without_options(line: str) -> tuple[str, list[str]] | None:
    """Return a requirement with its hashes, and the names of its other options, or ``None`` if one is unknown.

    Values are dropped, because they may contain a secret.
    """
    requirement, _, rest = line.partition(" -")
    try:
        words = iter(shlex.split(f"-{rest}"))
    except ValueError:
        return None
    hashes, options = [], []
    for word in words:
        name, given, value = word.partition("=")
        name = _SHORT.get(name, name)
        if name not in _FLAGS | _VALUED:
            return None
        if name in _VALUED and not given:
            value = next(words, "")
        if name == "--hash":
            hashes.append(f" --hash={value}")
        else:
            options.append(name)
    return (requirement.strip() + "".join(hashes), options) if options else None


def why_ignored(option: str) -> str:
    """Return why a lock does not need an option."""
    return "the image installs a wheel if the index has one" if option == _BUILD else _NOTHING
