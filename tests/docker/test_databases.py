"""Redis, MySQL and PostgreSQL beside the notebook, with the cells of docs/how-to/connect-services.md."""

from __future__ import annotations

import json
import re
import secrets
import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trustme
import yaml
from pages import cells, page
from terminal import at_terminal

from docker.conftest import copied, have_image, image_of
from docker.other_user import answers, ports
from docker.project import SETUP, Project, blocks, eventually, free_port, sh

pytestmark = pytest.mark.docker

CELLS = {"redis": "Redis", "mysql": "MySQL", "postgres": "PostgreSQL"}
SERVERS = {"redis": "redis-server", "mysql": "mysqld", "postgres": "postgres"}
REPLICA = "replica.example.com"
ENVIRONMENT = "import os; print(dict(os.environ))"


def block(markdown: str, language: str, having: str) -> str:
    """Return the one block of code with these words."""
    [found] = [block for block in blocks(markdown, language) if having in block]
    return found


def connecting() -> dict[str, str]:
    return {name: cells()[CELLS[name]] for name in SERVERS}


@pytest.fixture(scope="module")
def project(engine: None, generate: Callable[..., Path]) -> Iterator[Project]:
    with image_of(generate, services="redis, mysql, postgres") as project:
        services = yaml.safe_load(project.read("docker-compose.yml"))["services"]
        for name in SERVERS:
            have_image(services[name]["image"])
        yield project


@pytest.fixture(scope="module")
def at_first(project: Project) -> dict[str, str]:
    """Start, and return the health of the databases at that moment."""
    project.compose("up", "--detach")
    return {name: project.inspect(name)["State"]["Health"]["Status"] for name in SERVERS}


@pytest.fixture(scope="module")
def said(project: Project, at_first: dict[str, str]) -> dict[str, str]:
    asked = {
        **connecting(),
        "mysql as root": connecting()["mysql"].replace('user="analysis"', 'user="root"'),
        "environment": ENVIRONMENT,
    }
    return dict(zip(asked, project.outputs(*asked.values()), strict=True))


def test_the_notebook_starts_once_the_databases_answer(at_first: dict[str, str]) -> None:
    assert at_first == dict.fromkeys(SERVERS, "healthy")


def test_the_pages_cells_cache_values_and_write_and_read_tables(said: dict[str, str]) -> None:
    assert said["redis"] == "0.87"
    for database in ("mysql", "postgres"):
        assert [line.split() for line in said[database].splitlines()] == [["name", "customers"], ["0", "Ulm", "5"]]


def test_data_survive_new_containers(project: Project, said: dict[str, str]) -> None:
    project.compose("down")
    project.compose("up", "--detach")
    changes = re.compile(r"^.*(cache\.set|CREATE|REPLACE|INSERT).*\n", re.MULTILINE)
    reading = {name: changes.sub("", cell) for name, cell in connecting().items()}
    assert reading.keys() == {name for name, cell in connecting().items() if reading[name] != cell}
    assert project.outputs(*reading.values()) == [said[name] for name in reading]


def test_passwords_are_absent_from_docker_inspect_the_notebooks_environment_and_logs(
    project: Project, said: dict[str, str]
) -> None:
    passwords = [path.read_text().strip() for path in (project.folder / ".secrets").iterdir() if path.stat().st_size]
    assert len(passwords) == 3
    told = {"notebook": said["environment"]}
    told |= {f"compose {command}": project.compose(command).stdout for command in ("config", "logs")}
    told |= {f"inspect {service}": json.dumps(project.inspect(service)) for service in ("jupyter", *SERVERS)}
    assert all(told.values())
    assert [where for where, text in told.items() if any(password in text for password in passwords)] == []


