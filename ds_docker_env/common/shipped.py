"""The packages and locks that come with this template, in ``locks/``."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from pathlib import Path

from ds_docker_env.common.analysis import Analysis, package_name, without_floor
from ds_docker_env.common.target import made_for

LOCKS = Path(__file__).parents[2] / "locks"
# A package with its hashes, and uv's note of the packages or files that need it.
_ENTRY = re.compile(
    r"^(?P<pin>(?P<name>[a-z0-9-]+)==.*\n(?:    --hash.*\n)+)(?P<note>    # via.*\n(?:    #   .*\n)*)", re.MULTILINE
)
_SOURCE = re.compile(r"^# ([a-z0-9-]+==[^\s:]+)", re.MULTILINE)
BUILD_REQUIREMENTS = "build-requirements.txt"
# Prefix of their locks' names.
_BUILD = "build-"
# Packages that projects made before 2026.12 do not have.
_ADDED = {"tqdm>=4.57"}
_NEEDED_BY = re.compile(r"#(?: via|  ) (\S.*)")


def shipped_analysis(python: str, options: Collection[str] = ()) -> Analysis:
    """Return the packages of an analysis with these options, as locked and tested for a Python."""
    texts = {_read(name): option for name, option in _inputs("requirements", options).items()}
    clients = {name: option for text, option in texts.items() if option for name in _names(text)}
    lines = dict.fromkeys(line for text in texts for line in text.splitlines())
    return Analysis("".join(f"{line}\n" for line in lines), _lock("requirements", python, options), clients=clients)


def is_shipped(text: str) -> bool:
    """Say whether a requirements.in is unedited, with any options and any production file."""
    lines = Analysis(text, "").as_shipped()
    wanted = set(_read("requirements.in").splitlines())
    floors = {}
    for path in LOCKS.glob("requirements-*.in"):
        service = path.read_text(encoding="utf-8").splitlines()
        # Each begins with a unique comment.
        if service[0] in lines:
            wanted.update(service)
            floors.update({without_floor(line): line for line in service})
    return {floors.get(line, line) for line in lines} in (wanted, wanted - _ADDED)


def shipped_names(python: str) -> list[str]:
    """Return the normalised names of all packages in the lock for a Python with all options."""
    return re.findall(r"^([a-z0-9-]+)==", _read(lock_name("requirements", python, options=True)), re.MULTILINE)


def shipped_files(python: str, debian: str, options: Collection[str] = ()) -> dict[str, str]:
    """Return the files of a project without a production file, by name."""
    analysis = shipped_analysis(python, options)
    return {
        "requirements.in": analysis.text,
        "requirements.txt": made_for(analysis.lock, debian),
        BUILD_REQUIREMENTS: shipped_build_requirements("requirements", python, options),
        "tools.txt": _lock("tools", debian, options),
    }


def shipped_build_requirements(kind: str, made_for: str, options: Collection[str] = ()) -> str:
    """Return the hashed build requirements of sources in a shipped lock, blank if all packages have wheels."""
    has_options = len(_inputs(kind, options)) > 1
    path = LOCKS / lock_name(f"{_BUILD}{kind}", made_for, options=has_options)
    return _for(_lock(kind, made_for, options), path.read_text(encoding="utf-8")) if path.exists() else ""


def lock_name(kind: str, made_for: str, *, options: bool = False) -> str:
    """Return the name of a lock of ``requirements`` or ``tools``, or of the one with all ``options``."""
    return f"{kind}-{made_for}{'-options' if options else ''}.txt"


def only(lock: str, inputs: Sequence[str]) -> str:
    """Return the part of a lock of several input files that belongs to some of them, as uv would write it.

    In the notes, all files become the first one, which is the only one in a project.
    """
    pins = [(entry["name"], entry["pin"], set(_NEEDED_BY.findall(entry["note"]))) for entry in _ENTRY.finditer(lock)]
    files = {f"-r {name}" for name in inputs}
    kept = set(files)
    while more := {name for name, _, needed_by in pins if needed_by & kept} - kept:
        kept |= more
    first = f"-r {inputs[0]}"
    lines = [lock.partition(pins[0][1])[0]]
    for _, pin, needed_by in [each for each in pins if each[0] in kept]:
        by = sorted({first if other in files else other for other in needed_by & kept})
        note = "    # via " + by[0] if len(by) == 1 else "\n    #   ".join(["    # via", *by])
        lines += [pin, note, "\n"]
    return "".join(lines)


def _inputs(kind: str, options: Collection[str]) -> dict[str, str]:
    """Return the names of the files to lock, each with its option, blank for the first."""
    files = {f"{kind}.in": ""} | {f"{kind}-{option}.in": option for option in options}
    return {name: option for name, option in files.items() if (LOCKS / name).exists()}


def _lock(kind: str, made_for: str, options: Collection[str]) -> str:
    inputs = _inputs(kind, options)
    lock = _read(lock_name(kind, made_for, options=len(inputs) > 1))
    return only(lock, list(inputs)) if len(inputs) > 1 else lock


def _for(lock: str, build_requirements: str) -> str:
    """Return the build requirements of the sources in a lock."""
    heading, *sections = build_requirements.split("\n\n")
    kept = [each for each in sections if any(f"\n{source} " in lock for source in _SOURCE.findall(each))]
    return "\n\n".join([heading, *kept]).rstrip("\n") + "\n" if kept else ""


def _names(text: str) -> list[str]:
    return [name for line in text.splitlines() if (name := package_name(line))]


def _read(name: str) -> str:
    return (LOCKS / name).read_text(encoding="utf-8")
