"""Write the table of Debian packages for building sources: ``uv run locks/debian.py``, on Debian or Ubuntu, online.

It comes from Debian's indexes: ``Sources`` has the build dependencies of each Python package, ``Contents`` the package
of each header and program, and dh-python the names of packages on the package index.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from packaging.utils import canonicalize_name

from ds_docker_env.common.debian import PATH

# The first release's table of files is used for both, without packages that the other lacks.
RELEASES = ("bookworm", "trixie")
# Packages that the full official image installs, https://github.com/docker-library/buildpack-deps and
# https://github.com/docker-library/python. Their dependencies are added.
IMAGE = """\
autoconf automake bzip2 ca-certificates curl default-libmysqlclient-dev dpkg-dev file g++ gcc git gnupg imagemagick
libbluetooth-dev libbz2-dev libc6-dev libcurl4-openssl-dev libdb-dev libevent-dev libffi-dev libgdbm-dev libglib2.0-dev
libgmp-dev libjpeg-dev libkrb5-dev liblzma-dev libmagickcore-dev libmagickwand-dev libmaxminddb-dev libncurses5-dev
libncursesw5-dev libpng-dev libpq-dev libreadline-dev libsqlite3-dev libssl-dev libtool libwebp-dev libxml2-dev
libxslt-dev libyaml-dev make mercurial netbase openssh-client patch procps sq subversion tk-dev tzdata unzip uuid-dev
wget xz-utils zlib1g-dev
"""
# Programs that builds start, and their packages.
PROGRAMS = {name: name for name in ("bison", "cargo", "cmake", "flex", "gfortran", "rustc", "swig")}
PROGRAMS |= {"javac": "default-jdk"}
# Programs that count as needed if Debian builds a source with them; the others are on the package index too.
STARTED = {"cargo", "default-jdk", "gfortran", "swig"}
PROGRAMS |= dict.fromkeys(["mysql_config", "mysql.h"], "default-libmysqlclient-dev")
# Packages of every image; their headers have names that libraries also use.
EVERYWHERE = {"libc6-dev", "linux-libc-dev", "libstdc++-12-dev", "libgcc-12-dev", "libpython3.11-dev"}
# Libraries of other languages, and of tests.
_NOT = re.compile(r"(python|pypy|libpython|librust-|ruby|golang|node-|dh-|gobject-introspection)|.*(gtest|benchmark)")
_HEADER = re.compile(r"usr/include/(?:x86_64-linux-gnu/)?(.*\.h)$")
# Programs and files with the link options of a library.
_OTHER = re.compile(r"^usr/(?:bin/([\w-]*[-_]config)|(?:lib|share)/(?:x86_64-linux-gnu/)?pkgconfig/(.*\.pc))$")
_SAYING = re.compile(r"[-_]config$|\.pc$")
# Header names that any source may use for itself.
_GENERAL = re.compile(
    r"(config|types?|utils?|version|common|error|memory|list|table|string|buffer|base|core|api)(\.h|/)$"
)
# Packages with more names are frameworks, which few sources use.
_HEADERS, _DIRECTORIES = 12, 2
_APT = """\
Dir::Etc::SourceParts "{folder}/sources"; Dir::Etc::SourceList "/dev/null"; Dir::Etc::PreferencesParts "{folder}/none";
Dir::State::lists "{folder}/lists"; Dir::State::status "{folder}/status"; Dir::Cache "{folder}/cache";
APT::Architecture "amd64"; APT::Sandbox::User "root"; Acquire::Languages "none"; Acquire::Retries "3";
Acquire::IndexTargets::deb::Contents-deb
  {{ MetaKey "main/Contents-amd64"; ShortDescription "Contents-amd64"; Description "Contents"; }};
