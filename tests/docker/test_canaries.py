"""Secrets are planted in their usual places, a day's work is done, and all its traces are searched."""

from __future__ import annotations

import base64
import gzip
import os
import secrets
import sys
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import nbformat
import pytest
from package_index import PackageIndex
from pages import page

from docker.canaries import Finds, Traces, canary, found_in
from docker.conftest import TEMPLATE
from docker.project import NOTEBOOK, Done, Project, ask, blocks, logs_in, sh

if TYPE_CHECKING:
    from docker.storage import Storage

pytestmark = pytest.mark.docker

BUCKET = "canaries"
BASE = "python:3.13-trixie"
[MIRROR] = blocks(page("private-indexes.md"), "yaml")
HISTORY = "docker history and inspect of the image"
# Files in a project that git and the image must ignore.
DROPPED = {
    "id_ed25519": "droppedkey",
    "server.pem": "pem",
    "src/.netrc": "netrc",
    "src/.env": "dotenv",
    "src/deep/.env": "dotenv",
    "src/deep/id_rsa": "droppedkey",
    "src/deep/server.key": "sourcepem",
    "src/pip.conf": "pipconf",
    "src/server.pem": "sourcepem",
}
LEAKY = """\
FROM {image}
ARG PASSWORD
USER root
RUN echo "$PASSWORD" >/forgotten
RUN rm /forgotten
"""


@pytest.fixture(scope="module")
def patch() -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as patch:
        yield patch


@pytest.fixture(scope="module")
def storage(host: str) -> Iterator[Storage]:
    from docker.storage import Storage

    with Storage(host, BUCKET) as storage:
        # The canaries are the keys.
        storage.trust_everybody()
        yield storage


@pytest.fixture(scope="module")
def indexes(host: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, PackageIndex]]:
    """Serve production's file and index, and the indexes of a user's settings, each with its own password."""
    logins = {kind: f"me:{canary(kind)}" for kind in ("netrc", "pipconf", "uvtoml")}
    # uv's variables reach the lock without the password, which the image build does not get.
    logins["uvvariable"] = ""
    indexes = {kind: PackageIndex(tmp_path_factory.mktemp(kind), login, host) for kind, login in logins.items()}
    for index in indexes.values():
        index.__enter__()
    # A new version in each run, so that every step is built.
    version = f"1.{secrets.randbelow(10**9)}"
    production = indexes["netrc"]
    production.add("acme-prices", version)
    wrong = with_login(production.url, "productionindex")
    (production.folder / "requirements.txt").write_text(
        f"--extra-index-url {wrong}\nacme-prices=={version}\nrequests==2.32.4\n"
    )
    (production.folder / "refused.txt").write_text(
        f"requests==2.32.4\nacme @ {with_login('https://packages.example.com/acme-1.0.zip', 'productionaddress')}\n"
    )
    yield indexes
    for index in indexes.values():
        index.__exit__(None, None, None)


