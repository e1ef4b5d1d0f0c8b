"""Label sets that are to contain the truth as often as was promised, by split conformal prediction.

Source: M. Sadinle, J. Lei and L. Wasserman, Least Ambiguous Set-Valued Classifiers with Bounded Error Levels, JASA 114
(2019). The promise holds on average over images like those that the threshold was taken from.
"""

import math

import numpy as np

COVERAGES = (0.90, 0.95, 0.99)
"""What a trainer promises."""


def threshold_for(probabilities: np.ndarray, labels: np.ndarray, coverage: float) -> float:
    """The probability from which on a class belongs to an image's label set.

    Of n images, the ceil((n + 1) * coverage)-th largest probability of the truth: so many sets of this kind contain it.
    Too few images for the promise (fewer than 99 for 99 %) make the threshold 0 and the set all classes.

    Args:
        probabilities: floats, shape (N, K), of images that the weights were not learned from.
        labels: integers, shape (N,).
        coverage: above 0, below 1.
    """
    of_truth = np.sort(probabilities[np.arange(len(labels)), labels])[::-1]
    return float(of_truth[_rank(len(labels), coverage) - 1]) if enough_for(len(labels), coverage) else 0.0


def enough_for(images: int, coverage: float) -> bool:
    """Whether so many images can settle a threshold for this promise; fewer make the sets all classes."""
    return _rank(images, coverage) <= images


def _rank(images: int, coverage: float) -> int:
    return math.ceil((images + 1) * coverage - 1e-9)  # 1e-9: 0.95 * 20 is not to become 20


def label_sets(probabilities: np.ndarray, threshold: float) -> np.ndarray:
    """Which classes belong to each image's set: those at or over the threshold, and always the most probable one.

    Args:
        probabilities: floats, shape (N, K).

    Returns:
        bool, shape (N, K).
    """
    sets: np.ndarray = probabilities >= threshold
    sets[np.arange(len(sets)), probabilities.argmax(axis=1)] = True
    return sets
