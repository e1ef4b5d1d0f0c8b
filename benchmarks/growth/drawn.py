"""Images that are made up and can be learned: a pattern for each class, moved a little, under noise."""

from pathlib import Path

import numpy as np

CELLS = 8
"""A pattern is a square of so many grey fields a side."""
NOISE = 40
"""The most that is added to a pixel, or taken from it."""


def draw(path: Path, count: int, side: int, classes: int, held: int) -> None:
    """Writes an .npz with a fit and a validation split.

    Args:
        count: images to learn from; each class has at least two.
        held: images of the validation split; each class has at least one.
    """
    random = np.random.default_rng(0)
    patterns = random.integers(0, 256, (classes, CELLS, CELLS), dtype=np.uint8)
    arrays = {}
    for split, images in (("fit", max(count, 2 * classes)), ("validation", max(held, classes))):
        labels = random.permutation(np.arange(images) % classes)
        arrays[f"{split}_images"] = _seen(patterns, labels, side, random)
        arrays[f"{split}_labels"] = labels
    np.savez(path, **arrays)  # type: ignore[arg-type]  # numpy's stub takes them for a flag


def _seen(patterns: np.ndarray, labels: np.ndarray, side: int, random: np.random.Generator) -> np.ndarray:
    """An image of each label: uint8, shape (N, side, side)."""
    images = np.empty((len(labels), side, side), np.uint8)
    most = side // 14
    shifts = random.integers(-most, most + 1, (len(labels), 2))
    fields = np.arange(side) * CELLS // side
    for row, label in enumerate(labels):
        moved = np.roll(patterns[label][np.ix_(fields, fields)], shifts[row], (0, 1)).astype(np.int16)
        images[row] = (moved + random.integers(-NOISE, NOISE + 1, (side, side), dtype=np.int16)).clip(0, 255)
    return images
