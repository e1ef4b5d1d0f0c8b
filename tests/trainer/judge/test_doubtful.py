import numpy as np
import pytest

from vouch.trainer.judge.doubtful import doubtful, surest_first
from vouch.trainer.judge.kernel import left_out, of_pixels
from vouch.trainer.splits.split import Splits


def test_a_contradiction_is_sure_where_the_other_answer_is_as_probable_as_usual() -> None:
    """Images of class 1 are usually called so with 0.7; what is called 1 with less contradicts nothing surely."""
    labels = np.array([1, 1, 0, 0, 0])
    called_one = np.array([0.6, 0.8, 0.75, 0.65, 0.1])
    found = doubtful("fit", labels, np.stack([1 - called_one, called_one], axis=1))

    assert [(doubt.row, doubt.sure) for doubt in found] == [(2, True), (3, False)]
    assert found[0].given == pytest.approx(0.25)
    assert found[0].probability == pytest.approx(0.75)
    assert (found[0].label, found[0].answer) == (0, 1)


def test_a_class_that_nothing_is_labelled_as_contradicts_nothing_surely() -> None:
    """How probable it usually is nobody knows."""
    found = doubtful("fit", np.array([0, 0]), np.array([[0.9, 0.1], [0.1, 0.9]]))

    assert [doubt.sure for doubt in found] == [False]


def test_of_several_labels_the_most_contradicted_is_doubted() -> None:
    """Whether it is there and should not be, or the other way round."""
    labels = np.array([[True, False], [True, True], [False, False], [False, True]])
    probabilities = np.array([[0.9, 0.2], [0.1, 0.9], [0.2, 0.95], [0.1, 0.8]])
    found = doubtful("tune", labels, probabilities)

    assert [(doubt.row, doubt.label, doubt.present) for doubt in found] == [(2, 1, False), (1, 0, True)]
    assert [doubt.sure for doubt in found] == [True, True]
    assert found[0].probability == pytest.approx(0.95)


def test_doubts_of_all_splits_stand_in_one_order() -> None:
    """The surest contradiction first, wherever it is."""
    labels = np.array([0, 1])
    fit = doubtful("fit", labels, np.array([[0.4, 0.6], [0.1, 0.9]]))
    tune = doubtful("tune", labels, np.array([[0.05, 0.95], [0.3, 0.7]]))

    assert [doubt.part for doubt in surest_first(fit + tune)] == ["tune", "fit"]


def test_changed_labels_are_found(splits: Splits) -> None:
    """Of digits with 5 % of the labels changed, four in five of these are among as many as were changed."""
    random = np.random.default_rng(1)
    labels = splits.fit.labels[:400].copy()
    changed = random.choice(400, 20, replace=False)
    labels[changed] = (labels[changed] + random.integers(1, 10, 20)) % 10
    found = doubtful("fit", labels, left_out(of_pixels(splits.fit.images[:400]), labels, 10))

    assert len({doubt.row for doubt in found[:20]} & set(changed.tolist())) >= 16
