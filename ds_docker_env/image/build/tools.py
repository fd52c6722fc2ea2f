"""The environment of JupyterLab and the other tools, on Debian's own Python, and a company's certificate."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from ds_docker_env.image.build import sources
from ds_docker_env.image.build.running import STEP, compile_packages, run

TOOLS = Path("/opt/tools")
_PYTHON = Path("/usr/bin/python3")
_CERTIFICATE = STEP / "company.crt"
_SITE = "lib/python3*/site-packages"
# JupyterLab's own kernel and its parts; languages other than English; tests.
_ENGLISH = re.compile(r"(en|root)\b.*\.dat|en_.*\.dat")
_LEFT_OUT = (
    *("share/jupyter/kernels", "bin/debugpy*", f"{_SITE}/debugpy", f"{_SITE}/jedi", ".lock"),
    *(f"{_SITE}/jupyterlab/galata", f"{_SITE}/jupyterlab/static"),
    *(f"{_SITE}/babel/locale-data/*.dat", f"{_SITE}/*/tests", f"{_SITE}/*/test"),
)


def install() -> None:
    """Install ``tools.txt``; raise `subprocess.CalledProcessError` if a program fails."""
    if _CERTIFICATE.exists():
        require_pem(_CERTIFICATE)
        shutil.copy(_CERTIFICATE, "/usr/local/share/ca-certificates")
        run("update-ca-certificates")
    lock = (STEP / "tools.txt").read_text(encoding="utf-8")
    with TemporaryDirectory() as folder:
        first, uv = Path(folder, "uv.txt"), Path(folder, "bin", "uv")
        entry = re.findall(r"^uv==(?:.*\\\n)*.*\n", lock, re.MULTILINE)
        first.write_text("".join(entry), encoding="utf-8")
        options = ("--no-cache-dir", "--no-compile", "--require-hashes", f"--target={folder}", f"--requirement={first}")
        run("pip", "install", *options)
        run(uv, "venv", f"--python={_PYTHON}", TOOLS)
        sources.install(uv, TOOLS, _PYTHON, lock)
    for path in [path for pattern in _LEFT_OUT for path in TOOLS.glob(pattern)]:
        if path.is_dir():
            shutil.rmtree(path)
        elif not _ENGLISH.match(path.name):
            path.unlink()
    compile_packages(TOOLS)


def require_pem(certificate: Path) -> None:
    """Exit with a message if a file is not a certificate as text."""
    read = ["/usr/bin/openssl", "x509", "-inform", "PEM", "-noout", "-in", str(certificate)]
    if subprocess.run(read, capture_output=True, check=False).returncode:
        name = certificate.name
        sys.exit(f"{name}: not a PEM certificate; convert it: openssl x509 -inform DER -in {name} -out {name}")
