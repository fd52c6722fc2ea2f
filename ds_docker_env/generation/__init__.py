"""Modules for cookiecutter's interpreter: answers, files, and their order."""
