"""Other servers of the same model, only from PyPI: how each is installed, started and called."""
