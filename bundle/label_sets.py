"""Label sets that contain the right label as often as promised, by conformal prediction.

Source of the sets: M. Sadinle, J. Lei and L. Wasserman, Least Ambiguous Set-Valued Classifiers with Bounded Error
Levels, JASA 114 (2019). Source of the confidence: V. Vovk, Conditional Validity of Inductive Conformal Predictors
(2012): given the n images that a threshold was taken from, the coverage of a threshold at the k-th largest probability
of the truth is Beta(k, n + 1 - k) distributed, or better if probabilities are equal. Conditional on the class
(Mondrian; V. Vovk, A. Gammerman and G. Shafer, Algorithmic Learning in a Random World (2005)), each class has its own
threshold, from only its own images, so that the same is true for the images of each class.
"""

from math import ceil, log

import numpy as np

COVERAGES = (0.90, 0.95, 0.99)
"""The coverages that a trainer promises if there are enough images."""
CONFIDENCE = 0.9
"""Confidence of a promise: of 100 draws of the calibration images, at least 90 keep it."""


def threshold_for(probabilities: np.ndarray, labels: np.ndarray, coverage: float) -> float | None:
    """The lowest probability with which a class is in an image's label set; None if there are too few images.

    Args:
        probabilities: floats, shape (N, K), of images that the model was not trained on.
        labels: integers, shape (N,).
        coverage: above 0, below 1.
    """
    rank = rank_for(len(labels), coverage)
    if rank is None:
        return None
    return float(np.sort(probabilities[np.arange(len(labels)), labels])[-rank])


def thresholds_for(probabilities: np.ndarray, labels: np.ndarray, coverage: float) -> np.ndarray | None:
    """The same for each class separately, from its own images: shape (K,); None if any class has too few."""
    of_truth, classes = probabilities[np.arange(len(labels)), labels], probabilities.shape[1]
    images = np.bincount(labels, minlength=classes)
    ranks = {count: rank for count in set(images.tolist()) if (rank := rank_for(count, coverage)) is not None}
    if not ranks.keys() >= set(images.tolist()):
        return None
    of_each = np.split(of_truth[np.argsort(labels, kind="stable")], np.cumsum(images)[:-1])
    return np.array([np.sort(one)[-ranks[len(one)]] for one in of_each], probabilities.dtype)


def fewest_for(coverage: float) -> int:
    """The number of images that a promise needs: if the coverage were just too low, all sets of this many images would
    contain the truth in at most 1 of 10 draws. 22 for 90 %, 45 for 95 %, 230 for 99 %.
    """
    return ceil(log(1 - CONFIDENCE) / log(coverage))


def rank_for(images: int, coverage: float) -> int | None:
    """The smallest k for which a threshold at the k-th largest of this many probabilities of the truth has this
    coverage with CONFIDENCE; None if there is no such k.

    That Beta(k, n + 1 - k) is at least `coverage` is as likely as that of n images with just this coverage fewer than k
    are covered: so the largest number of uncovered images is looked for that as few or fewer are uncovered with a
    chance of at most 1 - CONFIDENCE. Of 100,000 images it takes milliseconds.
    """
    as_few = _at_most(images, coverage, ceil(images * (1 - coverage)))  # up to the mean: more is more likely
    allowed = int(np.searchsorted(as_few, 1 - CONFIDENCE, side="right"))
    return images - allowed + 1 if allowed else None


def chance_of(covered: int, images: int, coverage: float) -> float:
    """The one-sided p-value of at most this many covered images, if each is covered with this probability."""
    uncovered = images - covered
    return 1.0 if not uncovered else max(0.0, 1 - float(_at_most(images, coverage, uncovered - 1)[-1]))


def _at_most(images: int, coverage: float, most: int) -> np.ndarray:
    """Probabilities that at most 0, 1, ... `most` images are not covered: binomial distribution, by logarithms."""
    uncovered = np.arange(1, most + 1)
    ratios = np.log((images - uncovered + 1) / uncovered * ((1 - coverage) / coverage))
    return np.cumsum(np.exp(images * log(coverage) + np.concatenate([[0.0], np.cumsum(ratios)])))


def label_sets(probabilities: np.ndarray, threshold: float | np.ndarray) -> np.ndarray:
    """The classes in each image's set: those at or over the threshold, and always the most probable one.

    Args:
        probabilities: floats, shape (N, K).
        threshold: one for all classes, or one for each: shape (K,).

    Returns:
        bool, shape (N, K).
    """
    sets: np.ndarray = probabilities >= np.asarray(threshold, probabilities.dtype)
    sets[np.arange(len(sets)), probabilities.argmax(axis=1)] = True
    return sets
