"""What can be wrong with labelled images. Messages are meant for the user."""


class SourceError(Exception):
    """The images or labels are missing, broken or do not fit together."""
