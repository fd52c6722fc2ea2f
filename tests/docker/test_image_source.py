"""Reading production's image, with an engine and with a stand-in for the `docker` command."""

from __future__ import annotations

import ast
import json
import os
import secrets
import subprocess
import time
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from package_index import PackageIndex

from docker.project import eventually, sh
from docker.registry import registry
from ds_docker_env.common.errors import SourceError
from ds_docker_env.common.sources import command, image
from ds_docker_env.common.sources.image import Image, disagreements, platform_lines

DOCKERFILE = r"""
FROM python:3.11-bookworm AS base
COPY wheels /wheels
RUN pip install --quiet --no-index --find-links /wheels only-in-base

FROM base AS production
COPY code /srv/shop
RUN python3 -m venv /srv/env \
    && /srv/env/bin/pip install --quiet --no-index --find-links /wheels Shop.Web shop-vcs shop-api \
    && /srv/env/bin/pip install --quiet --no-index /wheels/shop_core-2.0-py3-none-any.whl \
    && cd /srv/env/lib/python3.11/site-packages \
    && cp /wheels/vcs.json shop_vcs-1.0.dist-info/direct_url.json \
    && cp /wheels/editable.json shop_api-1.0.dist-info/direct_url.json \
    && mkdir '~ip-0.1.dist-info' && echo 'import sys; print("noise")' > noise.pth \
    && echo 'print("noise at the end, too")' > /srv/shop/json.py \
    && echo /srv/shop > easy-install.pth && mkdir /srv/shop/shop_old.egg-info \
    && printf 'Metadata-Version: 1.0\nName: shop-old\nVersion: 0.1\n' > /srv/shop/shop_old.egg-info/PKG-INFO
ENV PATH=/srv/env/bin:/usr/local/bin:/usr/bin:/bin
WORKDIR /srv/shop
VOLUME /srv/data
HEALTHCHECK --interval=1s CMD touch /srv/data/checked
ENTRYPOINT ["sh", "-c", "echo started > /srv/data/started; echo started; sleep 600"]

FROM production AS unannounced
ENV PATH=/usr/local/bin:/usr/bin:/bin
ENTRYPOINT ["sh", "-c", "exec /srv/env/bin/serve"]

FROM base AS of-a-user
RUN useradd --create-home app && pip install --quiet --no-index --find-links /wheels --target /deps shop-core==1.0
USER app
RUN pip install --quiet --no-index --find-links /wheels --user shop-web
ENV PYTHONPATH=/deps

FROM python:3.11-bookworm AS bare

FROM base AS slow
RUN mkdir /slow && printf '#!/bin/sh\nsleep 300\n' > /slow/python3 && chmod +x /slow/python3
ENV PATH=/slow:/usr/local/bin:/usr/bin:/bin

FROM base AS hungry
RUN mkdir /hungry && printf '#!/usr/local/bin/python3\nheld = []\nwhile True: held.append(bytearray(10**7))\n' \
    > /hungry/python3 && chmod +x /hungry/python3
ENV PATH=/hungry:/usr/local/bin:/usr/bin:/bin

FROM base AS multiplying
RUN mkdir /many && printf '#!/bin/sh\ngrow() { grow & grow; }\ngrow\n' > /many/python3 && chmod +x /many/python3
ENV PATH=/many:/usr/local/bin:/usr/bin:/bin

FROM scratch AS without-python
COPY wheels/vcs.json /
CMD ["/nothing"]

FROM base AS of-another-processor
RUN mkdir /foreign && truncate --size 1000 /foreign/python3 && chmod +x /foreign/python3
CMD ["/foreign/python3"]
"""
COMMIT = "0123456789" * 4
VCS = {"url": "https://me:canary@example.com/shop.git", "vcs_info": {"vcs": "git", "commit_id": COMMIT}}
EDITABLE = {"url": "file:///srv/shop", "dir_info": {"editable": True}}


