"""What the answers to the validation split come to, from the one set of probabilities that there is. Arrays alone.

Counts are kept by pairs that occur, not as a square: of 10,000 classes that would be 10^8 numbers, nearly all 0.
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
    """How one class, or label, fared."""

    images: int
    """That are of it."""
    answered: int
    """That were said to be of it."""
    right: int
    """Both."""

    @property
    def precision(self) -> float | None:
        """Of those said to be of it, the share that is; None where it was never said."""
        return self.right / self.answered if self.answered else None

    @property
    def recall(self) -> float | None:
        """Of those that are of it, the share that was found; None where there are none."""
        return self.right / self.images if self.images else None

    @property
    def found(self) -> Accuracy:
        """The count of the recall, with its interval."""
        return Accuracy(correct=self.right, total=self.images)

    @property
    def f1(self) -> float | None:
        """Harmonic mean of the two; None where neither an image nor an answer is of it."""
        both = self.images + self.answered
        return 2 * self.right / both if both else None


@dataclass(frozen=True, eq=False)
class Reliability:
    """Answers by how sure the model was of them."""

    counts: np.ndarray
    """int64, shape (15,): answers in each of the equally wide bins from 0 to 1."""
    confidence: np.ndarray
    """float64, shape (15,): mean probability in the bin; NaN where it is empty."""
    accuracy: np.ndarray
    """float64, shape (15,): share that was right; NaN likewise."""
    error: float
    """Expected calibration error: the mean distance of the two, weighted by the counts."""


def pairs_of(labels: np.ndarray, answers: np.ndarray, classes: int) -> list[Pair]:
    """How often which class got which answer, most often first; pairs that never occur are left out.

    Args:
        labels: integers, shape (N,).
        answers: integers, shape (N,).
        classes: K.
    """
    codes, counts = np.unique(labels.astype(np.int64) * classes + answers, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    return [Pair(*divmod(int(codes[i]), classes), int(counts[i])) for i in order]


def class_scores(labels: np.ndarray, answers: np.ndarray, classes: int) -> list[ClassScore]:
    """One for each class of a single-label model. Arguments as for `pairs_of`."""
    images = np.bincount(labels, minlength=classes)
    answered = np.bincount(answers, minlength=classes)
    right = np.bincount(labels[labels == answers], minlength=classes)
    return [ClassScore(*counts) for counts in zip(images.tolist(), answered.tolist(), right.tolist(), strict=True)]


def label_scores(labels: np.ndarray, answers: np.ndarray) -> list[ClassScore]:
    """One for each label of a multi-label model.

    Args:
        labels: bool, shape (N, K).
        answers: bool, shape (N, K).
    """
    counts = (labels.sum(axis=0), answers.sum(axis=0), (labels & answers).sum(axis=0))
    return [ClassScore(*map(int, column)) for column in zip(*counts, strict=True)]


def worst_mistakes(
    labels: np.ndarray, probabilities: np.ndarray, thresholds: Sequence[float] | None = None
) -> np.ndarray:
    """Rows of all wrong answers, those first of which the model was surest.

    Args:
        labels: integers, shape (N,), or bool, shape (N, K): then it is the wrongly answered label's probability that
            was farthest from the truth that counts.
        probabilities: floats, shape (N, K).
        thresholds: K of them, where labels are bool.
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
    """How often answers of which probability are right. Arguments as for `certainty`."""
    confidence, right = (some.ravel() for some in confidence_and_right(probabilities, labels))
    bins = bins_of(confidence)
    counts = np.bincount(bins, minlength=BINS)
    with np.errstate(invalid="ignore"):
        mean = np.bincount(bins, weights=confidence, minlength=BINS) / counts
        share = np.bincount(bins, weights=right, minlength=BINS) / counts
    return Reliability(counts, mean, share, calibration_error(probabilities, labels))
