"""Whether two classifiers differ by more than chance on the same images."""

from collections.abc import Sequence
from math import exp, lgamma, log

SIGNIFICANT = 0.05
"""A difference with a p-value below this counts as more than chance."""
NEGLIGIBLE = 1e-18
"""Share of a sum's largest term; smaller terms do not change the sum."""


def mcnemar(only_first: int, only_second: int) -> float:
    """The exact two-sided p-value of McNemar's test.

    If both are equally good, each image that only one of them answers correctly is like a coin toss; the p-value is
    the probability that this many tosses are at least as uneven. Sources: Q. McNemar, Note
    on the sampling error of the difference between correlated proportions, Psychometrika 12 (1947); T. G. Dietterich,
    Approximate statistical tests for comparing supervised classification learning algorithms, Neural Computation 10
    (1998).

    Args:
        only_first: images that only the first answers correctly.
        only_second: images that only the second answers correctly; a million images take milliseconds.
    """
    return min(1.0, 2 * _at_most(min(only_first, only_second), only_first + only_second))


def mcnemar_loss(only_first: int, only_second: int) -> float:
    """The exact one-sided p-value that the second is worse; arguments as for `mcnemar`.

    The probability that of this many tosses at most `only_second` go to the second. Near 1 if the second is better.
    """
    total = only_first + only_second
    if only_second < only_first:
        return _at_most(only_second, total)
    return 1 - _at_most(only_first - 1, total)


def _at_most(few: int, tosses: int) -> float:
    """The probability of at most `few` heads in tosses of a fair coin, with `few` at most half of them, or -1."""
    if few < 0:
        return 0.0
    largest = lgamma(tosses + 1) - lgamma(few + 1) - lgamma(tosses - few + 1) - tosses * log(2)  # of comb(tosses, few)
    term, ways = 1.0, 0.0  # as shares of the largest
    for i in range(few, -1, -1):
        ways += term
        term *= i / (tosses - i + 1)
        if term < NEGLIGIBLE:
            break
    return ways * exp(largest)


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values corrected for their number: among all of them, chance counts as a difference in at most 1 of 20 cases.

    Source: S. Holm, A simple sequentially rejective multiple test procedure, Scandinavian Journal of Statistics 6
    (1979).
    """
    corrected = [0.0] * len(p_values)
    highest = 0.0
    for rank, i in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[i]))
        corrected[i] = highest
    return corrected
