"""Supports only ``python -m pip``, because the lock lacks pip."""

import sys

if sys.argv[0] != "-m":
    raise ModuleNotFoundError("No module named 'pip'", name="pip")
