"""The interval of a claim whose model was chosen by it, among several.

The best of several counts is too high on average, even if all models are equally good: chance takes part in the choice.
So its interval is corrected for the number of models (O. J. Dunn, Multiple comparisons among means, JASA 56 (1961)):
with 95 % confidence, all intervals contain their model's accuracy, whichever is chosen.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

from vouch.bundle.accuracy import Accuracy, wilson_interval


@dataclass(frozen=True)
class Selection:
    """The candidate with the most right answers, and the interval of its accuracy after this choice."""

    candidates: int
    """Number of models to choose from, two or more."""
    winner: int
    """Its position among the bundles; the first of equally good ones."""
    counted: Accuracy
    """The winner's right answers."""
    low: float
    """Lower end of its 95 % interval, corrected for the number of candidates."""
    high: float


def select(counted: Sequence[Accuracy], candidates: Sequence[int]) -> Selection | None:
    """The choice that the counts suggest; None with fewer than two candidates.

    Args:
        counted: of each bundle on its validation split.
        candidates: positions of the bundles that can be compared with each other.
    """
    if len(candidates) < 2:
        return None
    winner = max(candidates, key=lambda number: (counted[number].accuracy, -number))
    count = counted[winner]
    z = NormalDist().inv_cdf(1 - 0.05 / (2 * len(candidates)))
    return Selection(len(candidates), winner, count, *wilson_interval(count.correct, count.total, z))


def in_words(selection: Selection, name: str) -> str:
    """A warning about the choice.

    Args:
        name: of the winner.
    """
    count = selection.counted
    return (
        f"If you choose one of these {selection.candidates} models by its count, its claim is spent: the best of "
        f"several counts is too high on average. If you choose {name} for its {count.correct:,} of {count.total:,}, "
        f"rely on {selection.low:.2%} to {selection.high:.2%}, its 95 % interval corrected for {selection.candidates} "
        "candidates, or evaluate it on images that were not used for the choice: vouch evaluate --data."
    )
