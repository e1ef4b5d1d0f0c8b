import numpy as np

from vouch.trainer.report.gallery import PER_CELL, choose_images

LABELS = np.repeat([0, 1], 50)
SHARES = np.linspace(0.51, 0.99, 100)
PROBABILITIES = np.stack([SHARES, 1 - SHARES], axis=1)
"""Everything is called 0, more and more surely."""
CELLS = [(0, 0), (1, 0), (1, 1)]


def test_mistakes_are_the_surest_and_right_answers_the_least_sure() -> None:
    """Each cell shows what there is most to learn from, in that order; an empty cell shows nothing."""
    chosen = choose_images(LABELS, PROBABILITIES, CELLS, most=1000)

    assert chosen[0, 0] == list(range(PER_CELL))
    assert chosen[1, 0] == list(range(99, 99 - PER_CELL, -1))
    assert chosen[1, 1] == []


def test_where_they_are_too_many_all_cells_give_way() -> None:
    """The limit holds over all cells, and none is emptied for another."""
    chosen = choose_images(LABELS, PROBABILITIES, CELLS, most=7)

    assert [len(rows) for rows in chosen.values()] == [4, 3, 0]
    assert choose_images(LABELS, PROBABILITIES, CELLS, most=0)[0, 0] == []
