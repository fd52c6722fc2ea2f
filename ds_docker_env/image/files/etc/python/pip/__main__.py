"""``python -m pip`` where the lock does not hold pip itself: the image's command."""

import os
import sys

os.execvp("pip", ["pip", *sys.argv[1:]])  # noqa: S606, S607
