"""Calibration error and label sets: thresholds from the calibration images, results counted on validation."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from vouch.bundle.calibration import CalibrationTally, confidence_and_right, uncalibrated
from vouch.bundle.label_sets import COVERAGES, fewest_for, label_sets, threshold_for, thresholds_for
from vouch.bundle.reliability import ByClass, Calibration, Coverage, Withheld
from vouch.trainer.judge.thresholds import chosen_thresholds

BLOCK = 1 << 22
"""Scores that are converted to float64 at once."""


@dataclass(frozen=True)
class Settled:
    """What was chosen on the calibration images."""

    judged: int
    """Number of calibration images."""
    folds: int | None
    """Number of models that answered them; None: the published model did."""
    promises: dict[float, float | None] = field(default_factory=dict)
    """Coverage -> threshold of the label sets, None if it cannot be promised; empty if promised by class."""
    by_class: dict[float, np.ndarray | None] = field(default_factory=dict)
    """By class: coverage -> thresholds of the K classes, None if it cannot be promised."""
    of_class: tuple[int, ...] = ()
    """By class: number of calibration images of each class."""
    withheld: tuple[Withheld, ...] = ()
    """What cannot be promised, and why."""
    thresholds: tuple[float, ...] | None = None
    """Multi-label, without label sets: the probability from which each of the K labels is answered."""


def settle(
    probabilities: np.ndarray, labels: np.ndarray, folds: int | None = None, by_class: Sequence[str] = ()
) -> Settled:
    """Chooses thresholds by answers to images that the answering models had not learned.

    Args:
        probabilities: floats, shape (N, K), at the published temperature: the exported graph's answers to tune, or
            with `folds` those of each fold's model to the images that it did not learn.
        labels: integers, shape (N,); multi-label: bool, shape (N, K).
        folds: number of models that gave them; None: the published one.
        by_class: names of the K classes, if label sets are conditional on the class; single-label only.
    """
    if labels.ndim == 2:
        return Settled(len(labels), folds, thresholds=chosen_thresholds(probabilities, labels))
    if by_class:
        return _settle_by_class(probabilities, labels, folds, by_class)
    promises = {coverage: threshold_for(probabilities, labels, coverage) for coverage in COVERAGES}
    withheld = tuple(
        Withheld(coverage=coverage, needed=fewest_for(coverage), judged=len(labels))
        for coverage, threshold in promises.items()
        if threshold is None
    )
    return Settled(len(labels), folds, promises, withheld=withheld)


def _settle_by_class(probabilities: np.ndarray, labels: np.ndarray, folds: int | None, names: Sequence[str]) -> Settled:
    """As `settle`, by class: a coverage is promised if each class has enough images."""
    promises = {coverage: thresholds_for(probabilities, labels, coverage) for coverage in COVERAGES}
    images = np.bincount(labels, minlength=len(names))
    fewest = int(images.argmin())
    withheld = tuple(
        Withheld(coverage=coverage, needed=fewest_for(coverage), judged=int(images[fewest]), smallest=names[fewest])
        for coverage, thresholds in promises.items()
        if thresholds is None
    )
    return Settled(len(labels), folds, by_class=promises, of_class=tuple(images.tolist()), withheld=withheld)


def assess(
    probabilities: np.ndarray,
    logits: np.ndarray,
    labels: np.ndarray,
    temperature: float,
    settled: Settled,
) -> Calibration:
    """Counts calibration error and coverage on validation.

    Args:
        probabilities: the exported graph's answers to the validation split, shape (N, K).
        logits: its scores, shape (N, K).
        labels: integers, shape (N,); multi-label: bool, shape (N, K).
        temperature: by which the graph divides its scores; chosen on the calibration images.
        settled: the thresholds chosen before.
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
        coverages=tuple(_coverages(probabilities, labels, settled)),
        withheld=settled.withheld,
    )


def _counted(labels: np.ndarray, probabilities: Callable[[slice], np.ndarray], classes: int) -> CalibrationTally:
    """Counts in blocks: in float64 at once, the probabilities of thousands of classes would need much more memory."""
    tally, rows = CalibrationTally(), max(1, BLOCK // classes)
    for block in (slice(start, start + rows) for start in range(0, len(labels), rows)):
        tally.add(*confidence_and_right(probabilities(block), labels[block]))
    return tally


def _coverages(probabilities: np.ndarray, labels: np.ndarray, settled: Settled) -> Iterator[Coverage]:
    """Each promised coverage, with its count on validation."""
    for coverage, threshold in settled.promises.items():
        if threshold is not None:
            sets = label_sets(probabilities, threshold)
            yield Coverage(promised=coverage, threshold=threshold, **_counts(sets, labels))
    for coverage, thresholds in settled.by_class.items():
        if thresholds is not None:
            sets = label_sets(probabilities, thresholds)
            covered = labels[sets[np.arange(len(labels)), labels]]
            each = ByClass(
                thresholds=tuple(thresholds.tolist()),
                judged=settled.of_class,
                covered=tuple(np.bincount(covered, minlength=len(thresholds)).tolist()),
                total=tuple(np.bincount(labels, minlength=len(thresholds)).tolist()),
            )
            lowest = float(thresholds.min())
            yield Coverage(promised=coverage, threshold=lowest, by_class=each, **_counts(sets, labels))


def _counts(sets: np.ndarray, labels: np.ndarray) -> dict[str, Any]:
    """How many of these sets contain the right label, and their mean size; bool, shape (N, K), and integers (N,)."""
    covered = int(sets[np.arange(len(labels)), labels].sum())
    return {"covered": covered, "total": len(labels), "mean_size": float(sets.sum(axis=1).mean())}
