"""Whether two classifiers differ by more than chance, asked the same images."""

from collections.abc import Sequence

SIGNIFICANT = 0.05
"""Below this p-value a difference is called more than chance."""


def mcnemar(only_first: int, only_second: int) -> float:
    """The two-sided p-value of McNemar's test, exact.

    Were both equally good, each image that only one of them answers rightly would be the one's or the other's like the
    toss of a coin; the p-value is the chance that so many tosses fall at least as unevenly. Sources: Q. McNemar, Note
    on the sampling error of the difference between correlated proportions, Psychometrika 12 (1947); T. G. Dietterich,
    Approximate statistical tests for comparing supervised classification learning algorithms, Neural Computation 10
    (1998).

    Args:
        only_first: images that only the first answers rightly.
        only_second: images that only the second does.
    """
    total = only_first + only_second
    ways = 0
    term = 1  # comb(total, i), from one i to the next
    for i in range(min(only_first, only_second) + 1):
        ways += term
        term = term * (total - i) // (i + 1)
    return min(1.0, float(2 * ways / 2**total))


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