@pytest.fixture(autouse=True)
def forget(monkeypatch: pytest.MonkeyPatch) -> None:
    image._installed.cache_clear()
    monkeypatch.delenv("DOCKER_DEFAULT_PLATFORM", raising=False)


@pytest.fixture(scope="session")
def build(engine: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], str]]:
    """Build one of the images above from tiny wheels and return its location."""
    context = tmp_path_factory.mktemp("context")
    wheels, code = context / "wheels", context / "code"
    wheels.mkdir()
    code.mkdir()
    with PackageIndex(tmp_path_factory.mktemp("index")) as index:
        for name in ("only-in-base", "Shop.Web", "shop-vcs", "shop-api", "shop-core"):
            index.add(name, "1.0")
        index.add("shop-core", "2.0")
        for wheel in index.folder.rglob("*.whl"):
            wheel.rename(wheels / wheel.name)
    (wheels / "vcs.json").write_text(json.dumps(VCS))
    (wheels / "editable.json").write_text(json.dumps(EDITABLE))
    (code / "setup.py").write_text("")
    (context / "Dockerfile").write_text(DOCKERFILE)
    name = f"ds-docker-env-test-{secrets.token_hex(3)}"

    @cache
    def _build(target: str) -> str:
        sh("docker", "build", "--target", target, "--tag", f"{name}:{target}", str(context))
        return f"image:{name}:{target}"

    yield _build
    tags = sh("docker", "image", "ls", "--quiet", name, check=False).stdout.split()
    sh("docker", "image", "rm", "--force", *tags, check=False)


def packages(location: str) -> list[str]:
    lines = Image(location).read().decode().splitlines()
    return [line for line in lines if not line.startswith(("pip==", "setuptools==", "wheel==", "packaging=="))]


def refusal(location: str) -> str:
    with pytest.raises(SourceError) as caught:
        Image(location).read()
    (problem,) = caught.value.problems
    assert problem.startswith(f"{location}: ")
    assert "\n" not in problem
    return problem


@pytest.mark.docker
def test_installed_packages_are_listed_as_by_pip_freeze(build: Callable[[str], str]) -> None:
    location = build("production")
    assert packages(location) == [
        "-e file:///srv/shop#egg=shop-api",
        "shop-core==2.0",
        "-e file:///srv/shop#egg=shop-old",
        f"shop-vcs @ git+https://example.com/shop.git@{COMMIT}",
        "Shop.Web==1.0",
    ]
    assert b"pip==" in Image(location).read()


@pytest.mark.docker
def test_the_images_python_and_debian_are_compared_with_the_answers(build: Callable[[str], str]) -> None:
    found = Image(build("production"))
    assert (found.python, found.debian) == ("3.11", "bookworm")
    assert disagreements(found, "3.11", "bookworm") == []
    assert disagreements(found, "3.13", "bookworm") == [
        f"production_requirements: {found.name} runs Python 3.11 on bookworm; choose python_version 3.11"
    ]
    identity = sh("docker", "image", "inspect", "--format", "{{.Id}} {{.RepoDigests}}", found.name[6:]).stdout
    kind, digest, platform = found.provenance.split(maxsplit=2)
    assert (kind, platform) == ("digest", "of linux/amd64")
    assert digest in identity


def left(location: str) -> str:
    """Return the containers of an image."""
    return sh("docker", "ps", "--all", "--quiet", "--filter", f"ancestor={location[6:]}").stdout


def events(log: Path) -> list[dict[str, Any]]:
    """Return the complete lines of `docker events`."""
    return [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines(keepends=True) if line[-1] == "\n"]


def removed(events: list[dict[str, Any]], identity: str) -> bool:
    """Return whether a container of the image existed and was removed."""
    return any(e["Action"] == "destroy" and e["Actor"]["Attributes"].get("image") == identity for e in events)


