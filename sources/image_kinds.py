"""Which files are taken for images, by their endings: one place for training and for the client.

What a file is, its first bytes say: `vouch.sources.rewriting` and `vouch.bundle.images.kinds`.
"""

SUFFIXES = (".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".bmp", ".dib", ".gif", ".tif", ".tiff")
OTHERS = (
    *(".heic", ".heif", ".avif", ".jp2", ".j2k", ".jxl", ".apng"),
    *(".svg", ".psd", ".ico", ".pgm", ".ppm", ".pbm", ".pnm", ".tga", ".dcm", ".cr2", ".cr3", ".nef", ".arw", ".dng"),
)
"""Of images that are not read, so that they are counted as images where they are left out."""


def is_image(name: str) -> bool:
    """Whether a file of this name is read as an image: not hidden, and of one of the endings."""
    return name.lower().endswith(SUFFIXES) and not name.startswith(".")


def is_other_image(name: str) -> bool:
    """Whether a file of this name is an image of a kind that is not read."""
    return name.lower().endswith(OTHERS)
