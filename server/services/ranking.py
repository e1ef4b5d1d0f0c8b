"""The highest classes of each image, by array operations. Knows no message."""

from typing import NamedTuple

import numpy as np

SIGN = np.uint32(1 << 31)
POSITION = np.uint64((1 << 32) - 1)

FEW = 256
"""Up to this many classes of a single image are sorted directly: at most a third of the array operations' cost."""


class Ranked(NamedTuple):
    """The highest classes of some images, image by image, in descending order; the first class wins ties."""

    classes: list[int]
    """Class indices: images times top_k."""
    values: np.ndarray
    """The model's value for each of them: float32, one-dimensional, contiguous."""


def highest(values: np.ndarray, top_k: int) -> Ranked:
    """
    Args:
        values: float32, shape (N, K), finite.
        top_k: classes per image, 1 to K.
    """
    if top_k > 1 and len(values) == 1 and values.size <= FEW:
        best_few = np.argsort(-values[0], kind="stable")[:top_k]
        return Ranked(best_few.tolist(), values[0, best_few])
    if top_k > 1:
        classes = _positions(values, top_k)
        return Ranked(classes.ravel().tolist(), np.take_along_axis(values, classes, axis=1).ravel())
    if len(values) > 1:
        return Ranked(values.argmax(axis=1).tolist(), values.max(axis=1))
    best = int(values.argmax())
    return Ranked([best], values[0, best : best + 1])


def _positions(values: np.ndarray, top_k: int) -> np.ndarray:
    """Class indices, shape (N, top_k). Value and index become one integer, so that ties need no stable sort, and numpy
    sorts integers several times as fast.
    """
    bits = (values + np.float32(0)).view(np.uint32)  # -0.0 becomes 0.0, which it equals
    falling = np.where(bits & SIGN, bits, ~bits ^ SIGN).astype(np.uint64)  # integers in the opposite order
    keys = falling << np.uint64(32) | np.arange(values.shape[1], dtype=np.uint64)
    if top_k < values.shape[1]:
        keys = np.partition(keys, top_k - 1, axis=1)[:, :top_k]
    keys.sort(axis=1)
    return (keys & POSITION).astype(np.intp)
