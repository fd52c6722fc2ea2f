"""Runs the image's command pip if the lock lacks pip."""

import os
import sys

os.execvp("pip", ["pip", *sys.argv[1:]])  # noqa: S606, S607