def test_database_servers_are_unprivileged_and_unpublished(project: Project, said: dict[str, str]) -> None:
    for service, server in SERVERS.items():
        states = project.processes(service, user=service)
        assert states[0]["Name"] == server
        for state in states:
            assert "0" not in state["Uid"].split()
            assert {int(state[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapAmb")} == {0}
            assert state["NoNewPrivs"] == "1"
        assert not any(project.inspect(service)["NetworkSettings"]["Ports"].values())


def test_another_user_of_the_machine_is_refused_by_every_database(project: Project, said: dict[str, str]) -> None:
    found = ports(project, *SERVERS)
    assert [(service, port) for service, _, port in found] == [("mysql", 3306), ("postgres", 5432)]
    assert answers(project, found) == [("mysql", ["refused"]), ("postgres", ["refused"])]


def test_mysql_root_cannot_log_in_over_the_network(said: dict[str, str]) -> None:
    assert "Access denied for user 'root'@" in said["mysql as root"]


def test_setup_gives_a_clone_passwords_that_work_after_any_editor_saved_them(
    project: Project, said: dict[str, str], tmp_path: Path
) -> None:
    clone = copied(project, tmp_path)
    shutil.rmtree(clone.folder / ".secrets")
    try:
        sh(*SETUP, folder=clone.folder)
        # As Notepad saves it, with an extra space, and as > of Windows PowerShell writes it.
        for name, encoding in {"mysql": "utf-8-sig", "postgres": "utf-16"}.items():
            secret = clone.folder / ".secrets" / f"{name}_password"
            secret.write_bytes(f"{secret.read_text().strip()} \r\n".encode(encoding))
        assert clone.outputs(*connecting().values()) == [said[name] for name in SERVERS]
    finally:
        clone.remove()


def test_an_invalid_password_file_is_named_before_a_database_is_created(project: Project, tmp_path: Path) -> None:
    clone = copied(project, tmp_path)
    (clone.folder / ".secrets" / "postgres_password").write_text("secret1\r\nsecret2\r\n", encoding="utf-16")
    try:
        started = clone.compose("up", "--detach", check=False)
        assert 'service "passwords" didn\'t complete successfully' in started.stderr
        assert ".secrets/postgres_password: more than one line; " in clone.compose("logs", "passwords").stdout
        assert clone.inspect("postgres")["State"]["Status"] == "created"
    finally:
        clone.remove()


@pytest.fixture
def replica(project: Project, host: str, tmp_path: Path) -> Iterator[tuple[int, str]]:
    """Run a MySQL on the network of this machine, with a certificate; yield its port and password."""
    port = free_port(host)
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(project.folder / "replica-ca.crt"))
    authority.issue_cert(REPLICA).private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "server.pem"))
    for path in (tmp_path, tmp_path / "server.pem"):
        path.chmod(0o755)
    name, password = f"{project.name}-replica", f"canary-{secrets.token_hex(8)}"
    image = yaml.safe_load(project.read("docker-compose.yml"))["services"]["mysql"]["image"]
    environment = {"DATABASE": "shop", "USER": "analyst", "PASSWORD": password, "ROOT_PASSWORD": password}
    settings = {
        "bind-address": host,
        "port": port,
        "loose-mysqlx": "OFF",
        "ssl-cert": "/tls/server.pem",
        "ssl-key": "/tls/server.pem",
        "require-secure-transport": "ON",
    }
    try:
        sh(
            *("docker", "run", "--detach", "--network=host", f"--name={name}", f"--volume={tmp_path}:/tls:ro"),
            *(f"--env=MYSQL_{key}={value}" for key, value in environment.items()),
            *(image, "mysqld", *(f"--{key}={value}" for key, value in settings.items())),
        )
        eventually(lambda: listens(host, port), f"{name} answers")
        table = "CREATE TABLE customers (name TEXT); INSERT INTO customers VALUES ('Ada')"
        sh("docker", "exec", name, "mysql", "--user=analyst", f"--password={password}", "shop", f"--execute={table}")
        yield port, password
    finally:
        sh("docker", "rm", "--force", "--volumes", name, check=False)


def listens(address: str, port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((address, port)) == 0


def test_a_remote_mysql_is_reached_with_its_own_secret(project: Project, host: str, replica: tuple[int, str]) -> None:
    port, password = replica
    services = page("connect-services.md")
    ask = block(services, "sh", "replica").split()
    answers = [f"{password}\n"] * 2
    assert at_terminal(*ask, answers=answers, folder=project.folder, environment=project.environment)[0] == 0
    override = yaml.safe_load(block(services, "yaml", "replica"))
    # A host name that does not exist.
    override["services"]["jupyter"]["extra_hosts"] = [f"{REPLICA}:{host}"]
    (project.folder / "docker-compose.override.yml").write_text(yaml.safe_dump(override))
    elsewhere = block(services, "python", REPLICA).replace("port=3306", f"port={port}")
    encrypted = "cursor = replica.cursor(); cursor.execute(\"SHOW STATUS LIKE 'Ssl_cipher'\"); print(cursor.fetchall())"
    _, customers, cipher, environment = project.outputs(connecting()["mysql"], elsewhere, encrypted, ENVIRONMENT)
    assert [line.split() for line in customers.splitlines()] == [["name"], ["0", "Ada"]]
    assert "TLS" in cipher
    assert password not in environment
