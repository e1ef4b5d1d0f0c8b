"""The calibration error of probabilities, with its interval: computed in the same way by trainer and server.

Source of the error: C. Guo et al., On Calibration of Modern Neural Networks (2017): the mean of |accuracy - confidence|
over bins of confidence, weighted by the number of answers. Chance adds to each bin's distance, so the estimate is
too large on average (A. Kumar, P. Liang and T. Ma, Verified Uncertainty Calibration (2019)); its interval takes this
into account, see `CalibrationTally.interval`.
"""

from itertools import product
from math import pi, sqrt

import numpy as np

from vouch.bundle.accuracy import Z_95

BINS = 15
"""The number of bins of equal width, as in the paper."""


def bins_of(confidence: np.ndarray) -> np.ndarray:
    """The bin of each confidence, from 0 to BINS - 1; a bin includes its upper end, as in the paper."""
    return np.asarray(np.clip(np.ceil(confidence * BINS).astype(int) - 1, 0, BINS - 1))


def confidence_and_right(probabilities: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The confidence of each answer (float64), and whether it is right (bool): shape (N,).

    Multi-label: each yes or no to each label is an answer, with its own probability: (N, K).

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
        """Right answers minus expected ones, per bin."""
        self._products = np.zeros((BINS, BINS))
        """Sum over images of the products of their contributions to the bins."""
        self.answers = 0

    def add(self, confidence: np.ndarray, right: np.ndarray) -> None:
        """Adds a batch from `confidence_and_right`."""
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
        """0 to 1; 0 without answers."""
        return float(np.abs(self._gaps).sum() / max(1, self.answers))

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of the error over these bins, on all images of this kind.

        The upper end: the sum of the bins' gaps, each with its sign on all images, varies around the true error and is
        never above the measured one. The lower end: chance adds to the measured error at most sqrt(2 / pi) deviations
        of each bin on average, and the measured error varies around its mean no more than a normal variable with the
        deviation of that sum (C. Borell, The Brunn-Minkowski inequality in Gauss space, Inventiones Mathematicae 30
        (1975)). Rare mistakes, which few images may not show, are treated as in Wilson's interval. Images are
        independent, but answers about the labels of one image are not.
        """
        if not self.answers:
            return 0.0, 1.0
        deviation = sqrt(self._most_variance() + Z_95**2 / 4)
        added = sqrt(2 / pi) * float(np.sqrt(self._products.diagonal()).sum())
        low = self.error - (added + Z_95 * deviation) / self.answers
        high = self.error + (Z_95**2 / 2 + Z_95 * deviation) / self.answers
        return max(0.0, low), min(1.0, high)

    def _most_variance(self) -> float:
        """The largest deviation of the sum of the bins' gaps, over all combinations of signs."""
        used = np.flatnonzero(self._products.diagonal())
        among = self._products[np.ix_(used, used)]
        if not (among - np.diag(among.diagonal())).any():
            return float(among.trace())
        signs = np.array(
            [*product((1, -1), repeat=len(used))]
        )  # multi-label uses 8 bins: no confidence is below one half
        return float(np.einsum("sb,bc,sc->s", signs, among, signs).max())


def calibration_error(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """The expected calibration error of some answers. Arguments as for `confidence_and_right`."""
    tally = CalibrationTally()
    tally.add(*confidence_and_right(probabilities, labels))
    return tally.error


def uncalibrated(logits: np.ndarray, temperature: float, several: bool = False) -> np.ndarray:
    """The probabilities without the temperature, float64, shape (N, K).

    Args:
        logits: floats, shape (N, K), from the graph: already divided by the temperature.
        several: whether the model is multi-label.
    """
    scores = logits.astype(np.float64) * temperature
    if several:
        return np.asarray(np.exp(-np.logaddexp(0, -scores)))  # the sigmoid, without overflow
    raw = np.exp(scores - scores.max(axis=1, keepdims=True))
    without: np.ndarray = raw / raw.sum(axis=1, keepdims=True)
    return without
