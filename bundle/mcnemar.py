"""Whether two classifiers differ by more than chance, asked the same images."""

from collections.abc import Sequence
from math import exp, lgamma, log

SIGNIFICANT = 0.05
"""Below this p-value a difference is called more than chance."""
NEGLIGIBLE = 1e-18
"""Of the largest term of a sum: smaller ones do not change it any more."""


def mcnemar(only_first: int, only_second: int) -> float:
    """The two-sided p-value of McNemar's test, exact.

    Were both equally good, each image that only one of them answers rightly would be the one's or the other's like the
    toss of a coin; the p-value is the chance that so many tosses fall at least as unevenly. Sources: Q. McNemar, Note
    on the sampling error of the difference between correlated proportions, Psychometrika 12 (1947); T. G. Dietterich,
    Approximate statistical tests for comparing supervised classification learning algorithms, Neural Computation 10
    (1998).

    Args:
        only_first: images that only the first answers rightly.
        only_second: images that only the second does; of a million images it takes milliseconds.
    """
    return min(1.0, 2 * _at_most(min(only_first, only_second), only_first + only_second))


def mcnemar_loss(only_first: int, only_second: int) -> float:
    """The one-sided p-value that the second is worse, exact; arguments as `mcnemar`.

    The chance that of so many tosses at most `only_second` would fall to the second. Near 1 where it is better.
    """
    total = only_first + only_second
    if only_second < only_first:
        return _at_most(only_second, total)
    return 1 - _at_most(only_first - 1, total)


def _at_most(few: int, tosses: int) -> float:
    """The chance of at most so many heads of a fair coin, at most half of the tosses; -1: none."""
    if few < 0:
        return 0.0
    largest = lgamma(tosses + 1) - lgamma(few + 1) - lgamma(tosses - few + 1) - tosses * log(2)  # of comb(tosses, few)
    term, ways = 1.0, 0.0  # in parts of the largest
    for i in range(few, -1, -1):
        ways += term
        term *= i / (tosses - i + 1)
        if term < NEGLIGIBLE:
            break
    return ways * exp(largest)


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values corrected for their number, so that among all of them chance is taken for more in 1 of 20 cases.

    Source: S. Holm, A simple sequentially rejective multiple test procedure, Scandinavian Journal of Statistics 6
    (1979).
    """
    corrected = [0.0] * len(p_values)
    highest = 0.0
    for rank, i in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[i]))
        corrected[i] = highest
    return corrected
