"""A package to run with -m."""

WORD = "from the package"
