"""The code of this template: CONTRIBUTING.md names its rooms."""
