"""Digests of single images, in memory or in a file: by which equal ones are found."""

import numpy as np

from vouch.bundle.array_digest import image_digests
from vouch.sources.images import Images, batches


def digests_of(images: Images) -> np.ndarray:
    """As `image_digests`, of images that need not be in memory."""
    return np.concatenate([image_digests(images[:0]), *map(image_digests, batches(images))])
