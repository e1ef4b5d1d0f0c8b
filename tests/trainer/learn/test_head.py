from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.support.backbones import tiny_backbone
from vouch.bundle.training import Recipe
from vouch.sources.examples import Examples
from vouch.sources.images import Images
from vouch.trainer.errors import TrainError
from vouch.trainer.learn import frozen
from vouch.trainer.learn.asked import Asked
from vouch.trainer.learn.backbone.backbone import Backbone
from vouch.trainer.learn.backbone.features import features
from vouch.trainer.learn.course import Fitted, Step
from vouch.trainer.learn.frozen import FrozenClassifier
from vouch.trainer.learn.head import fit_head, wanted_of
from vouch.trainer.learn.judges import in_order_of_fit
from vouch.trainer.learn.presets import PRESETS, recipe_for
from vouch.trainer.splits.split import Splits

RECIPE = PRESETS["backbone", "backbone"]
SHAPE = (8, 8, 3)


def photos(count: int, classes: int, seed: int, several: bool = False) -> Examples:
    """Noise whose colour tells the class; of several labels, each colour is one."""
    random = np.random.default_rng(seed)
    images = random.integers(0, 60, (count, *SHAPE), dtype=np.uint8)
    labels = np.arange(count) % classes
    of_each = random.random((count, classes)) < 0.5 if several else np.eye(classes, dtype=bool)[labels]
    images[..., :classes] += (180 * of_each[:, None, None, :3]).astype(np.uint8)
    return Examples(images, of_each if several else labels)


def splits_of(classes: int, several: bool = False, count: int = 40) -> Splits:
    fit, tune, validation = (photos(size, classes, seed, several) for seed, size in enumerate((count, 12, 12)))
    return Splits(tuple("abcd"[:classes]), fit, tune, validation, warnings=())


def fitted(splits: Splits, recipe: Recipe = RECIPE) -> tuple[FrozenClassifier, Fitted, list[Step]]:
    torch.manual_seed(0)
    model, steps = FrozenClassifier(tiny_backbone(SHAPE), len(splits.classes), splits.task), list[Step]()
    return model, fit_head(model, splits, recipe, on_step=steps.append), steps


@pytest.mark.parametrize(("classes", "several"), [(2, False), (3, False), (3, True)])
def test_a_head_learns_what_the_features_tell(classes: int, several: bool) -> None:
    """Two classes, more, and several labels an image; images that it has never seen are answered right."""
    splits = splits_of(classes, several)
    model, found, _ = fitted(splits)

    said = model.scores_of(splits.validation).numpy()
    right = (said > 0) == splits.validation.labels if several else said.argmax(axis=1) == splits.validation.labels
    assert right.mean() > 0.9
    assert found.best == found.epochs[-1]
    assert found.head is not None
    assert found.head.accuracy is not None
    assert found.head.accuracy > 0.8
    assert np.concatenate([fold.rows for fold in found.folds]).tolist() != list(range(40))
    answered = in_order_of_fit(found.folds, temperature=1.0)
    assert answered is not None
    assert answered.shape == (40, classes)


def test_the_layer_answers_images_as_it_answers_their_features() -> None:
    """Whichever way they come, the scores are the same."""
    splits = splits_of(3)
    model, _, _ = fitted(splits)

    with torch.no_grad():
        torch.testing.assert_close(
            model(torch.from_numpy(np.array(splits.tune.images))), model.scores_of(splits.tune), atol=1e-5, rtol=1e-5
        )


def test_iterations_are_told_as_steps_that_end_an_epoch() -> None:
    """Numbered through; the first before anything was learned, the others with the loss before them."""
    _, found, steps = fitted(splits_of(3))

    assert [step.number for step in steps] == list(range(len(steps)))
    assert [step.epoch for step in steps] == list(found.epochs)
    assert steps[-1].loss < steps[1].loss / 10
    assert found.epochs[1].images == 80, "the images, and their mirror images"


def test_a_head_is_the_same_each_time() -> None:
    """To the last bit."""
    first, again = fitted(splits_of(3)), fitted(splits_of(3))

    assert torch.equal(first[0].head.weight, again[0].head.weight)
    for one, other in zip(first[1].folds, again[1].folds, strict=True):
        assert torch.equal(one.logits, other.logits)


