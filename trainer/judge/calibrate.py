"""How far a model's probabilities are off, and its label sets' promises: chosen on tune, counted on validation."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from vouch.bundle.calibration import CalibrationTally, confidence_and_right, uncalibrated
from vouch.bundle.label_sets import COVERAGES, label_sets, threshold_for
from vouch.bundle.manifest import Calibration, Coverage
from vouch.trainer.judge.thresholds import chosen_thresholds

BLOCK = 1 << 22
"""Scores that are doubles at once."""


@dataclass(frozen=True)
class Settled:
    """What tune decides about how the probabilities are used."""

    promises: dict[float, float]
    """Coverage -> threshold of the label sets; none with several labels an image."""
    thresholds: tuple[float, ...] | None
    """With several labels an image: from which probability on each of the K labels is answered."""


def settle(probabilities: np.ndarray, labels: np.ndarray) -> Settled:
    """From the exported graph's answers to tune; arguments as `confidence_and_right`."""
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
    several, classes = labels.ndim == 2, probabilities.shape[1]
    after = before = _counted(labels, lambda rows: probabilities[rows], classes)
    if temperature != 1:
        before = _counted(labels, lambda rows: uncalibrated(logits[rows], temperature, several), classes)
    return Calibration(
        temperature=temperature,
        error_before=before.error,
        error_after=after.error,
        error_interval=after.interval,
        coverages=tuple(_kept(probabilities, labels, coverage, threshold) for coverage, threshold in promises.items()),
    )


def _counted(labels: np.ndarray, probabilities: Callable[[slice], np.ndarray], classes: int) -> CalibrationTally:
    """In blocks: as doubles, the probabilities of thousands of classes would take several times what they take here."""
    tally, rows = CalibrationTally(), max(1, BLOCK // classes)
    for block in (slice(start, start + rows) for start in range(0, len(labels), rows)):
        tally.add(*confidence_and_right(probabilities(block), labels[block]))
    return tally


def _kept(probabilities: np.ndarray, labels: np.ndarray, coverage: float, threshold: float) -> Coverage:
    sets = label_sets(probabilities, threshold)
    return Coverage(
        promised=coverage,
        threshold=threshold,
        covered=int(sets[np.arange(len(labels)), labels].sum()),
        total=len(labels),
        mean_size=float(sets.sum(axis=1).mean()),
    )
