"""How uneven the classes are, and the class weights that balance them."""

from collections.abc import Sequence

import numpy as np

from vouch.sources.examples import images_of_each

UNEVEN = 3.0
"""From this ratio of the largest class to the smallest, there is a warning."""


def class_weights(labels: np.ndarray, classes: int) -> np.ndarray:
    """The weight of an example of each class that makes all classes count the same.

    Single-label: N / (K * count), so that the weights of all examples have mean 1 (`balanced` in scikit-learn).
    Multi-label: the weight of presence relative to absence, absent / present; 1 if no image has the label, or all have.

    Args:
        labels: integers, shape (N,); multi-label: bool, shape (N, K).
        classes: K.

    Returns:
        float32, shape (K,), above 0; single-label: 1 for a class without an example.
    """
    present = images_of_each(labels, classes)
    if labels.ndim == 2:
        ratio = (len(labels) - present) / np.maximum(present, 1)
        return np.where((present == 0) | (present == len(labels)), 1, ratio).astype(np.float32)
    return np.where(present == 0, 1, len(labels) / (classes * np.maximum(present, 1))).astype(np.float32)


def uneven_classes(labels: np.ndarray, classes: Sequence[str], balanced: bool = False) -> tuple[str, ...]:
    """A warning if the largest class has at least three times as many images as the smallest, and one for labels that
    all images have; arguments as `class_weights`, with the classes' names. `balanced`: classes count the same.
    """
    counts = images_of_each(labels, len(classes))
    most, fewest = int(counts.argmax()), int(counts.argmin())
    said: list[str] = []
    if not balanced and counts[most] >= UNEVEN * max(1, counts[fewest]):
        said.append(
            f"the classes are uneven: {classes[most]} has {counts[most]:,} fit images, {classes[fewest]} has "
            f"{counts[fewest]:,}; --balance gives all classes the same weight"
        )
    if everywhere := [name for name, count in zip(classes, counts, strict=True) if count == len(labels)]:
        said.append(
            f"all {len(labels):,} fit images have the label {', '.join(everywhere[:3])}, so it cannot be learned"
        )
    return tuple(said)