def test_no_image_goes_through_the_backbone_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once as it is and once mirrored, whoever asks; a copy of the classifier knows what the first one does."""
    asked = list[int]()

    def counted(backbone: Backbone, images: Images, flipped: bool = False, threads: int = 1) -> np.ndarray:
        asked.append(len(images))
        return features(backbone, images, flipped, threads)

    monkeypatch.setattr(frozen, "features", counted)
    splits = splits_of(3)
    model, _, _ = fitted(splits)
    followed = torch.from_numpy(np.array(splits.fit.images[:1]))

    for one in (model, deepcopy(model)):
        one.scores_of(splits.tune)
        one(followed)

    assert asked == [40, 40, 12, 1]


@pytest.mark.parametrize(("classes", "several"), [(2, False), (3, True)])
def test_the_heads_of_the_folds_answer_as_they_did(classes: int, several: bool) -> None:
    """Each is a classifier of its own, with the answers to its images that it is told to have given."""
    _, found, _ = fitted(splits_of(classes, several))

    for fold in found.folds:
        own = fold.classifier.as_scores(
            fold.classifier.network(fold.classifier.normalised(torch.from_numpy(np.array(fold.examples.images))))
        )
        torch.testing.assert_close(own.double(), fold.logits, atol=1e-4, rtol=1e-3)


def test_images_that_are_not_mirrored_are_learned_as_they_are() -> None:
    """Where the recipe says so, each is gone through once."""
    _, found, _ = fitted(splits_of(3), replace(RECIPE, augment=None))

    assert found.epochs[1].images == 40


def test_a_penalty_by_name_is_taken() -> None:
    """And the folds say what it is worth."""
    _, found, _ = fitted(splits_of(3), replace(RECIPE, weight_decay=0.5))

    assert found.head is not None
    assert found.head.penalty == 0.5
    assert found.head.accuracy is not None


def test_two_images_of_two_classes_are_enough() -> None:
    """A head of a fold would see one class alone, so there are none, and the usual penalty is taken."""
    splits = splits_of(2, count=2)
    model, found, _ = fitted(splits)

    assert model.scores_of(splits.fit).argmax(dim=1).tolist() == [0, 1]
    assert found.head is not None
    assert (found.head.folds, found.folds) == (0, ())


def test_images_that_are_all_the_same_leave_nothing_to_choose_by() -> None:
    """A penalty is taken that suits most, and nothing is said of other folds."""
    splits = splits_of(2)
    same = Examples(np.zeros_like(splits.fit.images), splits.fit.labels)
    _, found, _ = fitted(replace(splits, fit=same))

    assert found.head is not None
    assert (found.head.folds, found.head.loss, found.folds) == (0, None, ())


def test_balance_lets_a_rare_class_count_as_much() -> None:
    """Of images that tell nothing, the common class is no longer answered more surely than the rare one."""
    images = np.random.default_rng(0).integers(0, 255, (40, *SHAPE), dtype=np.uint8)
    splits = replace(splits_of(2), fit=Examples(images, (np.arange(40) % 8 == 0).astype(np.int64)))
    plain, balanced = (fitted(splits, replace(RECIPE, balance=balance))[0] for balance in (False, True))

    assert plain.scores_of(splits.fit)[:, 1].mean() < -1.5
    assert balanced.scores_of(splits.fit)[:, 1].mean() == pytest.approx(0.0, abs=0.3)


@pytest.mark.parametrize(("classes", "row"), [(2, [0.9]), (4, [0.05, 0.85, 0.05, 0.05])])
def test_smoothing_spreads_a_share_of_the_truth(classes: int, row: list[float]) -> None:
    """Evenly over all classes, of two as well."""
    wanted = wanted_of(torch.tensor([1]), classes, replace(RECIPE, label_smoothing=0.2))

    torch.testing.assert_close(wanted.truth, torch.tensor([row]).double())


def test_another_loss_is_refused() -> None:
    """With what to do."""
    with pytest.raises(TrainError, match="leave --loss out"):
        fitted(splits_of(2), replace(RECIPE, loss="mse"))


@pytest.mark.parametrize(("flip", "mirrored"), [(None, False), (True, True)])
def test_mirror_images_that_belong_to_another_class_are_not_learned(flip: bool | None, mirrored: bool) -> None:
    """Where a side tells the class, cross-validation finds it, and a sentence says so; a flag is obeyed as it is."""
    fit, tune, validation = (bright_on_one_side(count, seed) for seed, count in enumerate((40, 12, 12)))
    recipe = recipe_for(Asked("backbone", "backbone", flip=flip), (40, *SHAPE))
    model, found, _ = fitted(Splits(("left", "right"), fit, tune, validation, warnings=()), recipe)

    right = model.scores_of(validation).numpy().argmax(axis=1) == validation.labels
    assert (found.epochs[1].images == 80) == mirrored
    assert found.epochs[0].note[:31] == ("" if mirrored else "mirrored images are not learned")
    assert mirrored or right.all()


@pytest.mark.parametrize(("classes", "needed"), [(2, False), (3, True)])
def test_earlier_layers_count_only_where_cross_validation_is_clearly_for_them(
    monkeypatch: pytest.MonkeyPatch, classes: int, needed: bool
) -> None:
    """Red, which the last layer sees, tells two classes apart, but not three; what is left out has no weight at all."""

    def colours(_: Backbone, images: Images, *__: object, **___: object) -> np.ndarray:
        found: np.ndarray = np.asarray(images).mean(axis=(1, 2), dtype=np.float32)
        return found

    monkeypatch.setattr(frozen, "features", colours)
    splits, backbone = splits_of(classes), tiny_backbone(SHAPE)
    facts = backbone.facts.model_copy(update={"features": 3})
    model = FrozenClassifier(replace(backbone, facts=facts, earlier=2), classes)

    found = fit_head(model, splits, RECIPE)

    right = model.scores_of(splits.validation).numpy().argmax(axis=1) == splits.validation.labels
    assert right.all()
    assert bool((model.head.weight[:, 1:] != 0).any()) == needed
    assert found.epochs[0].note[:28] == ("earlier layers count as much" if needed else "")
    varying = model.scaled(torch.from_numpy(model.features_of(splits.fit))).std(dim=0)
    share = float(varying[1:].norm() / varying[0])
    assert share == (pytest.approx(1, abs=0.1) if needed else pytest.approx(0, abs=1e-3))


def bright_on_one_side(count: int, seed: int) -> Examples:
    """Grey that rises to the left or to the right, with some noise."""
    random, labels = np.random.default_rng(seed), np.arange(count) % 2
    images = random.integers(0, 40, (count, *SHAPE), dtype=np.uint8)
    images += (30 * np.arange(8, dtype=np.uint8))[None, None, :, None]
    images[labels == 0] = images[labels == 0, :, ::-1]
    return Examples(images, labels)


def test_groups_are_in_one_fold() -> None:
    """Three patients make three folds, however many images there are."""
    splits = splits_of(2)
    patients = replace(splits, fit=replace(splits.fit, groups=np.arange(40) % 3))

    head = fitted(patients)[1].head

    assert head is not None
    assert head.folds == 3
