from fractions import Fraction
from typing import Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy.stats import binom, binomtest

from vouch.bundle.accuracy import Accuracy, counting_batch, wilson_interval
from vouch.bundle.tally import Tally

COUNTS = st.integers(1, 1_000_000).flatmap(lambda total: st.tuples(st.integers(0, total), st.just(total)))


@pytest.mark.parametrize(
    ("correct", "total", "corrected", "plain"),
    [
        (81, 263, (0.2535, 0.3682), (0.2553, 0.3662)),
        (15, 148, (0.0598, 0.1644), (0.0624, 0.1605)),
        (0, 20, (0.0, 0.2005), (0.0, 0.1611)),
        (1, 29, (0.0018, 0.1963), (0.0061, 0.1718)),
    ],
)
def test_the_interval_is_the_published_one(
    correct: int, total: int, corrected: tuple[float, float], plain: tuple[float, float]
) -> None:
    """The values of R. G. Newcombe, Statistics in Medicine 17 (1998), table I, methods 4 and 3, come out."""
    assert wilson_interval(correct, total) == pytest.approx(corrected, abs=5e-5)
    assert wilson_interval(correct, total, corrected=False) == pytest.approx(plain, abs=5e-5)


@pytest.mark.parametrize(("method", "corrected"), [("wilsoncc", True), ("wilson", False)])
@given(COUNTS)
def test_the_interval_is_scipys(method: Literal["wilson", "wilsoncc"], corrected: bool, count: tuple[int, int]) -> None:
    """SciPy's Wilson interval, with continuity correction and without, is the same for every count."""
    correct, total = count
    expected = binomtest(correct, total).proportion_ci(confidence_level=0.95, method=method)

    found = wilson_interval(correct, total, corrected=corrected)
    assert found == pytest.approx((expected.low, expected.high), abs=1e-9)


@pytest.mark.parametrize("total", [1, 2, 3, 6, 10, 26, 50, 100])
def test_the_interval_keeps_its_promise_whatever_the_accuracy_is(total: int) -> None:
    """In at least 94.5 of 100 draws of so many images it holds the true accuracy, also near 0 and near 1."""
    counts = np.arange(total + 1)
    low, high = np.array([wilson_interval(int(count), total) for count in counts]).T
    for true in np.linspace(0.001, 0.999, 499):
        held = (low <= true) & (true <= high)
        assert binom.pmf(counts, total, true)[held].sum() > 0.945


@given(COUNTS)
def test_the_interval_holds_the_accuracy(count: tuple[int, int]) -> None:
    """The interval lies within 0 to 1, holds the accuracy, and mirrors where right and wrong are swapped."""
    correct, total = count
    low, high = wilson_interval(correct, total)

    assert 0 <= low <= correct / total <= high <= 1
    assert wilson_interval(total - correct, total) == pytest.approx((1 - high, 1 - low), abs=1e-12)


def test_no_answers_allow_every_accuracy() -> None:
    """Without answers the accuracy is given as 0 and the interval says that nothing is known."""
    nothing = Accuracy(correct=0, total=0)

    assert (nothing.accuracy, nothing.low, nothing.high) == (0.0, 0.0, 1.0)


@pytest.mark.parametrize(("correct", "total"), [(3, 2), (-1, 2), (0, -1)])
def test_impossible_counts_are_refused(correct: int, total: int) -> None:
    """There are no more right answers than answers, and no negative number of either."""
    with pytest.raises(ValidationError):
        Accuracy(correct=correct, total=total)


def test_an_accuracy_reads_well() -> None:
    """As text it has the count, the share and the interval."""
    text = str(Accuracy(correct=9_500, total=10_000))

    assert text == "9,500 of 10,000 = 95.00% (95 % interval 94.55% to 95.41%)"


@given(st.integers(2, 5), st.data())
def test_a_tally_counts_as_one_would_by_hand(classes: int, data: st.DataObject) -> None:
    """However the answers come in batches, each cell of the confusion matrix is the number of such answers."""
    row = st.lists(st.sampled_from([0.1, 0.2, 0.5]), min_size=classes, max_size=classes)
    answer = st.tuples(st.integers(0, classes - 1), row)
    batches = data.draw(st.lists(st.lists(answer, min_size=1, max_size=6), max_size=4))
    tally = Tally()
    expected = [[0] * classes for _ in range(classes)]
    for batch in batches:
        tally.add(np.array([label for label, _ in batch]), np.array([chances for _, chances in batch], np.float32))
        for label, chances in batch:
            expected[label][chances.index(max(chances))] += 1
    correct, total = sum(expected[k][k] for k in range(classes)), sum(map(len, batches))

    assert tally.confusion.as_rows(classes).tolist() == expected
    assert (tally.accuracy.correct, tally.accuracy.total) == (correct, total)
    assert tally.accuracy.accuracy == (float(Fraction(correct, total)) if total else 0.0)


@pytest.mark.parametrize("dtype", [np.int64, np.uint8, np.int32])
def test_labels_of_any_integer_type_are_counted(dtype: type) -> None:
    """Labels in a narrow type do not overflow when there are many classes."""
    tally = Tally()
    tally.add(np.array([99, 120], dtype), np.eye(200, dtype=np.float32)[[99, 199]])

    assert [*tally.confusion.pairs()] == [(99, 99, 1), (120, 199, 1)]
    assert tally.accuracy == Accuracy(correct=1, total=2)


def test_the_first_of_equals_is_the_answer() -> None:
    """Where two classes are equally probable, the first one is the answer, as in every runtime's argmax."""
    tally = Tally()
    tally.add(np.array([1, 2]), np.array([[0.2, 0.4, 0.4], [0.2, 0.4, 0.4]], np.float32))

    assert [*tally.confusion.pairs()] == [(1, 1, 1), (2, 1, 1)]


@pytest.mark.parametrize(
    ("shape", "expected"), [((28, 28), 256), ((224, 224, 3), 55), ((4096, 4096, 3), 1), ((1,), 256)]
)
def test_a_claim_is_counted_in_batches_of_bounded_size(shape: tuple[int, ...], expected: int) -> None:
    """256 images, or 8 MiB of their pixels where that are fewer; never none."""
    assert counting_batch(shape) == expected
