"""Modules for every interpreter. They import only packages that cookiecutter installs."""
