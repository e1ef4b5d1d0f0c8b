import time
from collections.abc import Callable

import numpy as np
import pytest

from vouch.bundle.calibration import BINS, CalibrationTally, bins_of, confidence_and_right

DRAWS = 400
KEPT = 0.95 - 3 * np.sqrt(0.95 * 0.05 / DRAWS)


def tally_of(confidence: np.ndarray, right: np.ndarray) -> CalibrationTally:
    tally = CalibrationTally()
    tally.add(confidence, right)
    return tally


def error_by(confidence: np.ndarray, rate: np.ndarray) -> float:
    """What so many answers that it is as good as all come to."""
    gaps = np.bincount(bins_of(confidence.ravel()), (rate - confidence).ravel(), minlength=BINS)
    return float(np.abs(gaps).sum() / confidence.size)


@pytest.mark.parametrize("images", [20, 100, 1000])
@pytest.mark.parametrize(
    ("shape", "rate"),
    [
        ((5, 1), lambda sure: sure),
        ((50, 0.2), lambda sure: sure),
        ((500, 0.01), lambda sure: np.minimum(sure, 0.99)),
        ((8, 0.5), lambda sure: 0.85 * sure),
        ((3, 2), lambda sure: np.minimum(1, 1.25 * sure)),
        ((2, 2), lambda sure: np.clip(sure + 0.15 * np.sin(8 * sure), 0, 1)),
    ],
    ids=["honest", "honest and sure", "never wrong but 1 in 100", "too bold", "too shy", "both"],
)
def test_the_interval_keeps_its_promise(
    images: int, shape: tuple[float, float], rate: Callable[[np.ndarray], np.ndarray]
) -> None:
    """Of 400 draws, 95 % less three standard errors; the counted error itself is too large where nothing is off."""
    random = np.random.default_rng(0)
    many = random.beta(*shape, size=500_000)
    true = error_by(many, rate(many))
    kept = 0
    for _ in range(DRAWS):
        sure = random.beta(*shape, size=images)
        low, high = tally_of(sure, random.random(images) < rate(sure)).interval
        kept += low <= true + 1e-3 and true - 1e-3 <= high

    assert kept / DRAWS >= KEPT


def test_labels_of_one_image_are_no_independent_answers() -> None:
    """Ten labels that are wrong on the same images say no more than one: the interval keeps its promise, and is wider
    than that of as many answers about as many images.
    """
    random = np.random.default_rng(0)
    kept = 0
    for _ in range(DRAWS):
        sure = np.repeat(random.choice([0.7, 0.9, 0.98], size=(100, 1)), 10, axis=1)
        right = np.repeat(random.random((100, 1)) < 0.9 * sure[:, :1], 10, axis=1)
        low, high = tally_of(sure, right).interval
        kept += low <= 0.1 * (0.7 + 0.9 + 0.98) / 3 <= high
    alone = tally_of(sure.ravel(), right.ravel()).interval

    assert kept / DRAWS >= KEPT
    assert high - low > 2 * (alone[1] - alone[0])


def test_many_images_make_it_narrow() -> None:
    """Of 10,000 answers that are off by a tenth, it is within some 2 %, in a moment;
    batches make no difference, and the same answers give the same bytes.
    """
    random = np.random.default_rng(0)
    sure = random.uniform(0.5, 1, 10_000)
    right = random.random(10_000) < sure - 0.1
    started = time.process_time()
    whole, again, parts = tally_of(sure, right), tally_of(sure, right), CalibrationTally()
    took = time.process_time() - started
    for start in range(0, 10_000, 256):
        parts.add(sure[start : start + 256], right[start : start + 256])

    assert 0.08 < whole.interval[0] < 0.1 < whole.interval[1] < 0.121
    assert whole.interval == again.interval
    assert parts.interval == pytest.approx(whole.interval, abs=1e-12)
    assert took < 3


def test_several_labels_come_in_batches_too() -> None:
    """Each image's own answers are what belongs together."""
    random = np.random.default_rng(0)
    probabilities, labels = random.random((50, 4)), random.random((50, 4)) < 0.5
    whole, parts = tally_of(*confidence_and_right(probabilities, labels)), CalibrationTally()
    for start in range(0, 50, 7):
        parts.add(*confidence_and_right(probabilities[start : start + 7], labels[start : start + 7]))

    assert parts.answers == 200
    assert parts.error == pytest.approx(whole.error)
    assert parts.interval == pytest.approx(whole.interval, abs=1e-12)


def test_nothing_is_known_of_no_answers() -> None:
    """And little of one."""
    assert CalibrationTally().interval == (0.0, 1.0)
    assert tally_of(np.array([0.9]), np.array([True])).interval == (0.0, 1.0)
