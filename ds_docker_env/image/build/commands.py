"""The commands of the image and the settings of Jupyter, which the template packed into a wheel, and the kernel."""

from __future__ import annotations

from ds_docker_env.image.build.packages import ANALYSIS, finish
from ds_docker_env.image.build.running import STEP, compile_packages, run
from ds_docker_env.image.build.tools import TOOLS


def install() -> None:
    """Install the wheel, users and the kernel; raise `subprocess.CalledProcessError` if a program fails."""
    # uv would write the timestamp of the wheel.
    options = ("--no-cache-dir", "--no-compile", "--no-deps", "--no-index")
    run(TOOLS / "bin" / "python", "-m", "pip", "install", *options, *STEP.glob("*.whl"))
    compile_packages(TOOLS)
    run(TOOLS / "commands" / "add-users")
    finish()
    # _overlay.py, to which the analysis links.
    compile_packages(ANALYSIS)
