"""Errors of a bundle, a models folder or an image. Messages are for the user."""


class BundleError(Exception):
    """A bundle or a models folder cannot be used or written."""


class InvalidBundle(BundleError):
    """The folder is not a complete, unchanged bundle of a known format."""


class InvalidImage(BundleError):
    """These bytes cannot be decoded to the model's input pixels."""
