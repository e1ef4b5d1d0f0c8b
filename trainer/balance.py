"""Classes with few images, and what can be done so that they count: weights for the loss."""

import numpy as np

UNEVEN = 3.0
"""A class that has this many times as many images as another is worth a word."""


def class_weights(labels: np.ndarray, classes: int) -> np.ndarray:
    """What an image of each class counts, so that all classes count the same together.

    Args:
        labels: integers, shape (N,): the weights are N / (K * images of the class), whose mean over the images is 1. Or
            bool, shape (N, K), where an image may have several labels: images without the label for each one with it.
        classes: K. Each has an example.

    Returns:
        float32, shape (K,).
    """
    if labels.ndim == 2:
        present = labels.sum(axis=0)
        weights = ((len(labels) - present) / np.maximum(present, 1)).clip(min=1e-3)
    else:
        weights = len(labels) / (classes * np.maximum(np.bincount(labels, minlength=classes), 1))
    return np.asarray(weights, dtype=np.float32)


def imbalance(labels: np.ndarray, classes: tuple[str, ...]) -> str | None:
    """A sentence about the largest and the smallest class, where they are far apart; arguments as `class_weights`."""
    counts = labels.sum(axis=0) if labels.ndim == 2 else np.bincount(labels, minlength=len(classes))
    most, fewest = int(counts.argmax()), int(counts.argmin())
    if counts[most] < UNEVEN * counts[fewest]:
        return None
    return (
        f"class {classes[most]} has {counts[most]:,} fit images and {classes[fewest]} has {counts[fewest]:,}; "
        "--balance lets every class count the same"
    )
