"""What runs in every interpreter; it imports only packages that cookiecutter brings."""
