"""How far probabilities are off: the one way in which trainer and server count it.

Source: C. Guo et al., On Calibration of Modern Neural Networks (2017): the mean of |accuracy - confidence| over bins of
confidence, weighted by how many answers are in each.
"""

import numpy as np

BINS = 15
"""Of equal width, as in the paper."""


def bins_of(confidence: np.ndarray) -> np.ndarray:
    """The bin that each falls into, which has its upper end, as in the paper: integers from 0 to BINS - 1."""
    return np.asarray(np.clip(np.ceil(confidence * BINS).astype(int) - 1, 0, BINS - 1))


def confidence_and_right(probabilities: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How sure each answer is (float64), and whether it is right (bool).

    With several labels every yes and no to every label is an answer, with the probability of what was said.

    Args:
        probabilities: floats, shape (N, K).
        labels: integers, shape (N,); multi-label: bool, shape (N, K).
    """
    if labels.ndim == 2:
        yes = probabilities >= 0.5
        confidence, right = np.where(yes, probabilities, 1 - probabilities).ravel(), (yes == labels).ravel()
    else:
        confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    return confidence.astype(np.float64), right


class CalibrationTally:
    """A running count of the expected calibration error."""

    def __init__(self) -> None:
        self._gaps = np.zeros(BINS)
        self.answers = 0

    def add(self, confidence: np.ndarray, right: np.ndarray) -> None:
        """Counts a batch, as `confidence_and_right` gives it."""
        self._gaps += np.bincount(bins_of(confidence), weights=right - confidence, minlength=BINS)
        self.answers += len(right)

    @property
    def error(self) -> float:
        """0 to 1; 0 where there were no answers."""
        return float(np.abs(self._gaps).sum() / max(1, self.answers))


def calibration_error(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """The expected calibration error of some answers. Args as those of `confidence_and_right`."""
    tally = CalibrationTally()
    tally.add(*confidence_and_right(probabilities, labels))
    return tally.error


def uncalibrated(logits: np.ndarray, temperature: float, several: bool = False) -> np.ndarray:
    """The probabilities as they would be without the temperature, float64, shape (N, K).

    Args:
        logits: floats, shape (N, K), divided by the temperature as the graph gives them.
        several: whether each label has a probability of its own.
    """
    scores = logits.astype(np.float64) * temperature
    if several:
        return np.asarray(np.exp(-np.logaddexp(0, -scores)))  # the sigmoid, without overflow
    raw = np.exp(scores - scores.max(axis=1, keepdims=True))
    without: np.ndarray = raw / raw.sum(axis=1, keepdims=True)
    return without
