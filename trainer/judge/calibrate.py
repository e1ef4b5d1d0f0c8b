"""How far a model's probabilities are off, and its label sets' promises: chosen on tune, counted on validation."""

from dataclasses import dataclass

import numpy as np

from vouch.bundle.label_sets import COVERAGES, label_sets, threshold_for
from vouch.bundle.manifest import Calibration, Coverage
from vouch.trainer.judge.thresholds import chosen_thresholds

BINS = 15
"""Of equal width, as in the paper."""


def certainty(probabilities: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """How sure each answer is (float64), whether it is right (bool), and the bin that it falls into (integers).

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
    confidence = confidence.astype(np.float64)
    bins = np.clip(np.ceil(confidence * BINS).astype(int) - 1, 0, BINS - 1)  # with its upper end, as in the paper
    return confidence, right, bins


def calibration_error(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Expected calibration error: how far the probability of the answer is from the share of right answers.

    Source: C. Guo et al., On Calibration of Modern Neural Networks (2017). The mean of |accuracy - confidence| over
    bins of confidence, weighted by how many answers are in each; 0 to 1. Arguments as `certainty`.
    """
    confidence, right, bins = certainty(probabilities, labels)
    gaps = np.bincount(bins, weights=right - confidence, minlength=BINS)
    return float(np.abs(gaps).sum() / len(right))


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


@dataclass(frozen=True)
class Settled:
    """What tune decides about how the probabilities are used."""

    promises: dict[float, float]
    """Coverage -> threshold of the label sets; none with several labels an image."""
    thresholds: tuple[float, ...] | None
    """With several labels an image: from which probability on each of the K labels is answered."""


def settle(probabilities: np.ndarray, labels: np.ndarray) -> Settled:
    """From the exported graph's answers to tune; arguments as `calibration_error`."""
    if labels.ndim == 2:
        return Settled({}, chosen_thresholds(probabilities, labels))
    return Settled({coverage: threshold_for(probabilities, labels, coverage) for coverage in COVERAGES}, None)


def assess(
    probabilities: np.ndarray,
    logits: np.ndarray,
    labels: np.ndarray,
    temperature: float,
    promises: dict[float, float],
) -> Calibration:
    """What temperature and promises, chosen before, come to on validation.

    Args:
        probabilities: the exported graph's answers to the validation split, shape (N, K).
        logits: its scores, likewise.
        labels: integers, shape (N,); multi-label: bool, shape (N, K).
        promises: coverage -> threshold.
    """
    without = probabilities if temperature == 1 else uncalibrated(logits, temperature, several=labels.ndim == 2)
    return Calibration(
        temperature=temperature,
        error_before=calibration_error(without, labels),
        error_after=calibration_error(probabilities, labels),
        coverages=tuple(_kept(probabilities, labels, coverage, threshold) for coverage, threshold in promises.items()),
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
