"""Packages of the Python of Debian, Ubuntu or Red Hat, which `pip freeze` lists there and an index does not have."""

from __future__ import annotations

import re

from packaging.utils import canonicalize_name

# Debian's revision in the version, https://www.debian.org/doc/debian-policy/ch-controlfields.html#version, or the
# package that Debian's virtualenv adds, https://bugs.debian.org/871790.
_THEIRS = re.compile(
    r"([a-z0-9][\w.-]*)\s*={2,3}\s*[\w.!+~-]*(?:ubuntu|debian|[+.~]deb)(?![a-z])"
    r"|(pkg[-_.]resources)\s*==\s*0(?:\.0)*\s*(?:$|;)",
    re.ASCII | re.IGNORECASE,
)

# Programs of the system itself. An index that has the version has another package, perhaps production's.
PROGRAMS = {
    *("apt-clone", "apt-listchanges", "apturl", "brlapi", "cloud-init", "command-not-found", "cupshelpers", "defer"),
    *("dbus-python", "distro-info", "dnf", "ec2-hibinit-agent", "gpg", "hibagent", "landscape-common", "libcomps"),
    *("language-selector", "louis", "pycups", "pygobject", "python-apt", "python-debian", "python-debianbts"),
    *("reportbug", "rpm", "screen-resolution-extra", "selinux", "sepolicy", "setools", "sos", "ssh-import-id"),
    *("subscription-manager", "systemd-python", "ubuntu-advantage-tools", "ubuntu-drivers-common"),
    *("ubuntu-pro-client", "ufw", "unattended-upgrades", "usb-creator", "xkit"),
}
WHY = "(of the operating system)"


def named_in(line: str) -> str:
    """Return the normalised name of the package if a line pins one of these, or nothing."""
    found = _THEIRS.match(line)
    return canonicalize_name(found[1] or found[2]) if found else ""


def shown(line: str) -> str:
    """Return such a line as a package that is left out, with the reason."""
    return f"{line.partition(';')[0].strip()} {WHY}"
