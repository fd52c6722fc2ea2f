"""conda packages as requirements for pip, under the name of the same project on the index."""

from __future__ import annotations

import re

from ds_docker_env.common.redaction import excerpt
from ds_docker_env.pinning.production.formats.conda_names import twin
from ds_docker_env.pinning.production.formats.conda_specs import Spec, of_archive, parse_spec
from ds_docker_env.pinning.production.formats.page import Converted, Page

# Channels with the same packages.
_PUBLIC = {
    *("", "defaults", "main", "anaconda", "free", "r", "msys2", "conda-forge", "bioconda", "pytorch"),
    *("pytorch-nightly", "pytorch-lts", "nvidia", "intel", "fastai", "huggingface"),
}
# A version such as 3.11.5; the last number does not matter.
_PATCH = re.compile(r"(==\d+\.\d+)\.\d+")


class Packages:
    """Gathers conda's packages of one file, and writes them on its page."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._specs: list[tuple[int, Spec]] = []

    def add(self, line: int, spec: Spec) -> None:
        """Note a package on a line."""
        self._specs.append((line, spec))

    def add_text(self, line: int, text: str, *, installed: bool = False) -> None:
        """Note the package of a match specification or of the URL of an archive, or a problem."""
        if "://" in text and "::" not in text:
            self.add_archive(line, text)
        elif spec := parse_spec(text, installed=installed):
            self.add(line, spec)
        else:
            # A channel may be a URL with a token.
            plain = excerpt(text.rpartition("::")[2].partition("[")[0], 80)
            self._page.problem(line, f"invalid conda package {plain!r}")

    def add_archive(self, line: int, url: str) -> None:
        """Note a package by the URL of its archive; other URLs are production's own code."""
        if spec := of_archive(url):
            self.add(line, spec)
        else:
            self._page.leave_out(
                re.split(r"[?#]", url)[0].rstrip("/").rpartition("/")[2] or "a package", "its own code"
            )

    def converted(self) -> Converted:
        """Return the page with each package as a requirement, or as left out if the index does not have it.

        Raise `RequirementsError` with all problems.
        """
        # A channel with Python is a mirror of the others.
        public = _PUBLIC | {spec.channel for _, spec in self._specs if spec.name == "python"}
        same: dict[str, list[tuple[int, Spec]]] = {}
        for line, spec in self._specs:
            name = twin(spec.name) if spec.channel in public else ""
            if spec.name == "python":
                self._page.for_python(_PATCH.sub(r"\1.*", spec.specifier or ""))
            elif spec.name == "pip":
                pass
            elif name and spec.specifier is not None:
                same.setdefault(name, []).append((line, spec))
            else:
                channel = "" if spec.channel in public else f"{spec.channel}::"
                self._page.leave_out(f"{channel}{spec.shown}", "conda")
        for name, specs in same.items():
            self._write(name, specs)
        return self._page.converted()

    def _write(self, name: str, specs: list[tuple[int, Spec]]) -> None:
        """Write packages that are one on the index, such as dask and dask-core; prefer a version to ranges."""
        line, exact = next((each for each in specs if each[1].exact), (0, None))
        shown = [spec.shown for _, spec in specs]
        if exact:
            self._page.twin(line, f"{name}{exact.specifier}", shown)
            return
        bounds = dict.fromkeys(spec.specifier for _, spec in specs if spec.specifier)
        self._page.twin(specs[0][0], f"{name}{','.join(bounds)}", shown)
