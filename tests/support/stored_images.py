"""The same images in both places where they may be: in memory, and in a file."""

from pathlib import Path

import numpy as np

from vouch.sources.image_file import ImageFile
from vouch.sources.images import Images

VALUES = np.random.default_rng(0).integers(0, 256, (10, 4, 3), dtype=np.uint8)
PLACES = ["memory", "file"]


def images_in(place: str, folder: Path) -> Images:
    """These values in one of the places.

    Args:
        folder: where a file is made.
    """
    if place == "memory":
        return VALUES
    file = ImageFile(VALUES.shape, str(folder))
    file[:] = VALUES
    return file
