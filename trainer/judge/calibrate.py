"""How far a model's probabilities are off, and its label sets' promises: chosen on the images that judge, counted on
validation.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from vouch.bundle.calibration import CalibrationTally, confidence_and_right, uncalibrated
from vouch.bundle.label_sets import COVERAGES, fewest_for, label_sets, threshold_for
from vouch.bundle.reliability import Calibration, Coverage, Withheld
from vouch.trainer.judge.thresholds import chosen_thresholds

BLOCK = 1 << 22
"""Scores that are doubles at once."""


@dataclass(frozen=True)
class Settled:
    """What the images that judge decide about how the probabilities are used."""

    promises: dict[float, float | None]
    """Coverage -> threshold of the label sets, None where it cannot be promised; none with several labels an image."""
    thresholds: tuple[float, ...] | None
    """With several labels an image: from which probability on each of the K labels is answered."""
    judged: int
    """How many images they are."""
    folds: int | None
    """How many models answered them; None where it was the published one."""


def settle(probabilities: np.ndarray, labels: np.ndarray, folds: int | None = None) -> Settled:
    """From answers to images that the models which gave them had not learned.

    Args:
        probabilities: floats, shape (N, K), at the published temperature: the exported graph's to tune, or with `folds`
            those of each fold's model to the images that it did not learn.
        labels: integers, shape (N,); multi-label: bool, shape (N, K).
        folds: how many models gave them; None: the published one.
    """
    if labels.ndim == 2:
        return Settled({}, chosen_thresholds(probabilities, labels), len(labels), folds)
    promises = {coverage: threshold_for(probabilities, labels, coverage) for coverage in COVERAGES}
    return Settled(promises, None, len(labels), folds)


def assess(
    probabilities: np.ndarray,
    logits: np.ndarray,
    labels: np.ndarray,
    temperature: float,
    settled: Settled,
) -> Calibration:
    """What was settled before comes to on validation.

    Args:
        probabilities: the exported graph's answers to the validation split, shape (N, K).
        logits: its scores, likewise.
        labels: integers, shape (N,); multi-label: bool, shape (N, K).
        temperature: by which the graph divides its scores; chosen on the images that judge.
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
        method="split" if settled.folds is None else "cross",
        judged=settled.judged,
        folds=settled.folds,
        coverages=tuple(
            _kept(probabilities, labels, coverage, threshold)
            for coverage, threshold in settled.promises.items()
            if threshold is not None
        ),
        withheld=tuple(
            Withheld(coverage=coverage, needed=fewest_for(coverage), judged=settled.judged)
            for coverage, threshold in settled.promises.items()
            if threshold is None
        ),
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