"""
_SOURCES = """\
Types: deb deb-src
URIs: http://deb.debian.org/debian
Suites: {release}
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
"""
HEADING = """\
# [files]: Debian package, its headers and programs. [needs]: Python package, Debian packages to build it.
# [RELEASE]: the packages of the official image, then needs that differ. Made by locks/debian.py from Debian's indexes.
"""


@dataclass
class Release:
    """The indexes of a release of Debian, in a directory that apt fills."""

    name: str
    folder: Path

    def load(self) -> None:
        """Download the indexes; raise `subprocess.CalledProcessError` if apt fails."""
        for name in ("sources", "none", "lists/partial", "cache/archives/partial"):
            (self.folder / name).mkdir(parents=True)
        (self.folder / "status").touch()
        settings = _APT.format(folder=self.folder)
        if self.name != RELEASES[0]:
            settings = settings.partition("Acquire::IndexTargets")[0]
        (self.folder / "apt.conf").write_text(settings)
        (self.folder / "sources" / "debian.sources").write_text(_SOURCES.format(release=self.name))
        self.run("apt-get", "--quiet=2", "update")

    def run(self, *command: str) -> str:
        variables = {"APT_CONFIG": str(self.folder / "apt.conf"), "PATH": "/usr/bin:/bin"}
        done = subprocess.run(command, cwd=self.folder, env=variables, stdout=subprocess.PIPE, text=True, check=True)
        return done.stdout

    def _read(self, index: str) -> str:
        [path] = self.folder.glob(f"lists/*_{index}*")
        return self.run("/usr/lib/apt/apt-helper", "cat-file", str(path))

    def _stanzas(self, index: str) -> Iterator[dict[str, str]]:
        for stanza in self._read(index).strip().split("\n\n"):
            yield dict(re.findall(r"^([\w-]+): ?(.*(?:\n .*)*)", stanza, re.MULTILINE))

    @cached_property
    def packages(self) -> dict[str, dict[str, str]]:
        return {each["Package"]: each for each in self._stanzas("binary-amd64_Packages")}

    @cached_property
    def python_names(self) -> dict[str, list[str]]:
        """Return the normalised names on the package index by Debian's package."""
        self.run("apt-get", "--quiet=2", "download", "dh-python")
        [archive] = self.folder.glob("dh-python*.deb")
        self.run("dpkg-deb", "--extract", archive.name, ".")
        names: dict[str, list[str]] = {}
        for line in (self.folder / "usr/share/dh-python/dist/cpython3_fallback").read_text().splitlines():
            name, package, *_ = [*line.split(), ""]
            names.setdefault(package, []).append(canonicalize_name(name))
        return names

    @cached_property
    def image(self) -> set[str]:
        """Return all packages of the official image, under their names and those that they provide."""
        found = {name for name, each in self.packages.items() if each.get("Priority") == "required"}
        provided: dict[str, str] = {}
        for name, each in self.packages.items():
            provided |= dict.fromkeys(_names(each.get("Provides", "")), name)
        wanted = IMAGE.split()
        while wanted:
            name = wanted.pop()
            if name in found:
                continue
            found.add(name)
            each = self.packages.get(name, {"Depends": provided.get(name, "")})
            found.update(_names(each.get("Provides", "")))
            for field in ("Depends", "Pre-Depends"):
                groups = [_names(group, "|") for group in each.get(field, "").split(",")]
                wanted += [group[0] for group in groups if group and not found.intersection(group)]
        return found

    @cached_property
    def needs(self) -> dict[str, set[str]]:
        """Return the packages that the source of each Python package is built with."""
        needs: dict[str, set[str]] = {}
        for source in self._stanzas("source_Sources"):
            built = [line.split() for line in source.get("Package-List", "").strip().splitlines()]
            own = [name for name, *facts in built if "arch=all" not in facts]
            names = [each for package in own for each in self.python_names.get(package, [])]
            # If Debian builds a library and a Python package from one source, the package needs that library.
            libraries = [name for name in own if re.fullmatch(r"lib.*-dev", name)]
            asked = ",".join(source.get(field, "") for field in ("Build-Depends", "Build-Depends-Arch"))
            for name in names if (found := set(libraries) or set(self._libraries(asked))) else []:
                needs.setdefault(name, set()).update(found)
        return needs

    def _libraries(self, asked: str) -> Iterator[str]:
        for one in asked.split(","):
            architectures = re.findall(r"\[([^\]]*)\]", one)
            elsewhere = architectures and not {"amd64", "any-amd64", "linux-any", "any"} & set(architectures[0].split())
            if re.search(r"<!no(check|docs?)>", one) or (elsewhere and "!" not in architectures[0]):
                continue
            known = [name for name in _names(one, "|") if name in self.packages]
            if known and (known[0].endswith("-dev") or known[0] in STARTED) and not _NOT.match(known[0]):
                yield known[0]

    def files(self, packages: set[str]) -> dict[str, str]:
        """Return the package of each program and header among these packages; a directory stands for its headers.

        Headers in a directory are often included without its name; such a name counts if only one package has it.
        """
        found: dict[str, set[str]] = defaultdict(set)
        inside: dict[str, set[str]] = defaultdict(set)
        for line in self._read("Contents-amd64").splitlines():
            path, _, names = line.rstrip().rpartition(" ")
            owners = [each.rpartition("/")[2] for each in names.split(",")]
            package = next((name for name in owners if name in packages or name in EVERYWHERE), "")
            if package and (header := _HEADER.match(path.rstrip())):
                first, *deeper = re.findall(r"[^/]+/?", header[1])
                found[first].add(package)
                if deeper:
                    inside[deeper[0]].add(package)
            elif package and (other := _OTHER.search(path.rstrip())):
                found[other[1] or other[2]].add(package)
        all_of = {**{name: names for name, names in inside.items() if len(names) == 1}, **found}
        all_of = {
            name: names
            for name, names in all_of.items()
            # Many libraries share a directory such as X11/.
            if not names & EVERYWHERE and (len(names) == 1 or not name.endswith("/") or names & self.image)
        }
        known = {
            name: min(names, key=lambda package: (package not in self.image, package)) for name, names in all_of.items()
        }
        # A library has one or two directories, and any number of headers.
        few = Counter(package for name, package in known.items() if name.endswith("/"))
        named = Counter(package for name, package in known.items() if not _SAYING.search(name))
        return {
            name: package
            for name, package in known.items()
            if not _GENERAL.match(name)
            and (
                package in IMAGE.split()
                or named[package] <= _HEADERS
                or (name.endswith("/") and few[package] <= _DIRECTORIES)
                or _SAYING.search(name)
            )
        } | PROGRAMS


