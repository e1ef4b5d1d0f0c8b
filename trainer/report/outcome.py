"""Counts and scores of the answers to the validation split. Works on arrays only.

Counts are kept only for pairs that occur, not as a matrix: for 10,000 classes that would be 10^8 numbers, nearly all 0.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vouch.bundle.accuracy import Accuracy
from vouch.bundle.calibration import BINS, bins_of, calibration_error, confidence_and_right
from vouch.bundle.multi_label import decide


@dataclass(frozen=True)
class Pair:
    """Images of one class that got one answer."""

    truth: int
    answer: int
    count: int


@dataclass(frozen=True)
class ClassScore:
    """The score of one class or label."""

    images: int
    """Images with this label."""
    answered: int
    """Images with this answer."""
    right: int
    """Images with this label and this answer."""

    @property
    def precision(self) -> float | None:
        """The share of right ones among its answers; None if it was never answered."""
        return self.right / self.answered if self.answered else None

    @property
    def recall(self) -> float | None:
        """The share of right answers among its images; None if there are none."""
        return self.right / self.images if self.images else None

    @property
    def found(self) -> Accuracy:
        """The count of the recall, with its interval."""
        return Accuracy(correct=self.right, total=self.images)

    @property
    def f1(self) -> float | None:
        """Harmonic mean of precision and recall; None without images and answers."""
        both = self.images + self.answered
        return 2 * self.right / both if both else None


@dataclass(frozen=True, eq=False)
class Reliability:
    """Answers by their probability."""

    counts: np.ndarray
    """int64, shape (15,): answers in each of the equally wide bins from 0 to 1."""
    confidence: np.ndarray
    """float64, shape (15,): mean probability in the bin; NaN if it is empty."""
    accuracy: np.ndarray
    """float64, shape (15,): share of right answers in the bin; NaN if it is empty."""
    error: float
    """Expected calibration error: the mean distance of the two, weighted by the counts."""


def pairs_of(labels: np.ndarray, answers: np.ndarray, classes: int) -> list[Pair]:
    """How often each class got each answer, the most frequent first; pairs that never occur are left out.

    Args:
        labels: integers, shape (N,).
        answers: integers, shape (N,).
        classes: K.
    """
    codes, counts = np.unique(labels.astype(np.int64) * classes + answers, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    return [Pair(*divmod(int(codes[i]), classes), int(counts[i])) for i in order]


def class_scores(labels: np.ndarray, answers: np.ndarray, classes: int) -> list[ClassScore]:
    """The score of each class of a single-label model. Arguments as `pairs_of`."""
    images = np.bincount(labels, minlength=classes)
    answered = np.bincount(answers, minlength=classes)
    right = np.bincount(labels[labels == answers], minlength=classes)
    return [ClassScore(*counts) for counts in zip(images.tolist(), answered.tolist(), right.tolist(), strict=True)]


def label_scores(labels: np.ndarray, answers: np.ndarray) -> list[ClassScore]:
    """The score of each label of a multi-label model.

    Args:
        labels: bool, shape (N, K).
        answers: bool, shape (N, K).
    """
    counts = (labels.sum(axis=0), answers.sum(axis=0), (labels & answers).sum(axis=0))
    return [ClassScore(*map(int, column)) for column in zip(*counts, strict=True)]


def worst_mistakes(
    labels: np.ndarray, probabilities: np.ndarray, thresholds: Sequence[float] | None = None
) -> np.ndarray:
    """Rows of all wrong answers, the most confident first.

    Args:
        labels: integers, shape (N,); multi-label: bool, shape (N, K), ordered by the wrong label's probability that is
            farthest from the truth.
        probabilities: floats, shape (N, K).
        thresholds: K of them, if labels are bool.
    """
    if thresholds is not None:
        mistaken = decide(probabilities, thresholds) != labels
        off = (np.abs(probabilities - labels) * mistaken).max(axis=1)
        wrong = np.flatnonzero(mistaken.any(axis=1))
    else:
        off = probabilities.max(axis=1)
        wrong = np.flatnonzero(probabilities.argmax(axis=1) != labels)
    rows: np.ndarray = wrong[np.argsort(-off[wrong], kind="stable")]
    return rows


def reliability(labels: np.ndarray, probabilities: np.ndarray) -> Reliability:
    """Accuracy by the probability of answers. Arguments as `worst_mistakes`."""
    confidence, right = (some.ravel() for some in confidence_and_right(probabilities, labels))
    bins = bins_of(confidence)
    counts = np.bincount(bins, minlength=BINS)
    with np.errstate(invalid="ignore"):
        mean = np.bincount(bins, weights=confidence, minlength=BINS) / counts
        share = np.bincount(bins, weights=right, minlength=BINS) / counts
    return Reliability(counts, mean, share, calibration_error(probabilities, labels))
