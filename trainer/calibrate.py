"""How far a model's probabilities can be relied on: settled on tune, counted on validation."""

import numpy as np

from bundle.label_sets import COVERAGES, label_sets, threshold_for
from bundle.manifest import Calibration, Coverage

BINS = 15
"""Of equal width, as in the paper."""
_SMALLEST = np.finfo(np.float64).tiny


def calibration_error(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Expected calibration error: how far the probability of the answer is from the share of right answers.

    Source: C. Guo et al., On Calibration of Modern Neural Networks (2017). The mean of |accuracy - confidence| over
    bins of confidence, weighted by how many answers are in each; 0 to 1.

    Args:
        probabilities: floats, shape (N, K).
        labels: integers, shape (N,).
    """
    confidence, right = probabilities.max(axis=1).astype(np.float64), probabilities.argmax(axis=1) == labels
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    gaps = np.bincount(bins, weights=right - confidence, minlength=BINS)
    return float(np.abs(gaps).sum() / len(labels))


def uncalibrated(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """The probabilities as they would be without the temperature, shape (N, K)."""
    logits = np.log(np.maximum(probabilities.astype(np.float64), _SMALLEST)) * temperature
    logits -= logits.max(axis=1, keepdims=True)
    raw = np.exp(logits)
    without: np.ndarray = raw / raw.sum(axis=1, keepdims=True)
    return without


def promises(probabilities: np.ndarray, labels: np.ndarray) -> dict[float, float]:
    """Coverage -> threshold, from the exported graph's answers to tune; arguments as `calibration_error`."""
    return {coverage: threshold_for(probabilities, labels, coverage) for coverage in COVERAGES}


def assess(
    probabilities: np.ndarray, labels: np.ndarray, temperature: float, thresholds: dict[float, float]
) -> Calibration:
    """What temperature and thresholds, settled before, come to on validation.

    Args:
        probabilities: the exported graph's answers to the validation split, shape (N, K).
        labels: integers, shape (N,).
    """
    return Calibration(
        temperature=temperature,
        error_before=calibration_error(uncalibrated(probabilities, temperature), labels),
        error_after=calibration_error(probabilities, labels),
        coverages=tuple(
            _kept(probabilities, labels, coverage, threshold) for coverage, threshold in thresholds.items()
        ),
    )


def _kept(probabilities: np.ndarray, labels: np.ndarray, coverage: float, threshold: float) -> Coverage:
    sets = label_sets(probabilities, threshold)
    return Coverage(
        promised=coverage,
        threshold=threshold,
        covered=int(sets[np.arange(len(labels)), labels].sum()),
        total=len(labels),
        mean_size=float(sets.sum(axis=1).mean()),
    )
