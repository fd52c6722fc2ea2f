"""docs/how-to/extras.md: fonts, Debian packages, extensions; test_notebook.py has the debugger."""

from __future__ import annotations

import re

import pytest
from pages import page

from docker.conftest import have_image
from docker.project import Project, blocks, sh

pytestmark = pytest.mark.docker

PAGE = page("extras.md")
FONTS, REMOVE = blocks(PAGE, "python")
# The page's fonts, with one character each, in a directory where Matplotlib looks for Debian's fonts, too.
ADD_FONTS = """\
import matplotlib.pyplot
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from pathlib import Path

folder = Path.home() / ".local/share/fonts"
folder.mkdir(parents=True, exist_ok=True)
pen = TTGlyphPen(None)
for point in ((0, 0), (0, 500), (500, 0)):
    (pen.lineTo if pen.points else pen.moveTo)(point)
pen.closePath()
glyph = pen.glyph()
for family, text in {fonts}.items():
    names = {{ord(character): f"uni{{ord(character):04X}}" for character in text}}
    font = FontBuilder(1000)
    font.setupGlyphOrder([".notdef", *names.values()])
    font.setupCharacterMap(names)
    font.setupGlyf(dict.fromkeys([".notdef", *names.values()], glyph))
    font.setupHorizontalMetrics(dict.fromkeys([".notdef", *names.values()], (600, 0)))
    font.setupHorizontalHeader(ascent=800, descent=-200)
    font.setupNameTable(dict(familyName=family, styleName="Regular"))
    font.setupOS2(sTypoAscender=800)
    font.setupPost()
    font.save(folder / f"{{family}}.ttf")"""
SCRIPTS = {
    "Noto Sans CJK JP": "客户お様고객",
    "Noto Sans Arabic": "العملاء",
    "Noto Sans Devanagari": "ग्राहक",
}
DRAW = """\
import logging, warnings
warnings.simplefilter("error")
logging.getLogger("matplotlib.font_manager").addHandler(logging.StreamHandler())
{cell}
plt.gcf().canvas.draw()
plt.close()
print("drawn")"""


def test_matplotlib_draws_every_script_of_the_page_once_its_font_cache_is_removed(running: Project) -> None:
    assert all(family in FONTS for family in SCRIPTS)
    draw = DRAW.format(cell=FONTS.strip())
    [_, before] = running.outputs_beside_services(ADD_FONTS.format(fonts=SCRIPTS), draw)
    assert "not found" in before
    [_, after] = running.outputs_beside_services(REMOVE.strip(), draw)
    assert after == "drawn"


def test_debian_has_the_pages_packages(engine: None) -> None:
    have_image("python:3.13-trixie")
    packages = re.findall(r"Debian packages?\b[^|`]*`([a-z0-9.+-]+)`", PAGE)
    packages += re.findall(r"(?:needs|add) ([a-z0-9.+-]+-dev)", PAGE)
    assert len(packages) >= 3
    simulate = f"apt-get update --quiet=2 && apt-get install --simulate --quiet=2 {' '.join(packages)}"
    said = sh("docker", "run", "--rm", "python:3.13-trixie", "sh", "-c", simulate)
    assert all(f"Inst {package} " in said.stdout for package in packages)


def test_jupyterlab_offers_a_theme_from_the_analysis_environment(built: Project) -> None:
    [theme] = re.findall(r"\| a theme .*`([\w-]+)` \|", PAGE)
    install = f"uv pip install --python /opt/analysis/bin/python {theme} && jupyter labextension list"
    said = sh("docker", "run", "--rm", "--user=root", "--entrypoint=sh", built.image, "-c", install)
    assert re.findall(r"^ \+ (\S+)==", said.stderr, re.MULTILINE) == [theme]
    of_the_analysis = said.stderr.partition("/opt/analysis/share/jupyter/labextensions\n")[2].partition("\n\n")[0]
    assert re.search(rf"^ +{theme.replace('-', '_')} .*OK", of_the_analysis, re.MULTILINE), said.stderr
