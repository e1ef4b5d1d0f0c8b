"""Label sets that contain the truth as often as was promised, by split conformal prediction.

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
    rank = math.ceil((len(labels) + 1) * coverage - 1e-9)  # 1e-9: 0.95 * 20 is not to become 20
    return float(of_truth[rank - 1]) if rank <= len(labels) else 0.0


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
