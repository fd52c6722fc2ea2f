"""The Linux and the Python for which versions are locked."""

from __future__ import annotations

from dataclasses import dataclass

# Markers such as `python_full_version < "3.11.3"` need a patch release, and uv would assume .0. Every official image
# carries these or newer ones.
_FULL_PYTHON = {
    "3.8": "3.8.20",
    "3.9": "3.9.25",
    "3.10": "3.10.19",
    "3.11": "3.11.14",
    "3.12": "3.12.12",
    "3.13": "3.13.9",
    "3.14": "3.14.0",
}
PYTHON_VERSIONS = tuple(_FULL_PYTHON)

# The full official images, https://hub.docker.com/_/python: Python 3.8 ended before trixie began.
DEBIAN_RELEASES = {
    "3.8": ("bookworm",),
    "3.9": ("trixie", "bookworm"),
    "3.10": ("trixie", "bookworm"),
    "3.11": ("trixie", "bookworm"),
    "3.12": ("trixie", "bookworm"),
    "3.13": ("trixie", "bookworm"),
    "3.14": ("trixie", "bookworm"),
}

# What uv calls the older of them: bookworm has glibc 2.36.
PLATFORM = "x86_64-manylinux_2_36"


@dataclass(frozen=True)
class Target:
    """A Python version such as ``3.11``, on Linux."""

    python: str

    @property
    def full_python(self) -> str:
        return _FULL_PYTHON[self.python]

    @property
    def has_setuptools(self) -> bool:
        """Whether the official image holds setuptools besides pip, and Python its distutils: both went with 3.12."""
        return int(self.python.partition(".")[2]) < 12

    def marker_environment(self) -> dict[str, str]:
        """Return what environment markers mean there, https://peps.python.org/pep-0508/#environment-markers."""
        return {
            "implementation_name": "cpython",
            "implementation_version": self.full_python,
            "os_name": "posix",
            "platform_machine": "x86_64",
            "platform_python_implementation": "CPython",
            "platform_release": "",
            "platform_system": "Linux",
            "platform_version": "",
            "python_full_version": self.full_python,
            "python_version": self.python,
            "sys_platform": "linux",
            "extra": "",
        }
