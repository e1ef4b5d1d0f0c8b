import numpy as np
import pytest

from vouch.bundle.accuracy import Accuracy, wilson_interval
from vouch.trainer.compare.selection import in_words, select

COUNTED = [Accuracy(correct=correct, total=200) for correct in (180, 186, 150, 186)]


def test_the_best_of_the_candidates_wins() -> None:
    """Of equals the first; one that cannot be compared is no candidate."""
    everybody, without = select(COUNTED, [0, 1, 2, 3]), select(COUNTED, [0, 2, 3])

    assert everybody is not None
    assert without is not None
    assert (everybody.winner, everybody.candidates, everybody.counted) == (1, 4, COUNTED[1])
    assert (without.winner, without.candidates) == (3, 3)


@pytest.mark.parametrize("candidates", [[], [0]])
def test_there_is_no_choice_among_fewer_than_two(candidates: list[int]) -> None:
    """Where nothing else can be compared with the first."""
    assert select(COUNTED, candidates) is None


def test_the_interval_grows_with_the_candidates() -> None:
    """Of two as the 97.5 % interval of one, and wider with each more."""
    two, four = select(COUNTED, [0, 1]), select(COUNTED, [0, 1, 2, 3])

    assert two is not None
    assert four is not None
    assert (two.low, two.high) == pytest.approx(wilson_interval(186, 200, 2.241402727604947))
    assert four.low < two.low < COUNTED[1].low < COUNTED[1].high < two.high < four.high


def test_the_winners_interval_keeps_its_promise() -> None:
    """Of ten equally good models, 1,000 draws: the winner's corrected interval holds its accuracy, the plain one does
    not.
    """
    drawn = np.random.default_rng(0).binomial(300, 0.9, size=(1_000, 10))
    kept = plain = 0
    for row in drawn.tolist():
        counted = [Accuracy(correct=correct, total=300) for correct in row]
        selection = select(counted, range(10))
        assert selection is not None
        kept += selection.low <= 0.9 <= selection.high
        plain += selection.counted.low <= 0.9 <= selection.counted.high

    assert kept / 1_000 >= 0.95 - 3 * np.sqrt(0.95 * 0.05 / 1_000)
    assert plain / 1_000 < 0.9


def test_what_a_choice_costs_is_said() -> None:
    """The claim is spent; what may be relied on instead, and how to get an honest one."""
    selection = select(COUNTED, [0, 1])
    assert selection is not None
    said = in_words(selection, "B")

    assert "If you choose one of these 2 models by its count, its claim is spent" in said
    assert "If you choose B for its 186 of 200, rely on 87.51% to 96.26%" in said
    assert "corrected for 2 candidates" in said
    assert said.endswith("vouch evaluate --data.")
