import numpy as np

from vouch.sources.examples import Examples
from vouch.trainer.splits.together import GIANT, joined, together, units_of_each, with_clusters


def test_partitions_are_joined_with_all_that_follows() -> None:
    """1 with 2 by the one and 2 with 3 by the other makes one of three; numbers follow the first partition."""
    first = np.array(["b", "a", "a", "c", "d"])
    second = np.array([7, 8, 9, 9, 6])

    assert joined(first).tolist() == [1, 0, 0, 2, 3]
    assert joined(first, second).tolist() == [1, 0, 0, 0, 2]
    assert joined(first, second, np.array([0, 1, 2, 3, 0])).tolist() == [1, 0, 0, 0, 1]
    assert joined(np.array([], dtype=np.int64), np.array([], dtype=np.int64)).tolist() == []


def test_equal_images_nearly_equal_ones_and_groups_are_together() -> None:
    """Brightened by a grey level, the very same, or said to be; others are by themselves."""
    images = np.random.default_rng(0).integers(0, 250, (14, 16, 16), dtype=np.uint8)
    images[3], images[5] = images[1], images[1] + 3
    labels = np.zeros(14, dtype=np.int64)

    alike, grouped = together(Examples(images, labels)), together(Examples(images, labels, groups=np.arange(14) // 2))

    assert alike[1] == alike[3] == alike[5]
    assert len(np.unique(alike)) == 12
    assert grouped[0] == grouped[1] == grouped[2] == grouped[3] == grouped[4] == grouped[5] != grouped[6]


def test_folds_can_be_answered_by_what_was_fitted_without_them() -> None:
    """Where a stand shows every image of a class alike, or most of all images, they are by themselves."""
    scenes = np.random.default_rng(0).integers(0, 200, (6, 16, 16), dtype=np.uint8)
    brighter = np.arange(10, dtype=np.uint8)[:, None, None]
    good, bad = scenes[0] + brighter, scenes[1] + brighter
    labels = np.arange(20) // 10

    assert len(np.unique(together(Examples(np.concatenate([good, bad]), labels)))) == 20
    assert len(np.unique(together(Examples(np.concatenate([good, bad]), np.eye(2, dtype=np.bool_)[labels])))) == 20
    mixed = np.concatenate([good, bad[:4], scenes[2:]])
    assert len(np.unique(together(Examples(mixed, np.arange(18) % 2)))) == 10 + 1 + 4


def test_clusters_that_are_most_of_a_class_are_left_out() -> None:
    """Of more than twenty images; what must stay together still does."""
    labels, unit = np.zeros(60, dtype=np.int64), np.arange(60) // 2
    small, large = (np.where(np.arange(60) < count, 0, np.arange(60)) for count in (GIANT, 40))
    several = np.stack([labels == 0, np.arange(60) % 2 == 0], axis=1)

    assert len(np.unique(with_clusters(labels, unit, small))) == 21
    assert len(np.unique(with_clusters(labels, unit, large))) == 30
    assert len(np.unique(with_clusters(several, unit, large))) == 30
    assert len(np.unique(with_clusters(labels[:GIANT], unit[:GIANT], small[:GIANT]))) == 1


def test_units_of_a_class_are_counted_once() -> None:
    """However many images of it they have; a unit may be of several classes."""
    unit = np.array([4, 4, 4, 9, 9, 2])

    assert units_of_each(np.array([0, 0, 1, 1, 1, 0]), unit, 3).tolist() == [2, 2, 0]
    assert units_of_each(np.eye(3, dtype=bool)[[0, 0, 1, 1, 1, 0]], unit, 3).tolist() == [2, 2, 0]
