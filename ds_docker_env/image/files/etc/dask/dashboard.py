"""A preload of Dask's scheduler, which serves the dashboard to JupyterLab only.

https://docs.dask.org/en/stable/how-to/customize-initialization.html
"""

from distributed import Scheduler
from tornado.netutil import bind_unix_socket


def dask_setup(scheduler: Scheduler) -> None:
    """Listen on a socket in the volume that JupyterLab also has."""
    scheduler.http_server.add_socket(bind_unix_socket("/run/dask/dashboard.sock"))
