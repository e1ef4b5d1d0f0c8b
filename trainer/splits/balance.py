"""How unevenly the classes are met, and what each would have to weigh for it not to matter."""

from collections.abc import Sequence

import numpy as np

from vouch.sources.examples import images_of_each

UNEVEN = 3.0
"""From this ratio of the largest class to the smallest on, it is said."""


def class_weights(labels: np.ndarray, classes: int) -> np.ndarray:
    """What an example of each class has to count, so that all classes count the same.

    Single-label: N / (K * count), so that the weights of all examples have mean 1 (`balanced` in scikit-learn).
    Multi-label: what presence counts against absence, absent / present; 1 where a label is on no image or on all.

    Args:
        labels: integers, shape (N,); multi-label: bool, shape (N, K).
        classes: K.

    Returns:
        float32, shape (K,), over 0; single-label: 1 for a class without an example.
    """
    present = images_of_each(labels, classes)
    if labels.ndim == 2:
        ratio = (len(labels) - present) / np.maximum(present, 1)
        return np.where((present == 0) | (present == len(labels)), 1, ratio).astype(np.float32)
    return np.where(present == 0, 1, len(labels) / (classes * np.maximum(present, 1))).astype(np.float32)


def uneven_classes(labels: np.ndarray, classes: Sequence[str], balanced: bool = False) -> tuple[str, ...]:
    """A sentence where the largest class has at least three times as many images as the smallest, and one for labels
    that all images have; arguments as `class_weights`, with the classes' names. `balanced`: they count the same.
    """
    counts = images_of_each(labels, len(classes))
    most, fewest = int(counts.argmax()), int(counts.argmin())
    said: list[str] = []
    if not balanced and counts[most] >= UNEVEN * max(1, counts[fewest]):
        said.append(
            f"the classes are uneven: {classes[most]} has {counts[most]:,} fit images, {classes[fewest]} has "
            f"{counts[fewest]:,}; --balance lets both count the same"
        )
    if everywhere := [name for name, count in zip(classes, counts, strict=True) if count == len(labels)]:
        said.append(
            f"all {len(labels):,} fit images have the label {', '.join(everywhere[:3])}: nothing can be learned of it"
        )
    return tuple(said)
