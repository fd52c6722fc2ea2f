"""Settings of the server and every other Jupyter command: one kernel, one address, and the password from the secret."""

import os
from pathlib import Path

from jupyter_client.provisioning import KernelProvisionerFactory

from ds_docker_env.image.passwords import read_password

c = get_config()  # noqa: F821
port = os.environ.get("JUPYTER_PORT") or "8888"
if not port.isdecimal():
    raise SystemExit(f"PORT: {port!r} is not a number; correct it in .env")

c.KernelSpecManager.ensure_native_kernel = False
c.KernelManager.transport_encryption = "auto"
# A kernel gets half of this to stop by itself, so "docker compose stop" takes less than 3 seconds.
c.KernelManager.shutdown_wait_time = 3
# Not c.KernelProvisionerFactory, which nbconvert does not read.
KernelProvisionerFactory.instance(default_provisioner_name="ds-docker-env")
c.ServerApp.ip = "0.0.0.0"  # noqa: S104
c.ServerApp.port = int(port)
c.ServerApp.custom_display_url = f"http://127.0.0.1:{port}"
c.ServerApp.open_browser = False
c.ServerApp.allow_root = True
# In the volume, so that a browser stays logged in after a restart.
c.ServerApp.cookie_secret_file = str(Path.home() / ".jupyter_cookie_secret")
c.ServerApp.terminado_settings = {"shell_command": ["bash"]}
c.ServerApp.extra_template_paths = [str(Path(__file__).with_name("templates"))]
c.LabApp.extension_manager = "readonly"
c.LabApp.default_url = "/lab/tree/src/analysis.ipynb"
# A power loss while saving leaves a whole notebook.
c.ServerApp.contents_manager_class = "ds_docker_env.image.contents.Contents"
c.ContentsManager.checkpoints_class = "ds_docker_env.image.contents.Checkpoints"

# Without a password Jupyter makes a random token.
if password := read_password("jupyter"):
    c.IdentityProvider.token = password
# A password set in the browser would outlive the secret.
c.PasswordIdentityProvider.allow_password_change = False
c.PasswordIdentityProvider.hashed_password = ""

# Pages of services, behind the same password. The image has icons only of the chosen services.
icons = {path.stem: path for path in Path(__file__).with_name("icons").glob("*.svg")}
servers = {
    "datasette": {
        "command": [
            *("datasette", "src/data/analysis.db", "--create", "--uds", "{unix_socket}"),
            *("--setting", "base_url", "{base_url}datasette/"),
        ],
        "unix_socket": True,
        "absolute_url": True,
        "timeout": 60,
        "launcher_entry": {"title": "SQLite", "icon_path": icons.get("datasette")},
    },
    "dask": {
        "unix_socket": "/run/dask/dashboard.sock",
        "launcher_entry": {"title": "Dask", "path_info": "dask/", "icon_path": icons.get("dask")},
    },
}
c.ServerProxy.servers = {name: server for name, server in servers.items() if name in icons}

# Reports are whole without internet. Slides need the internet, for reveal.js.
c.HTMLExporter.template_name = "report"
c.HTMLExporter.preprocessors = ["ds_docker_env.image.offline.Offline"]
c.HTMLExporter.filters = {"markdown2html": "ds_docker_env.image.offline.markdown2html"}
c.SlidesExporter.template_name = "reveal"
c.SlidesExporter.preprocessors = []
