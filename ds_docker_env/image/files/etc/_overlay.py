"""The packages of the project's lock, for processes of the analysis: an overlay replaces the image's site-packages.

overlay.pth imports this file from the image's site-packages when Python starts. The link ``packages/current`` beside
``lib`` leads to the overlay; without the link the lock is the image's. Python 3.8 or newer.
"""

# Without pathlib, which would slow down each start of Python.
import os
import site
import sys

IMAGE = os.path.dirname(os.path.abspath(__file__))
PACKAGES = os.path.join(sys.prefix, "packages")
_CURRENT = os.path.join(PACKAGES, "current")
# lib/python3.13/site-packages
_INSIDE = os.path.relpath(IMAGE, sys.prefix)


def refresh():
    """Return the site-packages of the project's lock, from which this process imports from now on."""
    try:
        packages = os.path.join(PACKAGES, os.readlink(_CURRENT), _INSIDE)
    except OSError:
        packages = IMAGE
    if packages in sys.path:
        return packages
    if not os.path.isdir(packages):
        packages = IMAGE
    moved = [moved_to(packages, entry) for entry in sys.path]
    if moved != sys.path:
        sys.path[:] = moved
        # For the .pth files.
        site.addsitedir(packages)
    return packages


def moved_to(packages, path):
    """Return a path in the image's site-packages or an overlay's as the same path in ``packages``, others unchanged."""
    environment, found, rest = f"{path}/".partition(f"/{_INSIDE}/")
    if found and (environment == sys.prefix or os.path.dirname(environment) == PACKAGES):
        return os.path.join(packages, rest).rstrip("/")
    return path


def outdated():
    """Return the distributions of which this process has imported another version than the environment now has.

    Each is a tuple of its name, the imported version and the current version, which is None after a removal.
    """
    packages = refresh()
    imported = {}
    for module in list(sys.modules.values()):
        path = getattr(module, "__dict__", {}).get("__file__")
        now = moved_to(packages, path)
        if now != path:
            inside = os.path.relpath(now, packages)
            imported.setdefault(path[: -len(inside) - 1], set()).add(inside)
    versions = {name: version for name, version, _ in _distributions(packages)}
    return sorted(
        (name, version, versions.get(name))
        for before, modules in imported.items()
        for name, version, record in _distributions(before)
        if version != versions.get(name) and not modules.isdisjoint(_files(record))
    )


def _distributions(packages):
    """Yield name, version and RECORD of each distribution.

    Format: https://packaging.python.org/en/latest/specifications/recording-installed-packages/
    """
    for directory in os.listdir(packages) if os.path.isdir(packages) else ():
        if directory.endswith(".dist-info"):
            name, _, version = directory[: -len(".dist-info")].partition("-")
            yield name.lower().replace("_", "-").replace(".", "-"), version, os.path.join(packages, directory, "RECORD")


def _files(record):
    with open(record, encoding="utf-8") as lines:
        return {line.rsplit(",", 2)[0] for line in lines}


class _Finder:
    """Finds nothing, but updates the path before each import of a top-level module."""

    # The image's own .pth files come first, the import of sitecustomize after all of them.
    started = False

    @classmethod
    def find_spec(cls, name, path=None, target=None):
        cls.started = cls.started or name == "sitecustomize"
        if path is None and cls.started:
            refresh()

    @staticmethod
    def find_distributions(context=None):
        refresh()
        return iter(())


sys.meta_path.insert(0, _Finder)
