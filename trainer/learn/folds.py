"""Images dealt to folds, so that each can be answered by what was fitted without it, and without its like."""

import numpy as np


def folds_of(labels: np.ndarray, groups: np.ndarray, most: int, seed: int) -> np.ndarray:
    """Which fold each image is in: int64, shape (N,), from 0. Each class is spread evenly; groups stay together.

    Args:
        labels: integers, shape (N,); multi-label: bool, shape (N, K), spread by which labels there are.
        groups: shape (N,), the same number for images that belong together.
        most: folds; fewer where there are fewer groups.
        seed: which way they are dealt.
    """
    kind = np.unique(labels, axis=0, return_inverse=True)[1].ravel()
    _, first, group = np.unique(groups, return_index=True, return_inverse=True)
    shuffled = np.random.default_rng(seed).permutation(len(first))
    by_kind = shuffled[np.argsort(kind[first][shuffled], kind="stable")]  # of a group, its first image's
    fold = np.empty(len(first), dtype=np.int64)
    fold[by_kind] = np.arange(len(first)) % min(most, len(first))
    return np.asarray(fold[group.ravel()])
