import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.calibration import calibration_curve
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from vouch.bundle.calibration import BINS
from vouch.trainer.report.outcome import (
    class_scores,
    label_scores,
    pairs_of,
    reliability,
    worst_mistakes,
)


def answers_of(seed: int, count: int = 200, classes: int = 5) -> tuple[np.ndarray, np.ndarray]:
    """Labels, and probabilities that are right more often than not."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, classes, count)
    scores = random.normal(size=(count, classes)) + 1.5 * np.eye(classes)[labels]
    return labels, (np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)).astype(np.float32)


@given(st.integers(0, 1000))
def test_pairs_are_the_confusion_matrix(seed: int) -> None:
    """They say what scikit-learn's matrix says, the most frequent first."""
    labels, probabilities = answers_of(seed)
    matrix = np.zeros((5, 5), dtype=int)
    pairs = pairs_of(labels, probabilities.argmax(axis=1), 5)
    for pair in pairs:
        matrix[pair.truth, pair.answer] = pair.count
    counts = [pair.count for pair in pairs]

    np.testing.assert_array_equal(matrix, confusion_matrix(labels, probabilities.argmax(axis=1), labels=range(5)))
    assert counts == sorted(counts, reverse=True)
    assert min(counts) > 0


@given(st.integers(0, 1000))
def test_class_scores_are_scikit_learns(seed: int) -> None:
    """Precision, recall, F1 and number of images of each class."""
    labels, probabilities = answers_of(seed)
    answers = probabilities.argmax(axis=1)
    expected = precision_recall_fscore_support(labels, answers, labels=range(5), zero_division=0)
    scores = class_scores(labels, answers, 5)

    np.testing.assert_allclose([score.precision or 0 for score in scores], expected[0])
    np.testing.assert_allclose([score.recall or 0 for score in scores], expected[1])
    np.testing.assert_allclose([score.f1 or 0 for score in scores], expected[2])
    assert [score.images for score in scores] == expected[3].tolist()


def test_label_scores_are_scikit_learns() -> None:
    """The same for labels of which an image may have several."""
    random = np.random.default_rng(0)
    labels, answers = random.random((100, 4)) < 0.4, random.random((100, 4)) < 0.5
    precision, recall, f1, _ = precision_recall_fscore_support(labels, answers)
    scores = label_scores(labels, answers)

    np.testing.assert_allclose([score.precision or 0 for score in scores], precision)
    np.testing.assert_allclose([score.recall or 0 for score in scores], recall)
    np.testing.assert_allclose([score.f1 or 0 for score in scores], f1)


def test_what_was_never_said_has_no_precision() -> None:
    """Nor has what does not occur a recall; neither is 0, for nothing was done wrong."""
    score = class_scores(np.array([0, 0]), np.array([0, 0]), 2)[1]

    assert (score.precision, score.recall, score.f1) == (None, None, None)


def test_worst_mistakes_are_wrong_and_sure() -> None:
    """Only wrong answers, the surest first."""
    labels, probabilities = answers_of(3)
    rows = worst_mistakes(labels, probabilities)
    sure = probabilities[rows].max(axis=1)

    assert len(rows) == (probabilities.argmax(axis=1) != labels).sum()
    assert (probabilities[rows].argmax(axis=1) != labels[rows]).all()
    assert (np.diff(sure) <= 0).all()
    wrong = probabilities.argmax(axis=1) != labels
    assert sure[0] == probabilities[wrong].max()


def test_worst_mistakes_about_several_labels() -> None:
    """There the probability that is farthest from its yes or no counts, if it is on the wrong side of its threshold."""
    labels = np.array([[True, False], [True, True], [False, False]])
    probabilities = np.array([[0.9, 0.2], [0.05, 0.9], [0.3, 0.7]])

    assert worst_mistakes(labels, probabilities, (0.5, 0.5)).tolist() == [1, 2]
    assert worst_mistakes(labels, probabilities, (0.95, 0.1)).tolist() == [1, 2, 0]
    assert worst_mistakes(labels, probabilities, (0.04, 0.8)).tolist() == [2]


def test_reliability_is_scikit_learns() -> None:
    """Mean confidence and accuracy of the filled bins; the error is what one adds up by hand."""
    labels, probabilities = answers_of(4, count=2000)
    right, sure = probabilities.argmax(axis=1) == labels, probabilities.max(axis=1)
    accuracy, confidence = calibration_curve(right, sure, n_bins=BINS)
    measured = reliability(labels, probabilities)
    filled = measured.counts > 0

    np.testing.assert_allclose(measured.accuracy[filled], accuracy)
    np.testing.assert_allclose(measured.confidence[filled], confidence, rtol=1e-5)
    gaps = [
        (np.floor(sure * BINS) == place).mean() * abs(right[chosen].mean() - sure[chosen].mean())
        for place in range(BINS)
        if (chosen := np.floor(sure * BINS) == place).any()
    ]
    assert measured.error == pytest.approx(sum(gaps), abs=1e-5)


def test_reliability_of_certain_answers() -> None:
    """A probability of 1 is in the last bin, and being right about it is no error."""
    measured = reliability(np.array([0, 1]), np.array([[1.0, 0.0], [0.0, 1.0]]))

    assert measured.counts.tolist() == [0] * (BINS - 1) + [2]
    assert measured.error == 0


def test_reliability_of_several_labels_counts_every_yes_and_no() -> None:
    """A no with 10 % is an answer given with 90 %."""
    measured = reliability(np.array([[True, False]]), np.array([[0.9, 0.1]]))

    assert measured.counts[13] == 2
    assert measured.error == pytest.approx(0.1)
