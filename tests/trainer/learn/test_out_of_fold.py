from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
import torch

from vouch.bundle.multi_label import Task
from vouch.bundle.training import Recipe
from vouch.sources.examples import Examples
from vouch.trainer.kinds import ModelKind
from vouch.trainer.learn import out_of_fold
from vouch.trainer.learn.judges import Judges, in_order_of_fit
from vouch.trainer.learn.loop import fit
from vouch.trainer.learn.networks import Classifier
from vouch.trainer.learn.out_of_fold import fit_folds
from vouch.trainer.learn.processes import ALONE
from vouch.trainer.splits.split import Splits

QUICK = Recipe(epochs=6, batch_size=8, learning_rate=0.02, optimizer="adamw")


def made_up(count: int = 60, several: bool = False) -> Splits:
    """Noise in three classes, each with a bright row of its own."""
    random = np.random.default_rng(0)
    labels = np.arange(count) % 3
    images = random.integers(0, 150, (count, 6, 6), dtype=np.uint8)
    images[np.arange(count), labels] += 100
    part = Examples(images, np.eye(3, dtype=np.bool_)[labels] if several else labels)
    return Splits(("a", "b", "c"), part, part[:0], part[:9], ())


def made(kind: ModelKind, classes: int = 3, task: Task = "single_label") -> Classifier:
    torch.manual_seed(0)
    return Classifier(kind, (6, 6), classes, task=task)


@pytest.mark.parametrize(
    ("kind", "several", "folds"), [("linear", False, 10), ("linear", True, 10), ("mlp", False, 3), ("cnn", False, 3)]
)
def test_every_image_is_answered_by_a_network_that_has_not_learned_it(
    kind: ModelKind, several: bool, folds: int
) -> None:
    """Once, and better than by chance; what is told of the answers is what the folds' classifiers say."""
    splits = made_up(several=several)
    told = list[tuple[int, int]]()
    found = fit_folds(
        made(kind, task="multi_label" if several else "single_label"),
        splits,
        QUICK,
        ALONE,
        lambda *step: told.append(step),
    )

    assert len(found) == folds
    assert sorted(np.concatenate([fold.rows for fold in found]).tolist()) == list(range(60))
    answers = in_order_of_fit(found, temperature=1.0)
    assert answers is not None
    right = (answers.argmax(axis=1) == np.arange(60) % 3).mean()
    assert right > 0.6
    for fold in found:
        torch.testing.assert_close(fold.classifier(torch.from_numpy(fold.examples.images)), fold.logits)
    done, of = zip(*told, strict=True)
    assert list(done) == sorted(done)
    assert done[-1] == of[-1]


def test_layers_that_are_fitted_at_once_are_fitted_as_one_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of folds that hold nothing back come to the weights of the fit to all images."""
    splits, first = made_up(), made("linear")
    alone = deepcopy(first)
    fit(alone, splits, QUICK)
    monkeypatch.setattr(out_of_fold, "folds_of", lambda labels, *_: np.where(np.arange(len(labels)) == 0, 2, 0))

    found = fit_folds(first, splits, QUICK, ALONE)

    for number, holds_back in ((0, True), (1, False)):
        same = torch.allclose(found[number].classifier.network.weight, alone.network.weight, atol=1e-5)  # type: ignore[arg-type]
        assert same != holds_back


def test_an_image_does_not_touch_the_layer_of_its_own_fold(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another image in its place, of the same pixels, changes what the other folds learn, and never its own."""
    monkeypatch.setattr(out_of_fold, "folds_of", lambda labels, *_: np.arange(len(labels)) % 10)
    splits = made_up()
    before = fit_folds(made("linear"), splits, QUICK, ALONE)
    number = next(number for number, fold in enumerate(before) if 7 in fold.rows)
    images = splits.fit.images[:].copy()
    images[7] = np.random.default_rng(1).permutation(images[7].ravel()).reshape(6, 6)
    after = fit_folds(made("linear"), replace(splits, fit=Examples(images, splits.fit.labels)), QUICK, ALONE)
    same = [
        torch.equal(one.classifier.network.weight, other.classifier.network.weight)  # type: ignore[arg-type]
        for one, other in zip(before, after, strict=True)
    ]

    assert after[number].rows.tolist() == before[number].rows.tolist()
    assert same == [fold == number for fold in range(len(before))]


def test_groups_stay_together_in_folds() -> None:
    """What is held back has no relative among what is learned."""
    splits = made_up()
    groups = np.arange(60) // 6
    found = fit_folds(made("linear"), replace(splits, fit=replace(splits.fit, groups=groups)), QUICK, ALONE)

    for fold in found:
        held = groups[fold.rows]
        assert not set(held) & set(groups[np.setdiff1d(np.arange(60), fold.rows)])


@pytest.mark.parametrize(("kind", "count"), [("linear", 3), ("cnn", 3), ("cnn", 4)])
def test_of_too_few_images_nobody_judges(kind: ModelKind, count: int) -> None:
    """Where every class is one image, or a fold leaves too few to fit to."""
    assert fit_folds(made(kind), made_up(count), replace(QUICK, batch_size=1 + count // 4), ALONE) == () or count > 3


def test_probabilities_are_in_the_order_of_the_parts() -> None:
    """As labels and logits are; those of fit are in fit's own order."""
    splits = made_up()
    found = fit_folds(made("linear"), splits, QUICK, ALONE)
    judges = Judges(found, "cross")
    order = np.concatenate([fold.rows for fold in found])

    assert judges.images == 60
    np.testing.assert_array_equal(judges.labels, splits.fit.labels[order])
    np.testing.assert_allclose(judges.probabilities(2.0), (judges.logits / 2).softmax(dim=1), atol=1e-6)
    answers = in_order_of_fit(found, 2.0)
    assert answers is not None
    np.testing.assert_array_equal(answers[order], judges.probabilities(2.0))
    assert in_order_of_fit((), 1.0) is None
