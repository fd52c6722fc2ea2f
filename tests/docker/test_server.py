"""Logins, the rights of the container, and the data that survive it."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from docker.conftest import copied, missing
from docker.project import PASSWORD, Project, ask, eventually, logs_in, printed_token

pytestmark = pytest.mark.docker

THEME = "/lab/api/settings/@jupyterlab/apputils-extension:themes"


def test_only_the_password_opens_the_server(running: Project) -> None:
    contents = f"{running.url}/api/contents"
    assert ask(contents).status == 403
    assert ask(contents, token="not the password").status == 403
    assert ask(contents, token=running.password).status == 200


def test_docker_reports_the_server_as_healthy(running: Project) -> None:
    eventually(lambda: running.inspect()["State"]["Health"]["Status"] == "healthy", "the container is healthy")


def test_a_wrong_password_does_not_log_in(running: Project, browser: Browser) -> None:
    page = browser.new_page()
    page.goto(running.url)
    page.fill("input[name=password]", "not the password")
    page.click("#login_submit")
    expect(page.locator("body")).to_contain_text("Invalid credentials")
    page.goto(f"{running.url}/lab")
    assert "/login" in page.url
    page.close()


def test_only_this_machine_reaches_the_server(running: Project) -> None:
    published = running.inspect()["NetworkSettings"]["Ports"]
    assert published == {f"{running.port}/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(running.port)}]}
    assert running.compose("port", "jupyter", str(running.port)).stdout.strip() == f"127.0.0.1:{running.port}"


def test_a_new_password_takes_effect_after_a_restart(copy: Project) -> None:
    with copy.up():
        old = copy.password
        chosen = copy.folder / "chosen"
        chosen.write_text("correct horse, 'battery' & \"stäple\" $1\n", encoding="utf-8")
        chosen.replace(copy.folder / PASSWORD)
        copy.compose("restart", "--timeout", "5")
        copy.wait_until_answering()
        assert ask(f"{copy.url}/api/contents", token=old).status == 403
        assert logs_in(copy)


def test_the_browser_cannot_change_the_password(running: Project) -> None:
    login = ask(f"{running.url}/login")
    assert 'name="password"' in login.text
    assert 'name="new_password"' not in login.text


def test_the_login_page_says_where_the_password_is_and_the_log_where_the_server_is(running: Project) -> None:
    assert ".secrets/jupyter_password" in ask(f"{running.url}/login").text
    assert set(re.findall(r"http://[^/\s]+", running.log())) == {running.url}


def test_a_blank_password_makes_the_server_ask_for_a_token(copy: Project) -> None:
    (copy.folder / PASSWORD).write_text(" \n", encoding="utf-8")
    with copy.up():
        assert ask(f"{copy.url}/api/contents").status == 403
        assert ask(f"{copy.url}/api/contents?token=").status == 403
        assert ask(f"{copy.url}/api/contents", token=printed_token(copy.log())).status == 200


def test_an_unreadable_password_is_logged_until_it_can_be_read(copy: Project) -> None:
    (copy.folder / PASSWORD).chmod(0)
    copy.compose("up", "--detach")
    eventually(lambda: copy.inspect()["RestartCount"] > 0, "the server stopped")
    assert "jupyter_password" in copy.log()
    assert "Traceback" not in copy.log()
    (copy.folder / PASSWORD).chmod(0o600)
    eventually(lambda: ask(f"{copy.url}/api").status == 200, "the server started by itself")


def test_a_missing_password_file_stops_the_start_and_is_named(copy: Project) -> None:
    (copy.folder / PASSWORD).unlink()
    tried = copy.compose("up", "--detach", check=False)
    assert tried.returncode != 0
    assert PASSWORD.as_posix() in tried.stderr
    assert not (copy.folder / PASSWORD).exists()


@pytest.fixture(scope="module", params=[4242, 0], ids="uid-{}".format)
def owned(request: Any, built: Project, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """Start the project from a directory of this user, who alone can read its password."""
    if sys.platform == "win32" or (os.geteuid() != 0 and request.param != os.geteuid()):
        missing("only root can give a folder to somebody else")
    project = copied(built, tmp_path_factory.mktemp("owned"))
    if os.geteuid() == 0:
        for path in (project.folder, *project.folder.rglob("*")):
            os.chown(path, request.param, request.param)
    with project.up():
        yield project


def test_files_made_in_the_notebook_belong_to_the_projects_owner(owned: Project) -> None:
    code = "import getpass, os; open('data/made.csv', 'w').close(); os.mkdir('data/more'); print(getpass.getuser())"
    owned.api("/api/contents/src/saved.txt", method="PUT", body={"type": "file", "format": "text", "content": ""})
    [user] = owned.outputs(code)
    owner = owned.folder.stat()
    made = [owned.folder / "src" / name for name in ("data/made.csv", "data/more", "saved.txt")]
    assert [(path.stat().st_uid, path.stat().st_gid) for path in made] == [(owner.st_uid, owner.st_gid)] * 3
    assert user in ("root", "analyst", "owner")


def test_every_process_runs_as_the_owner_without_capabilities(owned: Project) -> None:
    owner = owned.folder.stat()
    assert owned.api("/api/kernels", method="POST", body={"name": "python3"}).status == 201
    processes = owned.processes()
    assert len(processes) >= 3
    for process in processes:
        assert set(process["Uid"].split()) == {str(owner.st_uid)}, process["Name"]
        assert set(process["Gid"].split()) == {str(owner.st_gid)}, process["Name"]
        assert process["Groups"] in ("", str(owner.st_gid)), process["Name"]
        assert {int(process[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {0}
        assert process["NoNewPrivs"] == "1"


def test_a_shell_in_the_running_container_is_the_owners_and_runs_programs_in_tmp(owned: Project) -> None:
    start = "cp /bin/true /tmp/program && /tmp/program"
    shell = f"{start} && touch src/from-shell $HOME/from-shell && id -u && grep CapEff /proc/self/status"
    said = owned.compose("exec", "--no-TTY", "jupyter", "bash", "-c", shell).stdout.split()
    # Root keeps the capabilities of the start.
    owner = owned.folder.stat().st_uid
    assert said == [str(owner), "CapEff:", "0" * 16 if owner else f"{0b111 << 6:016x}"]
    assert (owned.folder / "src" / "from-shell").stat().st_uid == owned.folder.stat().st_uid


def test_the_owner_can_write_src_the_home_and_temporary_directories(owned: Project) -> None:
    closed = "find /opt/analysis -type d -writable"
    assert owned.compose("exec", "--no-TTY", "jupyter", "sh", "-c", closed).stdout == ""
    if owned.folder.stat().st_uid == 0:
        return  # Root also owns the files of the image (decision 59).
    # Directories of the kernel, and those that the owner may write.
    known = " -o ".join(f"-path /{name}" for name in ("proc", "sys", "dev", "home", "opt/packages", "project", "tmp"))
    walk = f"find / \\( {known} \\) -prune -o -writable ! -type l -print 2>/dev/null; true"
    said = owned.compose("exec", "--no-TTY", "jupyter", "sh", "-c", walk).stdout
    assert sorted(said.split()) == ["/run/lock", "/var/tmp"]


def test_jupyterlabs_settings_survive_a_new_container(copy: Project) -> None:
    with copy.up():
        dark = {"raw": json.dumps({"theme": "JupyterLab Dark"})}
        assert copy.api(THEME, method="PUT", body=dark).status == 204
        copy.compose("down")
        copy.compose("up", "--detach")
        copy.wait_until_answering()
        assert copy.api(THEME).json["settings"]["theme"] == "JupyterLab Dark"
