"""The code of this template: see CONTRIBUTING.md for its rooms."""

__version__ = "2026.11.0"
