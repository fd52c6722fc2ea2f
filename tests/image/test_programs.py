"""The shell scripts and settings of the image run on this machine, with stand-ins for the programs that they start."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from jupyter_client.provisioning.factory import KernelProvisionerFactory
from offers import TEMPLATE
from rendering import Renderer

from ds_docker_env.common.services import SERVICES
from ds_docker_env.common.target import note

ASK_FOR_PROCESSORS = """\
import os, site; site.addpackage('FILES', 'limits.pth', set())
print(os.cpu_count(), *(os.environ[name] for name in (
    'PYTHON_CPU_COUNT', 'LOKY_MAX_CPU_COUNT', 'NUMBA_NUM_THREADS', 'POLARS_MAX_THREADS', 'JOBLIB_TEMP_FOLDER',
    'DASK_TEMPORARY_DIRECTORY',
)))"""
FILES = TEMPLATE / "ds_docker_env" / "image" / "files"
ASK_FOR_PROCESSORS = ASK_FOR_PROCESSORS.replace("FILES", str(FILES / "etc"))
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="it runs in the image, on Linux")
Script = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def script(tmp_path: Path) -> Script:
    """Run a script in an empty folder, with programs that print their arguments."""
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("dumb-init", "start"):
        (programs / name).write_text(f'#!/bin/sh\necho {name} "$@"; echo HOME=$HOME\n')
        (programs / name).chmod(0o755)
    # Protects this machine from a script that runs as root.
    (programs / "id").write_text("#!/bin/sh\necho 1000\n")
    (programs / "id").chmod(0o755)

    def _script(name: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["sh", str(FILES / "commands" / name), *arguments],
            cwd=tmp_path,
            env={"PATH": f"{programs}:{os.environ['PATH']}", "HOME": str(tmp_path), **environment},
            capture_output=True,
            text=True,
            check=False,
        )

    return _script


@on_linux
def test_each_script_starts_its_program(script: Script) -> None:
    # The real one exists only in the image.
    assert "/opt/tools/bin/dvc: not found" in script("dvc", "status").stderr
    assert "dumb-init -- jupyter lab" in script("start", "jupyter", "lab").stdout
    # Outside a service's container.
    assert script("h2o").returncode != 0
    assert script("dask-worker").returncode != 0


@on_linux
def test_root_runs_programs_of_the_image_and_not_those_that_the_owner_can_write(script: Script, tmp_path: Path) -> None:
    for name in ("id", "stat", "setpriv", "mkdir", "sed"):
        (tmp_path / "programs" / name).write_text("#!/bin/sh\necho mine >>$HOME/mine\n")
        (tmp_path / "programs" / name).chmod(0o755)
    script("as-owner", "jupyter", "lab")
    assert not (tmp_path / "mine").exists()


@on_linux
def test_start_makes_the_data_directory_and_reports_a_broken_link(script: Script, tmp_path: Path) -> None:
    data = tmp_path / "src" / "data"
    data.parent.mkdir()
    assert script("start", "true").stderr == ""
    assert data.is_dir()
    data.rmdir()
    data.symlink_to("/mnt/of/the/host")
    said = script("start", "true")
    assert said.returncode == 0 and "dumb-init -- true" in said.stdout
    assert said.stderr.startswith("start: src/data: links to /mnt/of/the/host, which is not in the container; mount it")


@on_linux
def test_start_on_arm64_says_how_to_renew_the_lock_of_an_older_template(script: Script, tmp_path: Path) -> None:
    lock, uname = tmp_path / "requirements.txt", tmp_path / "programs" / "uname"
    (tmp_path / "src").mkdir()
    lock.write_text("# uv\nsix==1.17.0\n")
    uname.write_text("#!/bin/sh\necho aarch64\n")
    uname.chmod(0o755)
    said = "start: requirements.txt: locked for linux/amd64 only, but this is linux/arm64; run: docker compose run "
    assert script("start", "true").stderr == f"{said}--rm jupyter lock\n"
    assert script("start", "lock").stderr == ""
    for text in (note(), note("torch==1.13.1 has no wheel")):
        lock.write_text(f"# uv\n{text}\nsix==1.17.0\n")
        assert script("start", "true").stderr == ""
    lock.write_text("six==1.17.0\n")
    uname.write_text("#!/bin/sh\necho x86_64\n")
    assert script("start", "true").stderr == ""


def environment(times: int = 1, **before: str) -> dict[str, str]:
    """Return the environment of a command that sources environment.sh, perhaps in a shell within a shell."""
    script = "set -eu\n" + f'. "{FILES}/etc/environment.sh"\n' * times + "exec env"
    before = {"PATH": os.environ["PATH"], **before}
    said = subprocess.run(["sh", "-c", script], env=before, capture_output=True, text=True, check=True)
    return dict(line.split("=", 1) for line in said.stdout.splitlines())


@on_linux
def test_requests_inside_the_project_and_to_a_companys_exceptions_bypass_a_proxy() -> None:
    bare = environment()
    compose = Renderer()("docker-compose.yml", services=",".join(SERVICES))
    services = set(yaml.safe_load(compose)["services"]) - {"passwords", "setup", "writer"}
    missing = services - set(bare["NO_PROXY"].split(","))
    assert not missing, f"ds_docker_env/image/files/etc/environment.sh: NO_PROXY lacks {missing}"
    assert {"localhost", "127.0.0.1", platform.node()} <= set(bare["NO_PROXY"].split(","))
    given = environment(NO_PROXY="*.acme.com,localhost")
    assert given["NO_PROXY"].startswith("*.acme.com,localhost,127.0.0.1,")
    assert environment(no_proxy="*.acme.com,localhost") == given
    for found in (bare, given):
        assert found["no_proxy"] == found["NO_PROXY"]
        assert environment(3, **found) == found
    # Nothing at all goes through the proxy.
    assert environment(NO_PROXY="*")["NO_PROXY"] == "*"


@on_linux
def test_libraries_trust_the_images_certificates_or_those_that_are_named() -> None:
    names = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "AWS_CA_BUNDLE")
    bare, named = environment(2), environment(2, SSL_CERT_FILE="/a.crt", AWS_CA_BUNDLE="/b.crt")
    assert [bare[name] for name in names] == ["/etc/ssl/certs/ca-certificates.crt"] * 3
    assert [named[name] for name in names] == ["/a.crt", "/a.crt", "/b.crt"]


@pytest.mark.parametrize("shell", ["sh", "bash"])
@pytest.mark.parametrize(
    ("limits", "processors"),
    [
        ({"cpu.max": "150000 100000", "memory.max": "2147483648"}, 2),
        ({"cpu.max": "50000 100000", "memory.max": "2147483648"}, 1),
        ({"cpu.max": "6400000 100000", "memory.max": "2147483648"}, None),
        ({"cpu.max": "max 100000", "memory.max": "max"}, None),
        (
            {
                "cpu/cpu.cfs_quota_us": "50000",
                "cpu/cpu.cfs_period_us": "100000",
                "memory/memory.limit_in_bytes": "2147483648",
            },
            1,
        ),
        (
            {
                "cpu/cpu.cfs_quota_us": "-1",
                "cpu/cpu.cfs_period_us": "100000",
                "memory/memory.limit_in_bytes": str(2**63 - 4096),
            },
            None,
        ),
        ({}, None),
    ],
)
def test_programs_see_the_limits_of_the_container_instead_of_the_machines(
    shell: str, limits: dict[str, str], processors: int | None, tmp_path: Path
) -> None:
    if sys.platform != "linux":
        pytest.skip("it runs in the image, on Linux")
    for name, content in limits.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(f"{content}\n")
    text = (FILES / "etc" / "limits.sh").read_text(encoding="utf-8").replace("/sys/fs/cgroup", str(tmp_path))
    asked = f'set -eu\n{text}\nulimit -S -d; exec "{sys.executable}" -c "{ASK_FOR_PROCESSORS}"'
    said = subprocess.run(
        [shell, "-c", asked],
        env={"PATH": os.environ["PATH"], "OMP_NUM_THREADS": "1", "POLARS_MAX_THREADS": "7"},
        capture_output=True,
        text=True,
        check=True,
    )
    machine = len(os.sched_getaffinity(0))
    count = min(processors or machine, machine)
    memory, *counts = said.stdout.split()
    assert counts == [str(count)] * 4 + ["7", "/tmp", "/tmp"]
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limited = "2147483648" in limits.values()
    assert int(memory) * 1024 == pytest.approx(0.9 * min(2**31, total) if limited else 0.9 * total, rel=0.01)
    assert said.stderr == ""


class Settings(SimpleNamespace):
    """Jupyter's configuration, as far as attributes of attributes go."""

    def __getattr__(self, name: str) -> Any:
        setattr(self, name, Settings())
        return getattr(self, name)


@on_linux
@pytest.mark.parametrize("port", [8888, 8889])
def test_jupyters_settings_name_the_address_that_is_published(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JUPYTER_PORT", raising=False)
    if port != 8888:
        monkeypatch.setenv("JUPYTER_PORT", str(port))
    path = FILES / "etc" / "jupyter" / "jupyter_config.py"
    settings = Settings()
    exec(compile(path.read_text(), path, "exec"), {"get_config": lambda: settings, "__file__": str(path)})
    KernelProvisionerFactory.clear_instance()
    assert settings.ServerApp.custom_display_url == f"http://127.0.0.1:{port}"
    assert settings.ServerApp.port == port
    [templates] = settings.ServerApp.extra_template_paths
    assert ".secrets/jupyter_password" in Path(templates, "login.html").read_text(encoding="utf-8")
