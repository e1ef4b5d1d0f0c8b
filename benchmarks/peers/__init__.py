"""Other servers of the same model, from PyPI alone: how each is installed, started and asked."""
