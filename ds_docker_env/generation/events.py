"""The steps before and after cookiecutter renders the files."""

from __future__ import annotations

import contextlib
import io
import os
import shlex
import shutil
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from ds_docker_env.common.debian import needs_in, with_packages
from ds_docker_env.common.errors import GenerationError, ProjectError
from ds_docker_env.common.output import discard
from ds_docker_env.common.services import WITH_PASSWORD, secret_of
from ds_docker_env.common.shipped import BUILD_REQUIREMENTS, shipped_files
from ds_docker_env.common.signals import STOPPED, STOPPING
from ds_docker_env.generation import engine, repository
from ds_docker_env.generation.answers import Answers
from ds_docker_env.generation.base_image import Base, summary_of_services
from ds_docker_env.generation.dvc import CREDENTIALS, dvc_files, find_credentials, remote
from ds_docker_env.generation.environment import write_environment
from ds_docker_env.generation.pipelines import keep, others
from ds_docker_env.generation.release import WHEEL, former_wheels
from ds_docker_env.generation.secrets import write_logins, write_password, write_secret, write_service_password
from ds_docker_env.generation.staging import MISSING, NEW, Staging
from ds_docker_env.generation.versions import OF_LOCK, OF_PRODUCTION, versions

ROOT = Path(__file__).parents[2]


def prepare(raw: Mapping[str, Any]) -> int:
    """Lock production's versions in the working directory, where the project is rendered; return the hook's exit code.

    Without a production file this hook does not run: `finish` takes the template's versions.
    """
    return _reported(_prepare, raw)


def finish(raw: Mapping[str, Any], images: Sequence[Sequence[str]]) -> int:
    """Add the missing files, move the project into place, and print the next steps.

    ``images`` are the fields of a `Base` each: the base image, then those of services.
    """
    return _reported(partial(_finish, [Base(*image) for image in images]), raw)


