"""Images in memory or in a file, gone through alike: in batches of bounded size, read ahead where they are in a file.

Every pass over images begins here, so that none takes more memory for more images.
"""

import math
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np

from vouch.sources.image_file import ImageFile

Images = np.ndarray | ImageFile
"""uint8, shape (N, H, W) or (N, H, W, C). Indexing either by rows gives an array in memory: never index by all."""
BATCH_BYTES = 16 << 20
"""Of a batch of pixels, unless it is a single image. Three of them are in memory: one in use, one read, one given."""
READ_S = 300.0
"""A batch that the disk has not given by then never comes."""


def batches(images: Images, max_bytes: int = BATCH_BYTES, most: int | None = None) -> Iterator[np.ndarray]:
    """All images in their order, in arrays that must not be written to.

    Args:
        max_bytes: of a batch; it has at least one image.
        most: images in a batch.
    """
    step = batch_rows(images.shape[1:], max_bytes, most)
    parts = [slice(start, start + step) for start in range(0, len(images), step)]
    return rows_in_turn(images, parts)


def batch_rows(image_shape: tuple[int, ...], max_bytes: int = BATCH_BYTES, most: int | None = None) -> int:
    """How many images of this shape make a batch; arguments as `batches`."""
    rows = max(1, max_bytes // max(1, math.prod(image_shape)))
    return rows if most is None else min(rows, most)


def rows_in_turn(images: Images, parts: Iterable[slice | np.ndarray]) -> Iterator[np.ndarray]:
    """The images of each part; of a file the next part is read while one is in use.

    Args:
        parts: slices, or positions.
    """
    if isinstance(images, np.ndarray):
        return (images[part] for part in parts)
    return _ahead(images, parts)


def rows_of(images: Images, rows: slice | np.ndarray) -> Images:
    """These images, not read: a view of a file; of an array what its own indexing gives.

    Args:
        rows: a slice, positions, or bool of shape (N,).
    """
    return images[rows] if isinstance(images, np.ndarray) else images.those(rows)


def _ahead(images: ImageFile, parts: Iterable[slice | np.ndarray]) -> Iterator[np.ndarray]:
    """Reads in another thread, one part further than what is in use."""
    with ThreadPoolExecutor(1, "reading images") as pool:
        waiting: Future[np.ndarray] | None = None
        for part in parts:
            following = pool.submit(images.__getitem__, part)
            if waiting is not None:
                yield waiting.result(READ_S)
            waiting = following
        if waiting is not None:
            yield waiting.result(READ_S)
