import time

import pytest
from scipy.stats import binomtest

from vouch.bundle.mcnemar import holm, mcnemar, mcnemar_loss


@pytest.mark.parametrize(
    ("first", "second"), [(0, 0), (0, 1), (1, 1), (3, 12), (12, 31), (40, 41), (0, 60), (900, 1100)]
)
def test_the_p_value_is_that_of_a_fair_coin(first: int, second: int) -> None:
    """scipy's exact binomial test says the same, and it does not matter which of the two is called the first."""
    expected = binomtest(first, first + second).pvalue if first + second else 1.0

    assert mcnemar(first, second) == pytest.approx(expected, rel=1e-9)
    assert mcnemar(second, first) == mcnemar(first, second)


@pytest.mark.parametrize(
    ("first", "second"), [(0, 0), (0, 1), (5, 0), (4, 0), (1, 1), (12, 3), (3, 12), (60, 0), (0, 60), (900, 1100)]
)
def test_the_one_sided_p_value_says_whether_the_second_is_worse(first: int, second: int) -> None:
    """scipy's one-sided binomial test says the same."""
    expected = binomtest(second, first + second, alternative="less").pvalue if first + second else 1.0

    assert mcnemar_loss(first, second) == pytest.approx(expected, rel=1e-9)


def test_a_million_answers_take_no_time() -> None:
    """A server compares versions where it decides what to serve: nothing may wait long there."""
    started = time.process_time()

    assert mcnemar(499_000, 501_000) == pytest.approx(0.0455, rel=0.01)
    assert mcnemar(0, 1_000_000) == 0.0
    assert mcnemar_loss(499_000, 501_000) == pytest.approx(1 - 0.0455 / 2, rel=0.01)
    assert time.process_time() - started < 5.0


def test_holm_by_hand() -> None:
    """The smallest counts three times, the next twice, the largest once, and none comes before one that was smaller."""
    assert holm([0.04, 0.01, 0.03]) == pytest.approx([0.06, 0.03, 0.06])
    assert holm([0.9, 0.8]) == pytest.approx([1.0, 1.0])
    assert holm([0.2]) == [0.2]
    assert holm([]) == []
