"""Assigns images to folds, so that each can be answered by a model that was fitted without it and its group."""

import numpy as np


def folds_of(labels: np.ndarray, groups: np.ndarray, most: int, seed: int) -> np.ndarray:
    """The fold of each image: int64, shape (N,), from 0. Stratified by class; groups stay together.

    Args:
        labels: integers, shape (N,); multi-label: bool, shape (N, K), stratified by combinations of labels.
        groups: shape (N,), the same number for images that belong together.
        most: number of folds; fewer if there are fewer groups.
        seed: of the random assignment.
    """
    kind = np.unique(labels, axis=0, return_inverse=True)[1].ravel()
    _, first, group = np.unique(groups, return_index=True, return_inverse=True)
    group, kind = group.ravel(), kind[first]  # a group counts as the class of its first image
    sizes = np.bincount(group)
    shuffled = np.random.default_rng(seed).permutation(len(first))
    in_turn = shuffled[np.lexsort((-sizes[shuffled], kind[shuffled]))]  # within a class, the largest groups first
    fold = np.empty(len(first), dtype=np.int64)
    folds = range(min(most, len(first)))
    images, of_kind, last = [0] * len(folds), [0] * len(folds), -1
    for number, size, now in zip(in_turn.tolist(), sizes[in_turn].tolist(), kind[in_turn].tolist(), strict=True):
        if now != last:
            of_kind, last = [0] * len(folds), now
        chosen = min(folds, key=lambda one: (of_kind[one], images[one]))
        fold[number] = chosen
        images[chosen] += size
        of_kind[chosen] += size
    return np.asarray(fold[group])
