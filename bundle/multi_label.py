"""Images with several labels, or none: the answers from probabilities, and how such answers are counted.

Each label has its own probability and its own threshold.
"""

from collections import Counter
from collections.abc import Sequence
from hashlib import blake2b
from typing import Literal

import numpy as np

from vouch.bundle.accuracy import Accuracy

Task = Literal["single_label", "multi_label"]
"""Whether an image has exactly one of the labels, or any number of them."""


def task_of(labels: np.ndarray) -> Task:
    """The task of these labels: integers of shape (N,) or bool of shape (N, K)."""
    return "single_label" if labels.ndim == 1 else "multi_label"


def decide(probabilities: np.ndarray, thresholds: Sequence[float]) -> np.ndarray:
    """The labels of each image: those whose probability is at or over their threshold.

    Args:
        probabilities: float32, shape (N, K).
        thresholds: K of them, each a float32's value, so that comparing rounds nothing.

    Returns:
        bool, shape (N, K).
    """
    answers: np.ndarray = probabilities >= np.asarray(thresholds, probabilities.dtype)
    return answers


class MultiLabelTally:
    """A running count of answers and labels: whole images, and for each label how it was answered."""

    def __init__(self, thresholds: Sequence[float]) -> None:
        """
        Args:
            thresholds: as for `decide`.
        """
        self.thresholds = tuple(thresholds)
        self.per_label = np.zeros((len(self.thresholds), 2, 2), dtype=np.int64)
        """Shape (K, 2, 2): for each label a row for absent, one for present; columns for not answered, answered."""
        self._correct, self._total = 0, 0
        self._sets: Counter[bytes] = Counter()

    def add(self, labels: np.ndarray, probabilities: np.ndarray) -> None:
        """Adds a batch; an image is right if exactly its labels were answered.

        Args:
            labels: bool, shape (N, K).
            probabilities: float32, shape (N, K).
        """
        self.add_answers(labels, decide(probabilities, self.thresholds))

    def add_answers(self, labels: np.ndarray, answers: np.ndarray) -> None:
        """Adds known answers: both bool, shape (N, K)."""
        for truth in (False, True):
            for answer in (False, True):
                self.per_label[:, int(truth), int(answer)] += ((labels == truth) & (answers == answer)).sum(axis=0)
        self._correct += int((answers == labels).all(axis=1).sum())
        self._total += len(labels)
        self._sets.update(blake2b(row.tobytes(), digest_size=16).digest() for row in np.packbits(labels, axis=1))

    @property
    def accuracy(self) -> Accuracy:
        """The right images so far."""
        return Accuracy(correct=self._correct, total=self._total)

    @property
    def commonest_set(self) -> int:
        """Images so far with the most frequent set of labels, which may be empty."""
        return max(self._sets.values(), default=0)