@pytest.mark.docker
def test_the_images_own_command_is_not_started_and_containers_are_removed(
    build: Callable[[str], str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    location = build("production")
    said, start = b"", time.time()

    def _run(*arguments: Any, **options: Any) -> subprocess.CompletedProcess[bytes]:
        nonlocal said
        done = command.run(*arguments, **options)
        said += done.stdout + done.stderr
        return done

    monkeypatch.setattr(image, "run", _run)
    identity = sh("docker", "image", "inspect", "--format={{.Id}}", location.removeprefix("image:")).stdout.strip()
    # The engine keeps only the last 256 events, which beside other tests is a few seconds.
    log = tmp_path / "events"
    with log.open("w") as file:
        watch = ("docker", "events", "--format=json", f"--since={start}")
        with subprocess.Popen(watch, stdin=subprocess.DEVNULL, stdout=file) as watching:
            try:
                Image(location).read()
                eventually(lambda: removed(events(log), identity), "the container is removed")
            finally:
                watching.terminate()
    assert b"shop-core" in said
    assert b"started" not in said.replace(b"echo started", b"").replace(b"/started", b"")
    assert left(location) == ""
    # Other tests create and remove volumes meanwhile.
    containers = {e["Actor"]["ID"] for e in events(log) if e["Actor"]["Attributes"].get("image") == identity}
    mounted = {
        e["Actor"]["ID"]
        for e in events(log)
        if e["Action"] == "mount" and e["Actor"]["Attributes"]["container"] in containers
    }
    assert mounted
    assert not mounted & set(sh("docker", "volume", "ls", "--quiet").stdout.split())


@pytest.mark.docker
def test_a_virtual_environment_named_only_in_the_command_is_found(build: Callable[[str], str]) -> None:
    assert "shop-core==2.0" in packages(build("unannounced"))


@pytest.mark.docker
def test_user_packages_and_packages_on_pythonpath_are_found(build: Callable[[str], str]) -> None:
    assert packages(build("of-a-user")) == ["only-in-base==1.0", "shop-core==1.0", "Shop.Web==1.0"]


@pytest.mark.docker
def test_an_image_without_packages_is_refused(build: Callable[[str], str]) -> None:
    assert "nothing is installed in its Python; use the image that production runs" in refusal(build("bare"))


@pytest.mark.docker
def test_an_image_without_python_is_refused(build: Callable[[str], str]) -> None:
    assert "Python is not on its PATH" in refusal(build("without-python"))


@pytest.mark.docker
def test_an_image_whose_python_hangs_is_stopped_with_its_container(
    build: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    location = build("slow")
    monkeypatch.setattr(image, "LOOK", 3)
    assert "did not answer within 3 s" in refusal(location)
    assert left(location) == ""


@pytest.mark.docker
def test_an_image_whose_python_exhausts_memory_is_one_message(build: Callable[[str], str]) -> None:
    location = build("hungry")
    assert "was killed because it used more than 1 GB of memory; use a requirements file" in refusal(location)
    assert left(location) == ""


@pytest.mark.docker
def test_an_image_whose_python_starts_endless_processes_is_one_message(build: Callable[[str], str]) -> None:
    location = build("multiplying")
    assert "Cannot fork); use Python 3.6 or newer, or a requirements file" in refusal(location)
    assert left(location) == ""


@pytest.mark.docker
def test_an_image_for_another_processor_without_emulation_is_one_message(build: Callable[[str], str]) -> None:
    assert "cannot run (exec format error); install emulation: " in refusal(build("of-another-processor"))


@pytest.fixture(scope="module")
def published(build: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Publish an image for two processors as one tag, and for arm64 alone as another; remove both from this machine."""
    local, folder = build("of-a-user")[6:], tmp_path_factory.mktemp("published")
    with registry(folder) as address:
        name = f"{address}/team/api"
        container = sh("docker", "create", local).stdout.strip()
        sh("docker", "export", "--output", str(folder / "files.tar"), container)
        sh("docker", "rm", container)
        # Programs of this processor, labelled as arm64, so that they run.
        changes = ("--change=ENV PYTHONPATH=/deps", "--platform=linux/arm64")
        sh("docker", "import", *changes, str(folder / "files.tar"), f"{name}:arm64")
        sh("docker", "tag", local, f"{name}:amd64")
        for tag in ("amd64", "arm64"):
            sh("docker", "push", "--quiet", f"{name}:{tag}")
        sh("docker", "buildx", "imagetools", "create", "--tag", f"{name}:1", f"{name}:amd64", f"{name}:arm64")
        sh("docker", "image", "rm", f"{name}:amd64", f"{name}:arm64")
        yield name
        left = sh("docker", "image", "ls", "--format={{.Repository}}:{{.Tag}}", name, check=False).stdout.split()
        sh("docker", "image", "rm", "--force", *left, check=False)


@pytest.mark.docker
def test_a_tag_for_two_processors_is_read_for_amd64_or_the_requested_platform(
    published: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sh("docker", "pull", "--quiet", "--platform", "linux/arm64", f"{published}:1")
    found = Image(f"image:{published}:1")
    assert found.provenance.endswith(" of linux/amd64")
    assert "only-in-base==1.0" in packages(found.location)
    image._installed.cache_clear()
    monkeypatch.setenv("DOCKER_DEFAULT_PLATFORM", "linux/arm64")
    assert found.provenance.endswith(" of linux/arm64")


@pytest.mark.docker
def test_an_image_for_arm64_alone_is_read_and_reported(published: str) -> None:
    found = Image(f"image:{published}:arm64")
    assert found.provenance.endswith(" of linux/arm64")
    assert platform_lines(found)[0] == "Image:      read for linux/arm64 (not available for linux/amd64)"


@pytest.mark.docker
def test_an_image_that_cannot_be_pulled_is_refused_with_the_reason(engine: None) -> None:
    problem = refusal("image:127.0.0.1:9/team/api:1.4.2")
    assert "Docker cannot read it (" in problem
    assert "; check the registry's name and the network" in problem


@pytest.fixture
def pretend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Put a `docker` on PATH that gives these answers to `image inspect`, `pull` and `run`."""
    (tmp_path / "docker").write_text('#!/bin/sh\n. "$0-$1"\n')
    (tmp_path / "docker").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)

    def _pretend(**answers: str) -> None:
        known = {"image": known_as(), "rm": ""}
        for verb, script in {**known, **answers}.items():
            (tmp_path / f"docker-{verb}").write_text(f"{script}\n")

    return _pretend


def known_as(**changed: Any) -> str:
    """Return a script that prints Docker's description of the image."""
    return f"echo '{json.dumps([{'Id': 'sha256:1', 'Os': 'linux', 'Architecture': 'amd64', **changed}])}'"


def answering(**changed: Any) -> str:
    """Return a script that prints the output of the image's Python."""
    answer = {
        "distributions": [package("shop")],
        "python": "3.11.9",
        "implementation": "CPython",
        "system": {"ID": "debian", "VERSION_CODENAME": "bookworm"},
        "elsewhere": "",
        **changed,
    }
    return f"cat <<'END'\n{image._MARK}{json.dumps(answer)}\nEND\n"


def package(name: str, version: str = "1.0", **changed: Any) -> dict[str, Any]:
    return {"name": name, "version": version, "direct_url": None, "installer": "pip", "develop": "", **changed}


NO_IMAGE = "echo 'Error: No such image: team/api:1' >&2; exit 1"
UNAVAILABLE = {
    "a stopped engine": (
        {"image": "echo 'Cannot connect to the Docker daemon at unix:///x. Is the docker daemon running?' >&2; exit 1"},
        "start Docker, or use a requirements file",
    ),
    "a forbidden engine": (
        {"image": "echo 'permission denied while trying to connect to the Docker daemon socket' >&2; exit 1"},
        "allow this user to use Docker",
    ),
    "a private image": (
        {
            "image": NO_IMAGE,
            "pull": "echo 'Error response from daemon: pull access denied for team/api, repository does not exist "
            "or may require authentication' >&2; exit 1",
        },
        "(pull access denied for team/api, repository does not exist or may require authentication); check its name "
        "and tag; if it is private",
    ),
    "processors that nobody has": (
        {"image": NO_IMAGE, "pull": "echo 'no matching manifest for linux/amd64 in the manifest list' >&2; exit 1"},
        "it is not available for linux/amd64 or linux/arm64; use a requirements file",
    ),
    "another processor, without emulation": (
        {"run": "echo 'exec /usr/bin/python3: exec format error' >&2; exit 1"},
        "is for linux/amd64, which this machine cannot run (exec format error); install emulation: "
        "docker run --privileged --rm tonistiigi/binfmt --install amd64, or use a requirements file",
    ),
    "another processor here, and no network": (
        {
            "image": known_as(Architecture="arm64"),
            "run": "echo 'docker: Error response from daemon: No such image: sha256:1' >&2; exit 125",
            "pull": "echo 'dial tcp: lookup registry: no such host' >&2; exit 1",
        },
        "the local copy is for linux/arm64, and Docker cannot pull it for linux/amd64 "
        "(dial tcp: lookup registry: no such host); "
        "run: docker pull --platform linux/amd64 team/api:1, or set DOCKER_DEFAULT_PLATFORM=linux/arm64 if",
    ),
    "an unknown platform": (
        {"run": """echo 'error parsing specified platform: "amd": unknown operating system' >&2; exit 125"""},
        "set DOCKER_DEFAULT_PLATFORM to linux/amd64 or linux/arm64",
    ),
    "a silent registry": ({"image": NO_IMAGE, "pull": "sleep 20"}, "Docker did not receive a layer within 0.3 s"),
    "an engine that babbles": ({"image": "echo hello"}, "docker image inspect omits Id or Architecture"),
    "an image that cannot start": ({"run": "echo 'docker: no space left' >&2; exit 125"}, "read it (no space left)"),
    "an answer without the mark": ({"run": "echo hello"}, "its Python cannot list its packages (hello)"),
    "more memory than it gets": ({"run": "exit 137"}, "used more than 1 GB of memory; use a requirements file"),
    "no answer": ({"run": "exit 1"}, "cannot list its packages (exit code 1)"),
    "a wrong answer": ({"run": answering(distributions=[7])}, "cannot list its packages (TypeError"),
    "a flood": ({"run": "exec cat /dev/zero"}, "cannot list its packages"),
    "a package that is an option": (
        {"run": answering(distributions=[package("a\n--index-url https://evil.example")])},
        "cannot list its packages",
    ),
    "an address that is an option": (
        {"run": answering(distributions=[package("a", direct_url={"url": "https://x.example/\n-r x"})])},
        "cannot list its packages",
    ),
}


@pytest.mark.parametrize(("answers", "message"), UNAVAILABLE.values(), ids=UNAVAILABLE)
def test_an_image_is_refused_for(
    pretend: Callable[..., None], monkeypatch: pytest.MonkeyPatch, answers: dict[str, str], message: str
) -> None:
    monkeypatch.setattr(image, "PULL", 0.3)
    pretend(**answers)
    began = time.monotonic()
    assert message in refusal("image:team/api:1")
    assert time.monotonic() - began < 30


def test_an_image_whose_python_prints_endlessly_is_stopped(
    pretend: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image, "LOOK", 1)
    pretend(run="while :; do echo; sleep 0.1; done")
    assert "did not answer within 1 s; use a requirements file" in refusal("image:team/api:1")


def test_the_images_python_is_limited_to_a_gigabyte_and_64_processes_and_cannot_write_files(
    pretend: Callable[..., None], tmp_path: Path
) -> None:
    pretend(run=f"echo $* >{tmp_path}/asked; {answering()}")
    assert Image("image:team/api:1").read() == b"shop==1.0\n"
    asked = (tmp_path / "asked").read_text().split()
    assert {"--memory=1g", "--memory-swap=1g", "--pids-limit=64", "--ulimit=fsize=0"} <= set(asked)
    assert {"--network=none", "--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges"} <= set(asked)


def test_without_docker_the_message_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert "https://docs.docker.com/get-docker" in refusal("image:team/api:1")


@pytest.mark.parametrize("reference", ["--privileged", "-v/:/host", "", "team/api 1", "team/api;ls"])
def test_an_invalid_image_name_is_not_passed_to_docker(monkeypatch: pytest.MonkeyPatch, reference: str) -> None:
    def _run(*_: object, **__: object) -> None:
        raise AssertionError("docker was run")

    monkeypatch.setattr(image, "run", _run)
    with pytest.raises(SourceError, match="is not an image's name; write it as image:registry/team/api"):
        Image(f"image:{reference}").read()


DISAGREEING = {
    "both": (
        {"python": "3.12.1", "system": {"ID": "debian", "VERSION_CODENAME": "trixie"}},
        "runs Python 3.12 on trixie; choose python_version 3.12 and debian_release trixie",
    ),
    "a code name in the version": (
        {"system": {"ID": "debian", "VERSION": "13 (trixie)"}},
        "runs Python 3.11 on trixie; choose debian_release trixie",
    ),
    "another Linux": (
        {"system": {"ID": "alpine", "PRETTY_NAME": "Alpine Linux v3.20"}},
        "runs on Alpine Linux v3.20, but an analysis needs Debian; if that is close enough, use its versions as a file",
    ),
    "an old Python": ({"python": "3.7.17"}, "runs Python 3.7 on bookworm, but an analysis needs Python 3.8, 3.9,"),
    "an old Debian": (
        {"system": {"ID": "debian", "VERSION_CODENAME": "bullseye"}},
        "runs Python 3.11 on bullseye, but an analysis needs Python 3.11 on trixie or bookworm; if that is close",
    ),
    "another Python": ({"implementation": "PyPy"}, "runs PyPy 3.11.9, but an analysis needs CPython"),
}


@pytest.mark.parametrize(("changed", "message"), DISAGREEING.values(), ids=DISAGREEING)
def test_an_image_disagrees_with_the_answers_by(
    pretend: Callable[..., None], changed: dict[str, Any], message: str
) -> None:
    pretend(run=answering(**changed))
    (problem,) = disagreements(Image("image:team/api:1"), "3.11", "bookworm")
    assert problem.startswith("production_requirements: image:team/api:1 runs ")
    assert message in problem.replace("image:team/api:1 ", "")


def test_packages_from_conda_and_from_local_wheels_are_pinned_by_version(pretend: Callable[..., None]) -> None:
    conda = package("six", installer="conda", direct_url={"url": "file:///croot/six_1/work", "dir_info": {}})
    wheel = package("numpy", direct_url={"url": "file:///wheels/numpy-1.0-cp311-linux.whl", "archive_info": {}})
    web = package(
        "torch", direct_url={"url": "https://example.com/torch.whl", "archive_info": {"hashes": {"sha256": "a" * 64}}}
    )
    own = package("api", direct_url={"url": "file:///srv/api", "dir_info": {}})
    pretend(run=answering(distributions=[conda, wheel, web, own]))
    assert Image("image:team/api:1").read().decode().splitlines() == [
        "api @ file:///srv/api",
        "numpy==1.0",
        "six==1.0",
        f"torch @ https://example.com/torch.whl#sha256={'a' * 64}",
    ]


def test_the_digest_of_the_registry_is_preferred_to_the_id(pretend: Callable[..., None]) -> None:
    pretend(image=known_as(RepoDigests=["team/other@sha256:2", "team/api@sha256:3"]), run=answering())
    assert Image("image:team/api:1").provenance == "digest sha256:3 of linux/amd64"
    assert Image("image:team/third:1").provenance == "id sha256:1 of linux/amd64"


# The messages with which Docker's two image stores refuse an image for another platform.
STORES = {
    "containerd": "docker: Error response from daemon: No such image: sha256:1",
    "classic": "image with reference api was found but does not match the specified platform: wanted x, actual: y",
}
# A registry's messages if it has the image for other platforms only, or lacks it.
ELSEWHERE = ("no match for platform in manifest: not found", "pull access denied for team/api")


@pytest.fixture
def holding(pretend: Callable[..., None], tmp_path: Path) -> Callable[..., None]:
    """Imitate an engine that shows one platform and has some, and a registry that has others."""

    def _holding(store: str, *here: str, there: tuple[str, ...] = (), refusal: str = ELSEWHERE[0]) -> None:
        for architecture in here:
            (tmp_path / architecture).touch()
        options = 'for word; do case $word in --platform=linux/*) asked="${word#*linux/}";; esac; done'
        shown = "".join(f"""[ -e $here/{one} ] && {{ {known_as(Architecture=one)}; exit 0; }}\n""" for one in NAMES)
        pretend(
            image=f"here={tmp_path}\n{shown}{NO_IMAGE}",
            pull=f"{options}; case ' {' '.join(there)} ' in *\" $asked \"*) touch {tmp_path}/$asked;; "
            f"*) echo '{refusal}' >&2; exit 1;; esac",
            run=f"{options}; [ -e {tmp_path}/$asked ] || {{ echo '{STORES[store]}' >&2; exit 125; }}\n{answering()}",
        )

    return _holding


# An arm64 laptop shows arm64 first.
NAMES = ("arm64", "amd64")


@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize(
    ("here", "there", "read"),
    [
        ((), ("amd64", "arm64"), "linux/amd64"),
        (("arm64",), ("amd64", "arm64"), "linux/amd64"),
        (("arm64", "amd64"), (), "linux/amd64"),
        (("arm64",), (), "linux/arm64"),
        ((), ("arm64",), "linux/arm64"),
    ],
)
def test_amd64_is_read_on_any_laptop_and_another_platform_only_if_it_is_missing(
    holding: Callable[..., None], store: str, here: tuple[str, ...], there: tuple[str, ...], read: str
) -> None:
    holding(store, *here, there=there)
    assert Image("image:team/api:1").provenance == f"id sha256:1 of {read}"


def test_docker_default_platform_selects_the_platform(
    holding: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_DEFAULT_PLATFORM", "linux/arm64")
    holding("classic", "amd64", there=("amd64", "arm64"))
    assert Image("image:team/api:1").provenance == "id sha256:1 of linux/arm64"


def test_the_summary_names_the_platform_and_the_setting_for_another_machine(
    holding: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    holding("containerd", "arm64", refusal=ELSEWHERE[1])
    monkeypatch.setattr(image, "this_machine", lambda: "aarch64")
    line = "Image:      read for linux/arm64 (not available for linux/amd64)"
    assert platform_lines(Image("image:team/api:1")) == [line]
    monkeypatch.setattr(image, "this_machine", lambda: "x86_64")
    assert platform_lines(Image("image:team/api:1")) == [
        line,
        "            this machine is linux/amd64; to run the analysis on production's processor, add to .env:",
        "            DOCKER_DEFAULT_PLATFORM=linux/arm64",
    ]


def test_requirements_of_an_image_cannot_include_files() -> None:
    with pytest.raises(SourceError, match=r"an image cannot include base\.txt"):
        Image("image:team/api:1").beside("base.txt")


def test_the_script_runs_on_old_pythons() -> None:
    ast.parse(image.SCRIPT, feature_version=(3, 6))
