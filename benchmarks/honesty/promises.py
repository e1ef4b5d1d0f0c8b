"""The promises about a model, and whether they are true on many other images: one flat row of figures per resampling.

A missing figure, such as the coverage of a promise that was not given, is not in the row.
"""

from collections.abc import Mapping

import numpy as np

from benchmarks.honesty.draws import Draw
from benchmarks.honesty.ours import Vouched
from vouch.bundle.calibration import BINS, bins_of, confidence_and_right
from vouch.bundle.claims import Claim
from vouch.bundle.label_sets import COVERAGES, label_sets
from vouch.trainer.judge.graph import count_claim

Figures = dict[str, float]
"""By names of words: whose, of what, and which figure."""
INTERVALS = ("accuracy", "balanced", "calibration")
OURS, PLAIN = "ours", "plain"
BESIDE = "ours beside"
"""Ours too, in those resamplings alone in which others are counted."""


def of_vouched(vouched: Vouched, draw: Draw) -> Figures:
    """All that Vouch promises of a model."""
    claim = count_claim(vouched.validation, draw.validation.labels)
    assert isinstance(claim, Claim), "every image has one label"
    right = vouched.truth.argmax(axis=1) == draw.truth.labels
    share, error = float(right.mean()), true_error(vouched.truth, draw.truth.labels)
    ends = {
        "accuracy": (claim.low, share, claim.high),  # the truth has equally many images of each class, so it is both
        "balanced": (claim.balanced.low, share, claim.balanced.high),
    }
    if vouched.calibration.error_interval:
        low, high = vouched.calibration.error_interval
        ends["calibration"] = low, error, high
    found: Figures = {f"{OURS} accuracy": share, f"{OURS} error": error}
    for name, (low, true, high) in ends.items():
        found |= {f"{OURS} {name} kept": float(low <= true <= high), f"{OURS} {name} width": high - low}
    return found | of_thresholds(OURS, vouched.promises, vouched.truth, draw.truth.labels)


def of_thresholds(
    whose: str, promises: Mapping[float, float | None], probabilities: np.ndarray, labels: np.ndarray
) -> Figures:
    """Of label sets from thresholds.

    Args:
        promises: coverage -> threshold; None where it is not promised.
        probabilities: shape (N, K), of the images that the truth is counted on.
        labels: integers, shape (N,).
    """
    found: Figures = {}
    for coverage, threshold in promises.items():
        found[f"{whose} {coverage:.0%} given"] = float(threshold is not None)
        if threshold is not None:
            found |= of_sets(whose, coverage, label_sets(probabilities, threshold), labels)
    return found


def of_sets(whose: str, coverage: float, sets: np.ndarray, labels: np.ndarray) -> Figures:
    """Of label sets that are promised to contain the truth so often.

    Args:
        sets: bool, shape (N, K).
        labels: integers, shape (N,).
    """
    covered = float(sets[np.arange(len(labels)), labels].mean())
    begin = f"{whose} {coverage:.0%}"
    return {
        f"{begin} kept": float(covered >= coverage),
        f"{begin} coverage": covered,
        f"{begin} size": float(sets.sum(axis=1).mean()),
    }


def where_both(row: Figures) -> Figures:
    """Sizes of our sets and of plain split conformal's with the same images, where both promise."""
    found: Figures = {}
    for coverage in COVERAGES:
        sizes = {whose: row.get(f"{whose} {coverage:.0%} size") for whose in (BESIDE, PLAIN)}
        if None not in sizes.values():
            found |= {f"both {coverage:.0%} {whose}": size for whose, size in sizes.items() if size is not None}
    return found


def true_error(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """The calibration error over the bins that Vouch counts in, on all images of this kind, estimated from many.

    Of each bin's squared gap its variance is taken away, as chance adds that (A. Kumar, P. Liang and T. Ma, Verified
    Uncertainty Calibration (2019)); arguments as `of_thresholds`.
    """
    confidence, right = confidence_and_right(probabilities, labels)
    bins, gaps = bins_of(confidence), right - confidence
    total = np.bincount(bins, weights=gaps, minlength=BINS)
    images = np.bincount(bins, minlength=BINS)
    squares = np.bincount(bins, weights=gaps**2, minlength=BINS)
    variance = np.maximum(0.0, squares - total**2 / np.maximum(1, images))
    return float(np.sqrt(np.maximum(0.0, total**2 - variance)).sum() / len(labels))
