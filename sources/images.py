"""Iterates over images in memory or in a file in the same way: in batches of bounded size; a file is read ahead.

Every pass over images uses this, so that memory does not grow with the number of images.
"""

import math
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np

from vouch.sources.image_file import ImageFile

Images = np.ndarray | ImageFile
"""uint8, shape (N, H, W) or (N, H, W, C). Indexing rows gives an array in memory: never index all rows."""
BATCH_BYTES = 16 << 20
"""Limit for a batch, unless it is one image. Three batches are in memory: one in use, one ready, one being read."""
READ_S = 300.0
"""A batch that the disk has not delivered by then counts as lost."""


def batches(images: Images, max_bytes: int = BATCH_BYTES, most: int | None = None) -> Iterator[np.ndarray]:
    """All images in order, in arrays that must not be written to.

    Args:
        max_bytes: limit for a batch; a batch has at least one image.
        most: the most images in a batch.
    """
    step = batch_rows(images.shape[1:], max_bytes, most)
    parts = [slice(start, start + step) for start in range(0, len(images), step)]
    return rows_in_turn(images, parts)


def batch_rows(image_shape: tuple[int, ...], max_bytes: int = BATCH_BYTES, most: int | None = None) -> int:
    """The number of images of this shape in a batch; arguments as for `batches`."""
    rows = max(1, max_bytes // max(1, math.prod(image_shape)))
    return rows if most is None else min(rows, most)


def rows_in_turn(images: Images, parts: Iterable[slice | np.ndarray]) -> Iterator[np.ndarray]:
    """The images of each part; from a file, the next part is read while one is in use.

    Args:
        parts: slices, or positions.
    """
    if isinstance(images, np.ndarray):
        return (images[part] for part in parts)
    return _ahead(images, parts)


def rows_of(images: Images, rows: slice | np.ndarray) -> Images:
    """These images without reading them: a view of a file; for an array, its own indexing.

    Args:
        rows: a slice, positions, or bool of shape (N,).
    """
    return images[rows] if isinstance(images, np.ndarray) else images.those(rows)


def _ahead(images: ImageFile, parts: Iterable[slice | np.ndarray]) -> Iterator[np.ndarray]:
    """Reads in another thread, one part ahead."""
    with ThreadPoolExecutor(1, "reading images") as pool:
        waiting: Future[np.ndarray] | None = None
        for part in parts:
            following = pool.submit(images.__getitem__, part)
            if waiting is not None:
                yield waiting.result(READ_S)
            waiting = following
        if waiting is not None:
            yield waiting.result(READ_S)
