"""Which images stay on one side of a split: equal ones, those of one group, and near duplicates.

The first two always do. Near duplicates are a matter of degree, so a split may divide them if a class would be missing
otherwise. The folds of a cross-validation use the same units.
"""

import numpy as np

from vouch.sources.examples import Examples
from vouch.trainer.splits.clusters import clusters
from vouch.trainer.splits.digests import digests_of
from vouch.trainer.splits.forest import Forest
from vouch.trainer.splits.near_duplicates import Hashed

GIANT = 20
"""A cluster with more than this many images of a class, and over half of the class, is not treated as duplicates: the
whole class looks like this."""


def joined(*partitions: np.ndarray) -> np.ndarray:
    """The union of these partitions: rows that are together in one are together in the result: int64, shape (N,).

    Args:
        partitions: each of shape (N,), the same value for rows that are together.

    Returns:
        Numbers from 0, in the order of the values of the first partition.
    """
    numbers = [np.unique(one, return_inverse=True)[1].ravel() for one in partitions]
    unit = numbers[0]
    for other in numbers[1:]:
        unit = _with(unit, other)
    return unit


def together(examples: Examples) -> np.ndarray:
    """The same number for images that stay together in the folds of a cross-validation: int64, shape (N,).

    Clusters that are over half of all images, or all of a class, are divided: a model fitted without them would know
    nothing.
    """
    labels, known = examples.labels, [] if examples.groups is None else [examples.groups]
    unit = joined(digests_of(examples.images), *known)
    loose = with_clusters(labels, unit, clusters(Hashed.of(examples.images)).numbers)
    classes = labels.shape[1] if labels.ndim == 2 else int(labels.max(initial=-1)) + 1
    alone = (units_of_each(labels, loose, classes) == 1) & (units_of_each(labels, unit, classes) > 1)
    of_alone = labels[:, alone].any(axis=1) if labels.ndim == 2 else alone[labels]
    large = np.bincount(loose, minlength=1)[loose] > len(loose) / 2
    return parted(unit, loose, np.unique(loose[of_alone | large]))


def with_clusters(labels: np.ndarray, unit: np.ndarray, near: np.ndarray) -> np.ndarray:
    """Units joined with near duplicates, except for clusters that are most of a class.

    If a camera never moves, all its images are nearly the same, and could not be divided at all.

    Args:
        labels: integers, shape (N,); multi-label: bool, shape (N, K).
        unit, near: shape (N,), the same number for images that must, and that should, stay together.
    """
    whole = joined(unit, near)
    rows, of = np.nonzero(labels) if labels.ndim == 2 else (np.arange(len(labels)), labels)
    (numbers, label), counts = np.unique(np.stack([whole[rows], of]), axis=1, return_counts=True)
    images = np.bincount(of)
    return parted(unit, whole, numbers[counts > np.maximum(GIANT, images[label] / 2)])


def parted(unit: np.ndarray, whole: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """`whole`, with these of its numbers divided into their units."""
    return np.where(np.isin(whole, numbers), unit + whole.max(initial=-1) + 1, whole)


def units_of_each(labels: np.ndarray, unit: np.ndarray, classes: int) -> np.ndarray:
    """The number of units of each class: int64, shape (K,).

    Args:
        labels: integers, shape (N,); multi-label: bool, shape (N, K).
        unit: shape (N,).
        classes: K.
    """
    if labels.ndim == 2:
        return np.array([len(np.unique(unit[labels[:, k]])) for k in range(classes)], dtype=np.int64)
    pairs = np.unique(np.stack([labels, unit]), axis=1)
    return np.bincount(pairs[0], minlength=classes)


def _with(unit: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Joins units by a second partition; the smallest number is kept."""
    forest = Forest(int(unit.max(initial=-1)) + 1)
    order = np.argsort(other, kind="stable")
    same = np.flatnonzero(other[order[1:]] == other[order[:-1]])
    for first, second in zip(unit[order[same]].tolist(), unit[order[same + 1]].tolist(), strict=True):
        forest.join(first, second)
    return np.unique(forest.leaders()[unit], return_inverse=True)[1].ravel()
