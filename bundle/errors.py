"""What can be wrong with a bundle, a models folder or an image. Messages are meant for the user."""


class BundleError(Exception):
    """A bundle or a models folder cannot be used, or not be written."""


class InvalidBundle(BundleError):
    """The folder is not a whole, unchanged bundle of a known format."""


class InvalidImage(BundleError):
    """These bytes are not an image that can become the model's input pixels."""
