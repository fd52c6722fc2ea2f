"""Preloaded by the scheduler: shows its dashboard at a socket for JupyterLab, too, where no other container gets."""

from distributed import Scheduler
from tornado.netutil import bind_unix_socket


def dask_setup(scheduler: Scheduler) -> None:
    scheduler.http_server.add_socket(bind_unix_socket("/run/dask/dashboard.sock"))
