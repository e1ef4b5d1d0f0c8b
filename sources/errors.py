"""Errors of labelled images. Messages are for the user."""


class SourceError(Exception):
    """Images or labels are missing or broken, or do not match."""
