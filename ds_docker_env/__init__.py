"""The code of this template; CONTRIBUTING.md lists its directories."""
