"""Recounts a version's coverage and calibration error, and compares them with its manifest.

On the machine that trained, both are the same. On another one, probabilities differ a little, so each figure may
differ by as much as the answers near a border explain, and no more.
"""

from collections.abc import Sequence

import numpy as np

from vouch.bundle.calibration import BINS, CalibrationTally, confidence_and_right, uncalibrated
from vouch.bundle.label_sets import label_sets
from vouch.bundle.manifest import Manifest
from vouch.bundle.reliability import Coverage
from vouch.server.model.session import Outputs

BORDER = 0.05
"""Share of a threshold: a probability this near to it may be on its other side on another processor."""
OTHERS_DRIFT = 10
"""Probabilities of the other labels may drift this many times as far as those of the claimed answers."""
INTERVAL_TIMES = 7
"""The ends of the error's interval may move this many times as far as the error itself."""
BANDS = (1e-5, 1e-4, 1e-3, 1e-2)
"""How far probabilities may have drifted; another order of summation causes the first."""


def _band(drift: float) -> int:
    """Index of the drift's band; the last one if it exceeds all."""
    return next((number for number, most in enumerate(BANDS) if drift <= most), len(BANDS) - 1)


class Figures:
    """Running counts of both."""

    def __init__(self, manifest: Manifest) -> None:
        calibration = manifest.calibration
        self._several = manifest.task == "multi_label"
        self._after = self._before = None
        if calibration:
            self._after = _Error("with the temperature", calibration.error_after, calibration.error_interval)
            self._before = _Error("without the temperature", calibration.error_before)
        self._labels = manifest.labels
        self._temperature = calibration.temperature if calibration else 1.0
        self._coverages = [_Covered(one, len(manifest.labels)) for one in calibration.coverages] if calibration else []

    def add(self, labels: np.ndarray, outputs: Outputs) -> None:
        """
        Args:
            labels: of the next images, in the form of the manifest's task.
            outputs: this server's outputs for them.
        """
        if self._after is None or self._before is None:
            return
        self._after.add(outputs.probabilities, labels)
        plain = self._temperature == 1
        without = outputs.probabilities if plain else uncalibrated(outputs.logits, self._temperature, self._several)
        self._before.add(without, labels)
        for coverage in self._coverages:
            coverage.add(outputs.probabilities, labels)

    def refusal(self, drift: float, other: int) -> str:
        """Why the manifest's figures differ from these; empty if they do not.

        Args:
            drift: the largest drift of probabilities, except in `other` images.
            other: number of images with a larger drift or another answer.
        """
        if self._after is None or self._before is None:
            return ""
        found = [self._after.refusal(drift, other), self._before.refusal(drift * max(1.0, self._temperature), other)]
        found += [coverage.refusal(drift, other, self._labels) for coverage in self._coverages]
        return next(filter(None, found), "")


class _Error:
    """The expected calibration error."""

    def __init__(self, what: str, stated: float, interval: tuple[float, float] | None = None) -> None:
        self._what = what
        self._stated = stated
        self._interval = interval
        self._tally = CalibrationTally()
        self._images = 0
        self._near = np.zeros(len(BANDS), np.int64)
        """Answers near the border of two bins, or near 0.5 for a label, per band."""

    def add(self, probabilities: np.ndarray, labels: np.ndarray) -> None:
        confidence, right = confidence_and_right(probabilities, labels)
        self._tally.add(confidence, right)
        self._images += len(labels)
        border = np.clip(np.rint(confidence * BINS), 1, BINS - 1) / BINS
        distance = np.abs(confidence - border)
        if labels.ndim == 2:
            distance = np.minimum(distance, confidence - 0.5)
        self._near += [np.count_nonzero(distance <= band) for band in BANDS]

    def refusal(self, drift: float, other: int) -> str:
        """An answer in another bin changes the sum by twice its confidence; one that drifts, by its drift."""
        band = _band(drift)
        answers = max(1, self._tally.answers)
        moved = other * answers // max(1, self._images)
        tolerance = BANDS[band] + 2 * (int(self._near[band]) + moved) / answers
        if abs(self._tally.error - self._stated) > tolerance:
            return (
                f"the calibration error {self._what} is stated as {self._stated:.4%} and recounted as "
                f"{self._tally.error:.4%}; rounding explains a difference of at most {tolerance:.4%}"
            )
        here = self._tally.interval
        low, high = self._interval or here
        if max(abs(low - here[0]), abs(high - here[1])) <= INTERVAL_TIMES * tolerance:
            return ""
        return (
            f"the interval of the calibration error is stated as {low:.4%} to {high:.4%} and recounted as "
            f"{here[0]:.4%} to {here[1]:.4%}; rounding explains a difference of at most "
            f"{INTERVAL_TIMES * tolerance:.4%}"
        )


class _Covered:
    """Counts the label sets that contain the truth, per class and in total, and their sizes."""

    def __init__(self, stated: Coverage, classes: int) -> None:
        self._stated = stated
        self._covered, self._size, self._images = np.zeros(classes, np.int64), 0, 0
        self._near_covered, self._near_size = np.zeros((len(BANDS), classes), np.int64), np.zeros(len(BANDS), np.int64)
        """Labels near the threshold, per band; the true ones also per class."""

    def add(self, probabilities: np.ndarray, labels: np.ndarray) -> None:
        rows, thresholds = np.arange(len(labels)), np.asarray(self._stated.thresholds, probabilities.dtype)
        sets = label_sets(probabilities, thresholds)
        distance = np.abs(probabilities - thresholds)
        distance[rows, probabilities.argmax(axis=1)] = np.inf  # the top label is in the set for any threshold
        for number, band in enumerate(BANDS):
            near = distance <= np.minimum(BORDER * thresholds, OTHERS_DRIFT * band)
            self._near_covered[number] += self._of_each(labels[near[rows, labels]])
            self._near_size[number] += np.count_nonzero(near)
        self._covered += self._of_each(labels[sets[rows, labels]])
        self._size += int(sets.sum())
        self._images += len(labels)

    def _of_each(self, labels: np.ndarray) -> np.ndarray:
        return np.bincount(labels, minlength=len(self._covered))

    def refusal(self, drift: float, other: int, labels: Sequence[str]) -> str:
        stated, size, band = self._stated, self._stated.mean_size * self._images, _band(drift)
        covered = int(self._covered.sum())
        covered_differs = abs(stated.covered - covered) > int(self._near_covered[band].sum()) + other
        most = self._near_size[band] + other * (len(labels) - 1) + 1e-6 * self._images
        if not covered_differs and abs(size - self._size) <= most:
            return self._refusal_of_a_class(band, other, labels)
        return (
            f"the coverage of {stated.promised:.1%} is stated as {stated.covered:,} of {stated.total:,} images with "
            f"{stated.mean_size:.4f} labels per set and recounted as {covered:,} of {self._images:,} with "
            f"{self._size / max(1, self._images):.4f}"
        )

    def _refusal_of_a_class(self, band: int, other: int, labels: Sequence[str]) -> str:
        each = self._stated.by_class
        if each is None:
            return ""
        wrong = np.flatnonzero(np.abs(np.array(each.covered) - self._covered) > self._near_covered[band] + other)
        if not len(wrong):
            return ""
        k = int(wrong[0])
        return (
            f"the coverage of {self._stated.promised:.1%} among images of {labels[k]} is stated as {each.covered[k]:,} "
            f"of {each.total[k]:,} and recounted as {self._covered[k]:,}"
        )
