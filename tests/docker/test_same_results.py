"""The notebook computes the same results on another machine."""

from __future__ import annotations

import pytest

from docker.project import Project, sh

pytestmark = pytest.mark.docker

SETTINGS = ("LC_ALL", "OMP_NUM_THREADS", "PYTHONHASHSEED", "TZ")
NAME = "src/asked.ipynb"
# Results that could differ: the order of a set, local time, sums over threads, the ids in a figure.
CELLS = (
    "print(set('abcdefgh'), hash('a'))",
    "import time; print(time.tzname, time.localtime(0).tm_hour)",
    """\
import numpy as np
from sklearn.linear_model import LinearRegression
random = np.random.default_rng(0)
x, a = random.standard_normal(1_000_003), random.standard_normal((600, 600))
print(x.dot(x).hex(), np.linalg.solve(a, a[0]).sum().hex(), LinearRegression().fit(a, x[:600]).coef_.sum().hex())""",
    """\
import hashlib, io
import matplotlib.pyplot as plt
plt.plot([1, 2], [3, 4])
figure = io.BytesIO()
plt.savefig(figure, format="svg", metadata={"Date": None})
print(hashlib.sha256(figure.getvalue()).hexdigest())""",
    "plt.scatter([1, 2], [3, 4]);",
)


def test_the_report_is_identical_on_another_machine(running: Project) -> None:
    running.write_notebook(*CELLS, name=NAME)
    path = (running.folder / NAME).with_suffix(".html")
    running.run("report", NAME)
    report = path.read_bytes()
    path.unlink()
    # Another host name, another time zone, and one processor.
    moved = 'ln -sf /usr/share/zoneinfo/Asia/Tokyo /etc/localtime; exec as-owner "$@"'
    sh(
        *("docker", "run", "--rm", "--user=root", "--hostname=elsewhere", "--cpuset-cpus=0"),
        *(f"--volume={running.folder}:/project", "--entrypoint=sh", running.image),
        *("-c", moved, "as-owner", "report", NAME),
    )
    assert path.read_bytes() == report


def test_text_is_utf_8_with_any_locale_of_the_base_image(running: Project) -> None:
    letters = ("docker", "run", "--rm", "--env=LANG=POSIX", running.image, "env")
    count = ("sh", "-c", "printf ä | wc --chars")
    assert [sh(*letters, *unset, *count).stdout for unset in ((), ("--unset=LC_ALL",))] == ["1\n", "2\n"]


def test_every_way_to_start_python_has_the_settings(running: Project) -> None:
    ask = f"import os; print([os.environ.get(name) for name in {SETTINGS}])"
    settings = "['C.UTF-8', '1', '0', 'UTC']"
    python = ("python", "-c", ask)
    assert running.run(*python).stdout.strip() == settings
    assert running.compose("exec", "--no-TTY", "jupyter", *python).stdout.strip() == settings
    assert sh("docker", "run", "--rm", running.image, *python).stdout.strip() == settings
    assert running.outputs_beside_services(ask) == [settings]


def test_a_cell_gets_the_configured_number_of_threads(copy: Project) -> None:
    (copy.folder / ".env").write_text("THREADS=2\n", encoding="utf-8")
    assert copy.run("printenv", "OMP_NUM_THREADS").stdout == "2\n"
