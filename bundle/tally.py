"""Counting right answers: the one way in which trainer and server count, so that a claim and its recount compare."""

import numpy as np

from vouch.bundle.accuracy import Accuracy
from vouch.bundle.confusion import Confusion, PairCounter


class Tally:
    """A running count of answers against labels, in as much memory as pairs of them occur."""

    def __init__(self) -> None:
        self._pairs = PairCounter()
        self._correct, self._total = 0, 0

    def add(self, labels: np.ndarray, probabilities: np.ndarray) -> None:
        """Counts a batch; the answer is the most probable class, the first of equals.

        Args:
            labels: integers, shape (N,), each below K.
            probabilities: floats, shape (N, K).
        """
        self.add_answers(labels, probabilities.argmax(axis=1))

    def add_answers(self, labels: np.ndarray, answers: np.ndarray) -> None:
        """The same of answers that are known: integers, shape (N,) both."""
        self._pairs.add(labels, answers)
        self._correct += int(np.count_nonzero(labels == answers))
        self._total += len(labels)

    @property
    def accuracy(self) -> Accuracy:
        """The count so far."""
        return Accuracy(correct=self._correct, total=self._total)

    @property
    def confusion(self) -> Confusion:
        """Which class was answered for which, so far."""
        return self._pairs.confusion()
