"""Expected errors of a training, with messages for the user."""


class TrainError(Exception):
    """The training cannot start, or its result must not be published."""
