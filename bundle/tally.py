"""Counts right answers in the same way for trainer and server, so that a claim and its recount are comparable."""

import numpy as np

from vouch.bundle.accuracy import Accuracy
from vouch.bundle.confusion import Confusion, PairCounter


class Tally:
    """A running count of answers and labels; memory grows only with the pairs that occur."""

    def __init__(self) -> None:
        self._pairs = PairCounter()
        self._correct, self._total = 0, 0

    def add(self, labels: np.ndarray, probabilities: np.ndarray) -> None:
        """Adds a batch; the answer is the most probable class, the first of equals.

        Args:
            labels: integers, shape (N,), each below K.
            probabilities: floats, shape (N, K).
        """
        self.add_answers(labels, probabilities.argmax(axis=1))

    def add_answers(self, labels: np.ndarray, answers: np.ndarray) -> None:
        """Adds known answers: both integers, shape (N,)."""
        self._pairs.add(labels, answers)
        self._correct += int(np.count_nonzero(labels == answers))
        self._total += len(labels)

    @property
    def accuracy(self) -> Accuracy:
        """The count so far."""
        return Accuracy(correct=self._correct, total=self._total)

    @property
    def confusion(self) -> Confusion:
        """The confusion matrix so far."""
        return self._pairs.confusion()
