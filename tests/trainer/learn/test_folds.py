import numpy as np
import pytest

from vouch.trainer.learn.folds import folds_of


@pytest.mark.parametrize("several", [False, True])
def test_every_class_is_spread_evenly(several: bool) -> None:
    """In each fold as many of it as in any other, within one; of several labels, of each set of them."""
    labels = np.repeat([0, 1, 2], [20, 9, 1])
    fold = folds_of(np.eye(3, dtype=bool)[labels] if several else labels, np.arange(30), 5, seed=0)

    for label in (0, 1, 2):
        counts = np.bincount(fold[labels == label], minlength=5)
        assert np.ptp(counts) <= 1


def test_images_that_belong_together_are_in_one_fold() -> None:
    """Whatever their labels are."""
    groups = np.arange(40) // 2
    fold = folds_of(np.arange(40) % 2, groups, 5, seed=0)

    assert (fold[::2] == fold[1::2]).all()
    assert len(np.unique(fold)) == 5


def test_there_are_no_more_folds_than_groups() -> None:
    """Three images make three folds, and one image makes one."""
    assert sorted(folds_of(np.array([0, 1, 0]), np.arange(3), 5, seed=0)) == [0, 1, 2]
    assert folds_of(np.array([0, 1]), np.zeros(2), 5, seed=0).tolist() == [0, 0]


def test_folds_are_even_by_images_where_groups_are_not() -> None:
    """Two large groups and many small ones: no fold has many more images than another, of a class and of all."""
    groups = np.concatenate([np.repeat([0, 1], 30), np.repeat(np.arange(2, 62), 2)])
    labels = (groups % 2).astype(np.int64)
    fold = folds_of(labels, groups, 5, seed=0)

    assert np.ptp(np.bincount(fold)) <= 16
    assert all(np.bincount(fold[labels == label], minlength=5).min() >= 14 for label in (0, 1))


def test_single_images_are_dealt_in_turn() -> None:
    """So that folds differ by at most one image."""
    fold = folds_of(np.arange(23) % 3, np.arange(23), 4, seed=3)

    assert np.ptp(np.bincount(fold)) <= 1
