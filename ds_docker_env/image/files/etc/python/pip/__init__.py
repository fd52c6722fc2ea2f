"""For ``python -m pip`` alone, because the lock has no pip."""

import sys

if sys.argv[0] != "-m":
    raise ModuleNotFoundError("No module named 'pip'", name="pip")
