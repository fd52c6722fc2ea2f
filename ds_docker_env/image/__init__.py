"""Code that runs in the container of a project."""