@pytest.fixture(scope="module")
def home(
    indexes: dict[str, PackageIndex], host: str, patch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Write secrets into the usual files and variables of a user."""
    home = tmp_path_factory.mktemp("home")
    uv = with_login(indexes["uvtoml"].url, "uvtoml")
    pip = with_login(indexes["pipconf"].url, "pipconf")
    keys = f"aws_access_key_id = {canary('awsfilekey')}\naws_secret_access_key = {canary('awsfilesecret')}\n"
    for name, text in {
        ".aws/credentials": f"[default]\n{keys}",
        ".config/pip/pip.conf": f"[global]\nextra-index-url = {pip}\ntrusted-host = {host}\n",
        ".config/uv/uv.toml": f'[[index]]\nname = "own"\nurl = "{uv}"\n',
        ".netrc": f"machine {host} login me password {canary('netrc')}\n",
        ".ssh/id_ed25519": canary("sshkey"),
    }.items():
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text(text)
        (home / name).chmod(0o600)
    for name, value in {
        "HOME": str(home),
        "TMPDIR": str(tmp_path_factory.mktemp("temporary")),
        "AWS_ACCESS_KEY_ID": canary("awskey"),
        "AWS_SECRET_ACCESS_KEY": canary("awssecret"),
        "AWS_SESSION_TOKEN": canary("awstoken"),
        "PIP_INDEX_URL": with_login("https://packages.example.com/simple/", "pipvariable"),
        "UV_INDEX": f"team={indexes['uvvariable'].url}",
        "UV_INDEX_TEAM_USERNAME": "me",
        "UV_INDEX_TEAM_PASSWORD": canary("uvvariable"),
        **{f"GIT_{who}_{what}": "ada@example.com" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
    }.items():
        patch.setenv(name, value)
    for name in ("XDG_CONFIG_HOME", "UV_CACHE_DIR", "PIP_CONFIG_FILE", "UV_DEFAULT_INDEX"):
        patch.delenv(name, raising=False)
    return home


def with_login(url: str, kind: str) -> str:
    return url.replace("://", f"://me:{canary(kind)}@")


def cookiecutter(output: Path, location: str, slug: str) -> Done:
    answers = {
        "project_slug": slug,
        "production_requirements": location,
        "dvc_s3_url": f"s3://{BUCKET}/",
        "services": "mysql",
        "python_version": "3.13",
        "debian_release": "trixie",
    }
    command = (sys.executable, "-m", "cookiecutter", str(TEMPLATE), "--no-input", "--output-dir", str(output))
    return sh(*command, *(f"{name}={value}" for name, value in answers.items()), check=False)


@pytest.fixture(scope="module")
def traces(
    home: Path, indexes: dict[str, PackageIndex], storage: Storage, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Traces]:
    """Generate, after two refusals, and put secrets into the project's usual places."""
    slug = f"ds-docker-env-canaries-{secrets.token_hex(3)}"
    output = tmp_path_factory.mktemp("output")
    project = Project(output / slug, image=slug, name=slug)
    traces = Traces(project, home, Path(os.environ["TMPDIR"]), storage, BASE)
    traces.planted.update(path for path in home.rglob("*") if path.is_file())
    production = f"{indexes['netrc'].url.removesuffix('simple/')}requirements.txt"
    refused = (
        f"{with_login(production, 'locationpassword')}?token={canary('locationtoken')}",
        production.replace("requirements.txt", "refused.txt"),
    )
    for location in refused:
        done = cookiecutter(output, location, slug)
        assert done.returncode != 0
        assert "contains a password" in done.stderr
        assert not project.folder.exists()
        traces.say("generation that is refused", done.stdout, done.stderr)
    done = cookiecutter(output, production, slug)
    assert done.returncode == 0, done.stderr
    traces.say("generation", done.stdout, done.stderr)
    plant(traces)
    try:
        yield traces
    finally:
        project.remove()
        sh("docker", "image", "rm", "--force", slug, check=False)
        # The image of the first build lost its name to the second.
        mine = f"label=com.docker.compose.project={slug}"
        sh("docker", "image", "prune", "--force", "--filter", mine, check=False)


def plant(traces: Traces) -> None:
    folder = traces.project.folder
    for kind in ("jupyter", "mysql"):
        (folder / ".secrets" / f"{kind}_password").write_text(f"{canary(kind)}\n")
    with (folder / ".env").open("a") as settings:
        settings.write(f"AWS_ENDPOINT_URL={traces.storage.url}\nTOKEN={canary('dotenv')}\n")
    for name, kind in DROPPED.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(f"{canary(kind)}\n")
    sh("git", "remote", "add", "origin", with_login("https://git.example.com/churn.git", "gitconfig"), folder=folder)
    (folder / "docker-compose.override.yml").write_text(MIRROR)
    with (folder / "tools.txt").open("a") as tools:
        tools.write(f"# {secrets.token_hex(8)}\n")
    notebook = nbformat.read(folder / NOTEBOOK, as_version=4)
    backwards = canary("output")[::-1]
    # An output that was saved in the browser.
    said = nbformat.v4.new_output("stream", text=canary("output"))
    notebook.cells.append(nbformat.v4.new_code_cell(f'print("{backwards}"[::-1])', id="saved", outputs=[said]))
    nbformat.write(notebook, folder / NOTEBOOK)
    (folder / "src" / "data" / "customers.csv").write_text("id,city\n1,Bonn\n")
    secret_files = (f".secrets/{name}" for name in ("jupyter_password", "mysql_password", "netrc"))
    report_of_the_run = NOTEBOOK.with_suffix(".html").as_posix()
    named = (*DROPPED, *secret_files, ".env", ".git/config", report_of_the_run)
    traces.planted.update(folder / name for name in named)
    sh("git", "add", ".", ":!src/*.ipynb", folder=folder)
    sh("git", "commit", "--quiet", "--message", "Begin", folder=folder)


def work(traces: Traces) -> Finds:
    """Build, start, log in, run headless, push data, commit and stop, as README.md says, and search."""
    project = traces.project
    readme = project.read("README.md")
    command = [line for block in blocks(readme, "sh") for line in block.splitlines()]

    def follow(*words: str) -> None:
        [line] = {line for line in command if all(word in line for word in words)}
        said = sh("sh", "-euc", line, folder=project.folder, environment=project.environment)
        traces.say(line, said.stdout, said.stderr)

    built = project.build()
    traces.say("build", built.stdout, built.stderr)
    with project.up():
        assert logs_in(project)
        assert ask(f"{project.url}/api/contents?token={canary('jupyter')}").status == 200
        assert project.api("/api/kernels", method="POST", body={"name": "python3"}).status == 201
        follow("jupyter report")
        assert canary("output") in project.read(NOTEBOOK.with_suffix(".html"))
        follow("--clear-output")
        follow("jupyter check")
        [keep] = [block for block in blocks(readme, "sh") if "dvc add" in block]
        said = sh("bash", "-euc", keep, folder=project.folder, environment=project.environment)
        traces.say("data", said.stdout, said.stderr)
        found = traces.search(traces.living())
        built = project.compose("build")
        traces.say("build again", built.stdout, built.stderr)
        down = project.compose("down", "--timeout", "3")
        traces.say("down", down.stdout, down.stderr)
        return found | traces.search(traces.lasting())


FORMS: dict[str, Callable[[str], bytes]] = {
    "as it is": str.encode,
    "in an address": lambda secret: quote(f"me@:{secret}/").encode(),
    "in UTF-16": lambda secret: f"password = {secret}".encode("utf-16"),
    "in hexadecimal": lambda secret: b"key " + secret.encode().hex().encode(),
    "in base64": lambda secret: base64.b64encode(f"me:{secret}:".encode()),
    "in base64 behind one character more": lambda secret: base64.b64encode(f"ada:{secret}:".encode()),
    "in base64 behind two": lambda secret: base64.b64encode(f"adam:{secret}:".encode()),
    "in a gzip file": lambda secret: gzip.compress(f"{secret}\n".encode()),
    "in an object of git's": lambda secret: zlib.compress(f"blob 1\0{secret}".encode()),
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_every_encoding_of_a_canary_is_found(form: Callable[[str], bytes]) -> None:
    assert found_in(form(canary("form"))) == {"form"}
    assert found_in(form("Canary")) == set()


@pytest.fixture(scope="module")
def good(traces: Traces) -> Finds:
    return work(traces)


def test_secrets_are_only_in_the_places_where_they_were_put(good: Finds) -> None:
    assert {place: found.kinds for place, found in good.items() if found.kinds} == {}


def test_every_canary_was_planted_and_every_place_was_read(good: Finds, traces: Traces) -> None:
    assert [path for path in traces.planted if not found_in(path.read_bytes())] == []
    assert [place for place, found in good.items() if not found.read] == []


def test_a_canary_is_found_in_the_history_and_in_a_deleted_file_of_a_layer(good: Finds, traces: Traces) -> None:
    mine = traces.project.image
    leaky = replace(traces, project=replace(traces.project, image=f"{mine}-leaky"), base=mine)
    places = {place: leaky.lasting()[place] for place in ("layers and config of the image", HISTORY)}
    script = traces.temporary / "Dockerfile"
    script.write_text(LEAKY.format(image=mine))
    try:
        build = ("docker", "build", f"--build-arg=PASSWORD={canary('leak')}", f"--tag={leaky.project.image}")
        sh(*build, str(traces.temporary))
        kinds = {place: found.kinds for place, found in leaky.search(places).items()}
    finally:
        sh("docker", "image", "rm", "--force", leaky.project.image, check=False)
    assert kinds["layers and config of the image"]["forgotten"] == {"leak"}
    assert all(kinds.values())
