"""What runs in cookiecutter's interpreter: answers, files, and their order."""
