"""Packages of the Python in Debian, Ubuntu or Red Hat: `pip freeze` lists them, but indexes do not have them."""

from __future__ import annotations

import re
from collections.abc import Iterable

from packaging.utils import canonicalize_name

# Debian's revision in the version, https://www.debian.org/doc/debian-policy/ch-controlfields.html#version, or the
# package that Debian's virtualenv adds, https://bugs.debian.org/871790.
_THEIRS = re.compile(
    r"([a-z0-9][\w.-]*)\s*={2,3}\s*"
    r"(?:\d[\w.!+~-]{0,40}(?:ubuntu|debian|[+.~]deb)(?![a-z])[\w.+~]{0,40}|(?<=pkg.resources==)0\.0\.0)"
    r"(?=\s|;|$)",
    re.ASCII | re.IGNORECASE,
)
# Programs of the system and their dependencies. Indexes may have packages of the same names.
PROGRAMS = {
    *("apt-clone", "apt-listchanges", "apturl", "brlapi", "cloud-init", "command-not-found", "cupshelpers", "defer"),
    *("dbus-python", "distro-info", "dnf", "duplicity", "ec2-hibinit-agent", "gpg", "gyp", "hibagent"),
    *("landscape-common", "language-selector", "libcomps", "louis", "pycairo", "pycups", "pygobject", "python-apt"),
    *("python-debian", "python-debianbts"),
    *("reportbug", "rpm", "screen-resolution-extra", "selinux", "sepolicy", "setools", "sos", "ssh-import-id"),
    *("subscription-manager", "systemd-python", "ubuntu-advantage-tools", "ubuntu-drivers-common"),
    *("ubuntu-pro-client", "ufw", "unattended-upgrades", "usb-creator", "vboxapi", "xkit"),
}
WHY = "(of the operating system)"


def of_the_system(left_out: Iterable[str]) -> list[str]:
    """Return the left-out packages that are of the operating system, without the reason."""
    return [line.removesuffix(f" {WHY}") for line in left_out if line.endswith(WHY)]


def left_out(line: str) -> dict[str, str]:
    """Return the entry for a left-out package with its normalised name, if a line pins such a package, or nothing."""
    found = _THEIRS.match(line)
    return {f"{found[0]} {WHY}": canonicalize_name(found[1])} if found else {}
