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