def _names(relation: str, separator: str = ",") -> list[str]:
    """Return the names in a relation of packages, https://www.debian.org/doc/debian-policy/ch-relationships.html."""
    return [
        found[0] for each in relation.split(separator) if (found := re.match(r"[a-z0-9][a-z0-9.+-]+", each.strip()))
    ]


def _lines(table: Mapping[str, Collection[str]]) -> list[str]:
    return [f"{name} {' '.join(sorted(found))}" for name, found in sorted(table.items())]


def main() -> None:
    """Write the table."""
    with tempfile.TemporaryDirectory() as folder:
        releases = [Release(name, Path(folder, name)) for name in RELEASES]
        for release in releases:
            release.load()
        first, last = releases
        common = first.packages.keys() & last.packages.keys()
        libraries = {name for name in common if name.endswith("-dev")} | {*PROGRAMS.values()}
        wanted = set().union(*last.needs.values(), *first.needs.values(), first.image, last.image)
        files = first.files(libraries & wanted)
        needs = first.needs | last.needs
        named = {*files.values()}.union(*first.needs.values(), *last.needs.values())
        other = {name: found for name, found in first.needs.items() if found != last.needs.get(name, found)}
        sections = {
            "files": _lines(
                {package: [file for file in files if files[file] == package] for package in files.values()}
            ),
            "needs": _lines({name: found for name, found in needs.items() if found - (first.image & last.image)}),
            first.name: [" ".join(sorted(named & first.image)), *_lines(other)],
            last.name: [" ".join(sorted(named & last.image))],
        }
    text = "".join(f"\n[{name}]\n" + "".join(f"{line}\n" for line in lines) for name, lines in sections.items())
    PATH.write_text(HEADING + text, encoding="utf-8")


if __name__ == "__main__":
    main()
