"""Clusters of near duplicates: chains in which each image is nearly the same as another one.

A cluster holds about as much information as one image; on both sides of a split it makes the claim too good. Pairs are
found by perceptual hashes, as between two splits. Pairs that are in one cluster already are not compared.
"""

import math
from dataclasses import dataclass

import numpy as np

from vouch.sources.images import batch_rows
from vouch.trainer.splits.forest import Forest
from vouch.trainer.splits.near_duplicates import (
    CHUNK_PIXELS,
    MAX_CHECKED_PIXELS,
    MAX_DISTANCE,
    MAX_PAIRS,
    QUARTERS,
    SAME,
    Hashed,
    coded,
    correlation,
    pairs_of,
    sampled_shape,
)


@dataclass(frozen=True, eq=False)
class Clusters:
    """Which images are nearly the same."""

    numbers: np.ndarray
    """int64, shape (N,): the cluster of each image, as the position of its first image."""
    complete: bool
    """False if there were too many pairs to compare all."""


def clusters(hashed: Hashed, max_pairs: int = MAX_PAIRS, max_checked_pixels: int = MAX_CHECKED_PIXELS) -> Clusters:
    """Clusters of all pairs whose pixels correlate by 0.99 or more and whose hashes differ in at most 3 bits.

    Args:
        max_pairs: for each quarter of the hash, the most pairs with this quarter equal that are compared.
        max_checked_pixels: the most pixels of pairs that are compared.
    """
    alike = _Alike(hashed, max_checked_pixels)
    order = np.lexsort((hashed.rows, hashed.hashes))
    equal = np.flatnonzero(hashed.hashes[order[1:]] == hashed.hashes[order[:-1]])
    alike.join(hashed.rows[order[equal]], hashed.rows[order[equal + 1]])  # all frames of a still scene at once
    pairs, complete = _candidates(hashed, max_pairs)
    left = alike.join(*pairs)
    return Clusters(alike.forest.leaders(), complete & left)


class _Alike:
    """Near duplicates that were found so far."""

    def __init__(self, hashed: Hashed, max_checked_pixels: int) -> None:
        self._images, self.forest = hashed.images, Forest(len(hashed.images))
        shape = hashed.images.shape[1:]
        if isinstance(hashed.images, np.ndarray):  # only the sampled pixels have to be read
            shape = sampled_shape(shape)
        self._left = max(1, max_checked_pixels // math.prod(shape))
        self._step = batch_rows(sampled_shape(hashed.images.shape[1:]), CHUNK_PIXELS // 8)

    def join(self, first: np.ndarray, second: np.ndarray) -> bool:
        """Joins the pairs that are nearly the same; returns whether all could be compared."""
        leader = self.forest.leader
        for start in range(0, len(first), self._step):
            a, b = first[start : start + self._step], second[start : start + self._step]
            apart = np.array([leader(x) != leader(y) for x, y in zip(a.tolist(), b.tolist(), strict=True)])
            if apart.sum() > self._left:
                return False
            if not apart.any():
                continue
            a, b = a[apart], b[apart]
            self._left -= len(a)
            near = correlation(self._images, a, self._images, b) >= SAME
            for x, y in zip(a[near].tolist(), b[near].tolist(), strict=True):
                self.forest.join(x, y)
        return True


def _candidates(hashed: Hashed, max_pairs: int) -> tuple[tuple[np.ndarray, np.ndarray], bool]:
    """Positions of pairs with similar hashes, the nearest first; and whether these are all."""
    counts, complete = (len(hashed.hashes), len(hashed.hashes)), True
    found: list[np.ndarray] = []
    for quarter in range(QUARTERS):
        a, b, all_of_them = _with_equal_quarter(hashed.hashes, quarter, max_pairs)
        distance = np.bitwise_count(hashed.hashes[a] ^ hashed.hashes[b])
        near = distance <= MAX_DISTANCE
        found.append(coded(distance[near], a[near], b[near], counts))
        complete &= all_of_them
    a, b = pairs_of(found, counts)
    return (hashed.rows[a], hashed.rows[b]), complete


def _with_equal_quarter(hashes: np.ndarray, quarter: int, max_pairs: int) -> tuple[np.ndarray, np.ndarray, bool]:
    """Places of pairs whose hashes have this quarter equal, the smaller first; and whether these are all."""
    keys = hashes.view(np.uint16).reshape(-1, QUARTERS)[:, quarter]
    order = np.argsort(keys, kind="stable")
    ends = np.searchsorted(keys[order], keys[order], side="right")
    counts = ends - np.arange(len(order)) - 1  # following elements in the same run of equal bits
    fits = np.cumsum(counts) <= max_pairs
    counts = np.where(fits, counts, 0)
    first = np.repeat(np.arange(len(order)), counts)
    within = np.arange(len(first)) - np.repeat(np.cumsum(counts) - counts, counts)
    return order[first], order[first + 1 + within], bool(fits.all())
