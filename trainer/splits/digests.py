"""Digests of single images, in memory or in a file, to find equal ones."""

import numpy as np

from vouch.bundle.array_digest import image_digests
from vouch.sources.images import Images, batches


def digests_of(images: Images) -> np.ndarray:
    """Like `image_digests`, for images that need not be in memory."""
    return np.concatenate([image_digests(images[:0]), *map(image_digests, batches(images))])
