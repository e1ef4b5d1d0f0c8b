import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import accuracy_score, multilabel_confusion_matrix

from vouch.bundle.claims import MultiLabelClaim, claim_from
from vouch.bundle.multi_label import MultiLabelTally, decide, task_of

THRESHOLDS = (0.5, 0.25, 0.75)
PROBABILITIES = st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0]) | st.floats(0, 1, width=32)


def test_the_labels_tell_the_task() -> None:
    """One number an image, or a row of yes and no."""
    assert task_of(np.array([1, 0])) == "single_label"
    assert task_of(np.array([[True, False]])) == "multi_label"


def test_a_label_is_answered_from_its_threshold_on() -> None:
    """At the threshold it is, just below it is not; an image may get none."""
    below = np.nextafter(np.array(THRESHOLDS, np.float32), np.float32(0))

    assert decide(np.array([THRESHOLDS], np.float32), THRESHOLDS).tolist() == [[True, True, True]]
    assert decide(below[None], THRESHOLDS).tolist() == [[False, False, False]]


@given(st.data(), st.integers(1, 40))
def test_the_count_is_scikit_learns(data: st.DataObject, count: int) -> None:
    """Whole images as its accuracy of label sets, each label as its confusion matrices; batch by batch the same."""
    labels = data.draw(arrays(np.bool_, (count, 3)))
    probabilities = data.draw(arrays(np.float32, (count, 3), elements=PROBABILITIES))
    tally = MultiLabelTally(THRESHOLDS)
    for rows in np.array_split(np.arange(count), 3):
        tally.add(labels[rows], probabilities[rows])
    answers = probabilities >= np.array(THRESHOLDS)

    assert tally.accuracy.total == count
    assert tally.accuracy.correct == accuracy_score(labels, answers, normalize=False)
    np.testing.assert_array_equal(tally.per_label, multilabel_confusion_matrix(labels, answers))


@given(arrays(np.bool_, (20, 3)), arrays(np.float32, (20, 3), elements=PROBABILITIES))
def test_every_count_makes_a_claim(labels: np.ndarray, probabilities: np.ndarray) -> None:
    """What was counted goes together, so it can be claimed."""
    tally = MultiLabelTally(THRESHOLDS)
    tally.add(labels, probabilities)
    claim = claim_from(tally)

    assert isinstance(claim, MultiLabelClaim)
    assert claim.accuracy == tally.accuracy
    assert claim.classes == 3
    assert np.array(claim.per_label).tolist() == tally.per_label.tolist()


def test_an_image_with_one_label_wrong_is_wrong() -> None:
    """One too many or one too few; none at all is right where the image has none."""
    tally = MultiLabelTally(THRESHOLDS)
    labels = np.array([[True, True, False], [True, True, False], [True, True, False], [False, False, False]])
    answered = np.array([[1, 1, 0], [1, 1, 1], [1, 0, 0], [0, 0, 0]], np.float32)

    tally.add(labels, answered)

    assert (tally.accuracy.correct, tally.accuracy.total) == (2, 4)


def test_nothing_counted_is_no_claim() -> None:
    """As for the other kind."""
    tally = MultiLabelTally(THRESHOLDS)

    assert (tally.accuracy.correct, tally.accuracy.total) == (0, 0)
    with pytest.raises(ValueError, match="total"):
        claim_from(tally)