def _reported(step: Callable[[Staging, Mapping[str, Any]], None], raw: Mapping[str, Any]) -> int:
    _escape()
    for number in STOPPING:
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, signal.default_int_handler)
    try:
        staging = Staging.of(Path.cwd())
    except OSError:  # cookiecutter was killed, and the next generation has removed the directory
        return STOPPED
    try:
        step(staging, raw)
    except (GenerationError, OSError) as error:
        known = error if isinstance(error, GenerationError) else ProjectError.of(error, staging.target)
        print(known.report(), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        # cookiecutter would leave the empty directory, and refuse it the next time.
        os.chdir(staging.folder.parent)
        with contextlib.suppress(OSError):
            staging.folder.rmdir()
            print("\nds-docker-env: stopped; nothing was generated", file=sys.stderr)
        return STOPPED
    return 0


def _prepare(staging: Staging, raw: Mapping[str, Any]) -> None:
    answers = Answers.of(raw)
    if raw.get("__compared"):
        return
    if staging.folder == staging.target and any(staging.folder.iterdir()):
        raise ProjectError(f"{staging.folder}: is not empty; to keep its files, generate with the command cookiecutter")
    _add_versions(staging, answers)


def _finish(images: Sequence[Base], staging: Staging, raw: Mapping[str, Any]) -> None:
    answers = Answers.of(raw)
    if raw.get("__compared"):
        return _finish_for_comparison(answers)
    if not answers.production_requirements:
        _add_versions(staging, answers)
    _add_wheel(answers)
    keep(answers.ci)
    Path("src", "data").mkdir(parents=True, exist_ok=True)
    base, *services = images
    lines = [] if staging.mode == MISSING and (staging.target / "Dockerfile").exists() else base.summary
    lines += summary_of_services(services) + _name_debian_packages(staging)
    if answers.production_requirements or answers.package_index:
        lines += write_logins(staging, answers.package_index)
    lines += engine.open_ports()
    lines.append(write_password(staging))
    lines += [write_service_password(staging, service) for service in answers.services if service in WITH_PASSWORD]
    if "dask" in answers.services:
        write_secret(staging, Path(".secrets", secret_of("dask")), "")
    if answers.dvc_s3_url:
        lines.append(remote(answers.dvc_s3_url, staging.target / ".dvc/config"))
        write_secret(staging, CREDENTIALS, "")
        lines.append(find_credentials(staging.target))
    elif (staging.target / ".dvc").exists():
        lines.append("Data:       .dvc and .dvcignore are unused; remove them if not needed")
    port, said = write_environment(staging, str(raw["project_slug"]))
    lines += said
    if left := [name for name in others(answers.ci) if (staging.target / name).exists()]:
        lines.append(f"Pipeline:   unused with ci={answers.ci}; remove them if not needed: {', '.join(left)}")
    staging.keep_ignored()
    removed = ["uv.toml", BUILD_REQUIREMENTS]
    removed += OF_PRODUCTION if (staging.target / "production.txt").exists() else ()
    removed = [name for name in removed if not Path(name).exists()] + former_wheels(staging.target)
    # cruft compares two generated projects; a repository in them would hide each change.
    own = "_commit" not in raw and repository.is_needed(staging.target, ROOT)
    begun = own and staging.mode == NEW and repository.begin(staging.folder)
    # The rest takes milliseconds.
    for number in STOPPING:
        signal.signal(number, signal.SIG_IGN)
    replaced, kept = staging.put(removed)
    if replaced and not kept:
        lines.append(f"Kept:       {', '.join(replaced)}; the answers would have changed them")
    elif replaced:
        lines.append(f"Replaced:   {', '.join(replaced)}; the former files are in {kept}, which git ignores")
    if begun or (own and staging.mode != NEW and repository.begin(staging.target)):
        lines.append("Git:        new repository without a commit")
    elif answers.dvc_s3_url and repository.is_needed(staging.target, ROOT):
        lines.append("Git:        DVC needs a repository; run in the project: git init")
    _say(
        *lines,
        f"Next:       cd {_seen_from_the_shell(staging.target)}",
        "            docker compose up --build",
        f"            open http://127.0.0.1:{port}",
    )


def _name_debian_packages(staging: Staging) -> list[str]:
    """Add the Debian packages that the lock's sources need to the Dockerfile; return the summary's line."""
    text = Path(BUILD_REQUIREMENTS).read_text(encoding="utf-8") if Path(BUILD_REQUIREMENTS).exists() else ""
    packages = sorted({package for names in needs_in(text).values() for package in names})
    if not packages:
        return []
    path = Path("Dockerfile")
    before = path.read_text(encoding="utf-8")
    path.write_bytes(with_packages(before, packages).encode())
    kept = staging.mode == MISSING and (staging.target / "Dockerfile").exists()
    verb = "add" if kept else "added"
    return [f"Debian:     {verb} to DEBIAN_PACKAGES in the Dockerfile, to build sources: {' '.join(packages)}"]


def _add_versions(staging: Staging, answers: Answers) -> None:
    texts, summary = versions(staging, answers)
    if answers.dvc_s3_url:
        # Existing files stay, as dvc may have changed them.
        files = dvc_files(answers.dvc_s3_url)
        texts |= {name: text for name, text in files.items() if not (staging.target / name).exists()}
    _write(texts)
    # Such a line appears when the Dockerfile is written.
    _say("", *(line for line in summary if "DEBIAN_PACKAGES" not in line))


def _finish_for_comparison(answers: Answers) -> None:
    """Keep only the files that cruft updates in every project."""
    texts = shipped_files(answers.python_version, answers.debian_release, answers.options)
    _write({name: text for name, text in texts.items() if name not in OF_LOCK})
    _add_wheel(answers)
    keep(answers.ci)
    shutil.rmtree("src")


def _add_wheel(answers: Answers) -> None:
    """Write the wheel of the image's commands if cookiecutter's process did not, as under cruft."""
    if not Path(WHEEL).exists():
        from ds_docker_env.generation.wheel import pack

        Path(WHEEL).write_bytes(pack(answers).content)


def _write(texts: Mapping[str, str]) -> None:
    contents = {name: text.encode() for name, text in texts.items() if text}
    for name, content in contents.items():
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_bytes(content)


def _seen_from_the_shell(project: Path) -> str:
    """Return the project's path relative to the directory of the user's shell, which PWD names."""
    shell = os.environ.get("PWD", "")
    try:
        path = os.path.relpath(project, shell if Path(shell).is_absolute() else project.parent)
    except ValueError:  # another drive, on Windows
        path = str(project)
    return shlex.quote(path) if os.name == "posix" else f'"{path}"' if " " in path else path


def _escape() -> None:
    """Escape letters that a console or a pipe cannot show, such as Greek ones in a path on Windows."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _say(*lines: str) -> None:
    """Print; a closed pipe or a full disk does not fail a complete project."""
    try:
        print(*lines, sep="\n", flush=True)
    except OSError:
        discard()
