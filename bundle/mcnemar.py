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
    total, fewer = only_first + only_second, min(only_first, only_second)
    largest = (
        lgamma(total + 1) - lgamma(fewer + 1) - lgamma(total - fewer + 1) - total * log(2)
    )  # of comb(total, fewer)
    term, ways = 1.0, 0.0  # in parts of the largest
    for i in range(fewer, -1, -1):
        ways += term
        term *= i / (total - i + 1)
        if term < NEGLIGIBLE:
            break
    return min(1.0, 2 * ways * exp(largest))


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
