"""How far probabilities are off, and how well that is known: the one way in which trainer and server count it.

Source of the error: C. Guo et al., On Calibration of Modern Neural Networks (2017): the mean of |accuracy - confidence|
over bins of confidence, weighted by how many answers are in each. Chance in a bin is a distance too, so the count is
too large on average (A. Kumar, P. Liang and T. Ma, Verified Uncertainty Calibration (2019)); its interval allows for
that, see `CalibrationTally.interval`.
"""

from itertools import product
from math import pi, sqrt

import numpy as np

from vouch.bundle.accuracy import Z_95

BINS = 15
"""Of equal width, as in the paper."""


def bins_of(confidence: np.ndarray) -> np.ndarray:
    """The bin that each falls into, which has its upper end, as in the paper: integers from 0 to BINS - 1."""
    return np.asarray(np.clip(np.ceil(confidence * BINS).astype(int) - 1, 0, BINS - 1))


def confidence_and_right(probabilities: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How sure each answer is (float64), and whether it is right (bool): shape (N,).

    With several labels every yes and no to every label is an answer, with the probability of what was said: (N, K).

    Args:
        probabilities: floats, shape (N, K).
        labels: integers, shape (N,); multi-label: bool, shape (N, K).
    """
    if labels.ndim == 2:
        yes = probabilities >= 0.5
        confidence, right = np.where(yes, probabilities, 1 - probabilities), yes == labels
    else:
        confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    return confidence.astype(np.float64), right


class CalibrationTally:
    """A running count of the expected calibration error."""

    def __init__(self) -> None:
        self._gaps = np.zeros(BINS)
        """Right answers less expected ones, of each bin."""
        self._products = np.zeros((BINS, BINS))
        """Over images, the products of what each adds to the bins."""
        self.answers = 0

    def add(self, confidence: np.ndarray, right: np.ndarray) -> None:
        """Counts a batch, as `confidence_and_right` gives it."""
        gaps, bins = right - confidence, bins_of(confidence)
        self._gaps += np.bincount(bins.ravel(), weights=gaps.ravel(), minlength=BINS)
        self.answers += right.size
        if right.ndim == 1:
            self._products.flat[:: BINS + 1] += np.bincount(bins, weights=gaps**2, minlength=BINS)
            return
        cells = (bins + BINS * np.arange(len(bins))[:, None]).ravel()
        of_image = np.bincount(cells, weights=gaps.ravel(), minlength=BINS * len(bins)).reshape(-1, BINS)
        self._products += np.einsum("ib,ic->bc", of_image, of_image)

    @property
    def error(self) -> float:
        """0 to 1; 0 where there were no answers."""
        return float(np.abs(self._gaps).sum() / max(1, self.answers))

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of the error over these bins, on all images of this kind.

        The sum of the bins' gaps, each with the sign that it has on all images, varies about the true error and is
        never above the counted one: that makes the upper end. Chance adds to the counted one at most sqrt(2 / pi)
        deviations of each bin on average, and it varies about its mean no more than a normal variable with the
        deviation of that sum (C. Borell, The Brunn-Minkowski inequality in Gauss space, Inventiones Mathematicae 30
        (1975)): that makes the lower end. Rare mistakes, of which few images show none, are allowed for as Wilson's
        interval does. Images are independent, answers about the labels of one image are not.
        """
        if not self.answers:
            return 0.0, 1.0
        deviation = sqrt(self._most_variance() + Z_95**2 / 4)
        added = sqrt(2 / pi) * float(np.sqrt(self._products.diagonal()).sum())
        low = self.error - (added + Z_95 * deviation) / self.answers
        high = self.error + (Z_95**2 / 2 + Z_95 * deviation) / self.answers
        return max(0.0, low), min(1.0, high)

    def _most_variance(self) -> float:
        """Of the sum of the bins' gaps, with whatever signs they have."""
        used = np.flatnonzero(self._products.diagonal())
        among = self._products[np.ix_(used, used)]
        if not (among - np.diag(among.diagonal())).any():
            return float(among.trace())
        signs = np.array([*product((1, -1), repeat=len(used))])  # with several labels 8 bins: none below one half
        return float(np.einsum("sb,bc,sc->s", signs, among, signs).max())


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
