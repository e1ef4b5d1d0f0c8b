"""Which files count as images, by their suffixes, for training and for the client.

The kind of an image follows from its first bytes: `vouch.sources.rewriting` and `vouch.bundle.images.kinds`.
"""

SUFFIXES = (".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".bmp", ".dib", ".gif", ".tif", ".tiff")
OTHERS = (
    *(".heic", ".heif", ".avif", ".jp2", ".j2k", ".jxl", ".apng"),
    *(".svg", ".psd", ".ico", ".pgm", ".ppm", ".pbm", ".pnm", ".tga", ".dcm", ".cr2", ".cr3", ".nef", ".arw", ".dng"),
)
"""Suffixes of images that are not read: such files count as left-out images."""


def is_image(name: str) -> bool:
    """Whether a file of this name is read as an image: not hidden, with one of the suffixes."""
    return name.lower().endswith(SUFFIXES) and not name.startswith(".")


def is_other_image(name: str) -> bool:
    """Whether a file of this name is an image of an unsupported kind."""
    return name.lower().endswith(OTHERS)
