import numpy as np
import pytest

from vouch.trainer.learn.folds import alike, folds_of


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


def test_equal_images_and_nearly_equal_ones_are_alike() -> None:
    """Brightened by a grey level, or the very same; others are by themselves."""
    images = np.random.default_rng(0).integers(0, 250, (6, 16, 16), dtype=np.uint8)
    images[3], images[5] = images[1], images[1] + 3

    groups = alike(images)

    assert groups[1] == groups[3] == groups[5]
    assert len(np.unique(groups)) == 4
