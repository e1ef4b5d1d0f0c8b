import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from vouch.trainer.splits.draw import draw


@settings(max_examples=60)
@given(
    st.integers(1, 80),
    st.integers(2, 30),
    st.integers(1, 3),
    st.floats(0.02, 0.8),
    st.integers(1, 2),
    st.integers(0, 99),
)
def test_what_belongs_together_goes_to_one_part(
    count: int, units: int, classes: int, share: float, keep: int, seed: int
) -> None:
    """As a whole; and of a class in more than `keep` units of its own, enough of them stay and at least one goes."""
    random = np.random.default_rng(seed)
    unit = random.integers(0, units, count)
    labels = unit % classes

    second = draw(labels, unit, share, keep, random)

    assert len(np.unique(unit[second])) + len(np.unique(unit[~second])) == len(np.unique(unit))
    for label in range(classes):
        of_label = np.unique(unit[labels == label])
        gone = len(np.unique(unit[second & (labels == label)]))
        assert gone <= max(0, len(of_label) - keep)
        assert gone >= (len(of_label) > keep)


def test_rows_alone_are_drawn_in_the_order_of_chance() -> None:
    """As many of each class as its share says, the first ones of a shuffled row: splits of before stay as they were."""
    labels = np.repeat([0, 1, 2], [50, 30, 3])

    second = draw(labels, np.arange(83), 0.1, 2, np.random.default_rng(5))

    random, wanted = np.random.default_rng(5), np.zeros(83, dtype=bool)
    for label, count in ((0, 5), (1, 3), (2, 1)):
        wanted[random.permutation(np.flatnonzero(labels == label))[:count]] = True
    assert second.tolist() == wanted.tolist()


def test_a_draw_that_parts_nothing_stays_as_it_was() -> None:
    """Two rows that were drawn anyway, and two that were not, change nothing by belonging together."""
    labels, alone = np.arange(60) % 2, np.arange(60)
    before = draw(labels, alone, 0.2, 1, np.random.default_rng(3))
    unit = alone.copy()
    for rows in (np.flatnonzero(before & (labels == 0)), np.flatnonzero(~before & (labels == 1))):
        unit[rows[1]] = unit[rows[0]]

    assert draw(labels, unit, 0.2, 1, np.random.default_rng(3)).tolist() == before.tolist()


def test_groups_of_several_classes_keep_the_shares() -> None:
    """57 patients with one to eight images of three classes: about a fifth of the images, and of each class."""
    random = np.random.default_rng(0)
    unit = np.repeat(np.arange(57), random.integers(1, 9, 57))
    labels = random.choice(3, len(unit), p=[0.5, 0.3, 0.2])
    for seed in range(5):
        second = draw(labels, unit, 0.2, 2, np.random.default_rng(seed))

        shares = np.bincount(labels[second], minlength=3) / np.bincount(labels)
        assert 0.18 < second.mean() < 0.22
        assert (shares > 0.17).all()
        assert (shares < 0.23).all()


def test_the_smallest_unit_goes_where_none_fits() -> None:
    """Of three bursts of ten, eight and nine images, with a share of one image."""
    labels, unit = np.zeros(27, dtype=np.int64), np.repeat([5, 6, 7], [10, 8, 9])

    assert unit[draw(labels, unit, 0.05, 1, np.random.default_rng(0))].tolist() == [6] * 8


def test_a_whole_unit_goes_rather_than_hardly_any_row() -> None:
    """One image alone beside bursts of thirty: with it alone, the second part would have 1 of 9."""
    labels, unit = np.zeros(91, dtype=np.int64), np.append(np.arange(90) // 30, 9)

    assert unit[draw(labels, unit, 0.1, 1, np.random.default_rng(0))].size in (30, 31)
