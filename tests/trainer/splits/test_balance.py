from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight

from vouch.bundle.training import Recipe
from vouch.sources.examples import Examples
from vouch.trainer.learn.checkpoint import Checkpoint
from vouch.trainer.learn.loop import fit
from vouch.trainer.learn.losses import measure
from vouch.trainer.learn.networks import Classifier
from vouch.trainer.learn.pixels import as_tensors
from vouch.trainer.splits.balance import class_weights, uneven_classes
from vouch.trainer.splits.split import Splits


def test_the_weights_are_scikit_learns() -> None:
    """Every class counts the same together, as in scikit-learn's balanced weights."""
    labels = np.random.default_rng(0).choice(4, 500, p=[0.7, 0.2, 0.05, 0.05])
    oracle = compute_class_weight("balanced", classes=np.arange(4), y=labels)

    np.testing.assert_allclose(class_weights(labels, 4), oracle, rtol=1e-6)


def test_a_label_weighs_as_many_images_as_lack_it() -> None:
    """Of several labels, presence counts as often as there are images without it for each one with it."""
    labels = np.array([[True, True], [False, True], [False, True], [False, False]])

    np.testing.assert_allclose(class_weights(labels, 2), [3, 1 / 3])


@pytest.mark.parametrize(("counts", "said"), [((9, 3), True), ((8, 3), False), ((3, 3), False)])
def test_classes_that_are_far_apart_are_named(counts: tuple[int, int], said: bool) -> None:
    """Three times as many images are worth a sentence."""
    sentences = uneven_classes(np.repeat([0, 1], counts), ("cat", "dog"))

    assert len(sentences) == said
    if said:
        assert "cat has 9 fit images, dog has 3; --balance" in sentences[0]


def test_a_label_that_all_images_have_is_named() -> None:
    """Nothing can be learned of it."""
    labels = np.array([[True, False], [True, True], [True, False]])

    assert "all 3 fit images have the label cat" in uneven_classes(labels, ("cat", "dog"))[-1]


def test_a_balanced_fit_finds_more_of_the_rare_class() -> None:
    """Where two classes overlap and one is rare, the plain fit hardly ever answers it; the balanced one does."""
    random = np.random.default_rng(0)

    def part(common: int, rare: int) -> Examples:
        labels = np.repeat([0, 1], (common, rare))
        centre = np.where(labels == 0, 120, 136)[:, None, None]
        return Examples(
            (centre + 20 * random.standard_normal((len(labels), 2, 2))).clip(0, 255).astype(np.uint8), labels
        )

    splits = Splits(("common", "rare"), part(1900, 100), part(190, 10), part(500, 500), ())
    recipe = Recipe(epochs=10, batch_size=100, learning_rate=0.05, optimizer="sgd")
    found = []
    for balance in (False, True):
        torch.manual_seed(0)
        classifier = Classifier("linear", (2, 2), 2)
        fit(classifier, splits, replace(recipe, balance=balance))
        answers = classifier(torch.from_numpy(splits.validation.images)).argmax(dim=1).numpy()
        found.append(float((answers[500:] == 1).mean()))

    assert found[0] < 0.3
    assert found[1] > 0.6


class Remembered(Checkpoint):
    """Keeps the last loss of every image."""

    def save(self, fit: dict[str, Any], done: str) -> None:
        self.losses = fit["steps"]["order"]["losses"]


@pytest.mark.parametrize("labels", ["one", "several"])
def test_the_focus_follows_the_loss_without_the_weights(tmp_path: Path, labels: str, several: Splits) -> None:
    """Which images are hard is the same with and without balance, as long as the weights of the network are."""
    parts = {name: part[:90] for name, part in several.by_name.items()}
    if labels == "one":
        parts = {name: Examples(part.images, (np.arange(90) < 80).astype(int)) for name, part in parts.items()}
    classes = several.classes[: 2 if labels == "one" else 3]
    splits = Splits(classes, parts["fit"], parts["tune"], parts["validation"], ())
    recipe = Recipe(epochs=1, batch_size=30, learning_rate=1e-30, optimizer="sgd", label_smoothing=0.1, focus=0.8)
    losses = []
    for balance in (False, True):
        torch.manual_seed(0)
        remembered = Remembered(tmp_path, "it", {})
        classifier = Classifier("linear", (8, 8), len(splits.classes), task=splits.fit.task)
        fit(classifier, splits, replace(recipe, balance=balance), checkpoint=remembered)
        losses.append(remembered.losses)

    torch.testing.assert_close(losses[1], losses[0])
    assert float(losses[0].std()) > 0.1


@pytest.mark.parametrize("several", [False, True])
def test_balance_does_not_teach_the_rare_class_for_the_common_one(several: bool) -> None:
    """Where classes are easy to tell apart, 300 images beside 10, balance gets all right, smoothed labels or not."""
    random = np.random.default_rng(0)

    def part(common: int, rare: int) -> Examples:
        labels = np.repeat([0, 1], (common, rare))
        images = random.integers(0, 60, (len(labels), 2, 2)) + 150 * labels[:, None, None]
        return Examples(images.astype(np.uint8), (labels[:, None] == [0, 1]) if several else labels)

    splits = Splits(("common", "rare"), part(300, 10), part(30, 1), part(50, 50), ())
    recipe = Recipe(20, 32, 0.05, "adamw", label_smoothing=0.1, focus=0.8, balance=True)
    torch.manual_seed(0)
    classifier = Classifier("linear", (2, 2), 2, task=splits.fit.task)
    fit(classifier, splits, recipe)

    assert measure(classifier, *as_tensors(splits.validation)).accuracy == 1
