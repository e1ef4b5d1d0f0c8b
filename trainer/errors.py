"""What can go wrong in training, with messages meant for the user."""


class TrainError(Exception):
    """The training cannot begin, or its result must not be published."""
