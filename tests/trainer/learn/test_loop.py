from dataclasses import replace
from math import isfinite, isnan

import numpy as np
import pytest
import torch

from vouch.bundle.array_digest import array_digest
from vouch.bundle.training import Augmentation, Loss, Recipe
from vouch.sources.examples import Examples
from vouch.trainer.errors import TrainError
from vouch.trainer.kinds import ModelKind
from vouch.trainer.learn.course import Fitted, Step
from vouch.trainer.learn.hard import for_hard_images
from vouch.trainer.learn.loop import fit
from vouch.trainer.learn.losses import Measured, measure
from vouch.trainer.learn.networks import Classifier, Layers
from vouch.trainer.learn.pixels import Pixels
from vouch.trainer.learn.variants import Variants
from vouch.trainer.splits.split import Splits

QUICK = Recipe(epochs=2, batch_size=8, learning_rate=0.02, optimizer="sgd")


def made_up(fit_size: int = 30, shape: tuple[int, ...] = (6, 5)) -> Splits:
    """Noise in three classes, each with a bright row of its own."""
    random = np.random.default_rng(0)

    def part(count: int) -> Examples:
        labels = np.arange(count) % 3
        images = random.integers(0, 150, (count, *shape), dtype=np.uint8)
        images[np.arange(count), labels] += 100
        return Examples(images, labels)

    return Splits(("a", "b", "c"), part(fit_size), part(9), part(9), ())


def made(kind: ModelKind, shape: tuple[int, ...] = (6, 5), classes: int = 3, seed: int = 0) -> Classifier:
    torch.manual_seed(seed)
    return Classifier(kind, shape, classes)


def digest(classifier: Classifier) -> str:
    return array_digest(*(weights.detach().numpy() for weights in classifier.parameters()))


def counted(classifier: Classifier, part: Examples) -> tuple[float, float]:
    measured = measure(classifier, Pixels(part.images), torch.from_numpy(part.labels))
    return measured.loss, measured.accuracy


def test_random_weights_guess(fitted: tuple[Classifier, Fitted], splits: Splits) -> None:
    """Before training about one digit in ten is right, which is chance."""
    before = fitted[1].epochs[0]
    _, accuracy = counted(made("linear", (8, 8), classes=10, seed=1), splits.fit)

    assert before.number == 0
    assert isnan(before.fit_loss)
    assert before.tune_accuracy < 0.3
    assert 0.02 < accuracy < 0.25


def test_training_learns(fitted: tuple[Classifier, Fitted], splits: Splits) -> None:
    """After training a single layer knows most digits that it has never seen."""
    classifier, result = fitted
    _, accuracy = counted(classifier, splits.validation)

    assert accuracy > 0.9
    assert result.best.tune_accuracy > 0.85
    assert result.seconds > 0


def test_the_loss_falls(fitted: tuple[Classifier, Fitted]) -> None:
    """The loss is lower after every epoch of so few, on what is fitted and on what is not."""
    epochs = fitted[1].epochs
    fit_losses, tune_losses = [epoch.fit_loss for epoch in epochs[1:]], [epoch.tune_loss for epoch in epochs]

    assert [epoch.number for epoch in epochs] == [0, 1, 2, 3, 4, 5]
    assert fit_losses == sorted(fit_losses, reverse=True)
    assert tune_losses[-1] < 0.5 * tune_losses[0]


@pytest.mark.parametrize("kind", ["linear", "mlp", "cnn"])
@pytest.mark.parametrize("loss", ["cross-entropy", "mse"])
@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_every_network_learns_with_either_loss(kind: ModelKind, loss: Loss, optimizer: str) -> None:
    """Each network learns the made-up classes, whichever loss and optimizer it is trained with."""
    splits = made_up(fit_size=90)
    rate = {"sgd": 0.5 if loss == "mse" else 0.05, "adamw": 0.01}[optimizer]
    recipe = Recipe(12, 16, rate, "sgd" if optimizer == "sgd" else "adamw", loss=loss)
    classifier = made(kind)
    result = fit(classifier, splits, recipe)

    assert result.epochs[-1].fit_loss < result.epochs[1].fit_loss
    assert counted(classifier, splits.validation)[1] >= 7 / 9


@pytest.mark.parametrize("kind", ["linear", "mlp", "cnn"])
@pytest.mark.parametrize("shape", [(6, 5), (6, 5, 3)])
def test_the_images_stay_and_the_weights_change(kind: ModelKind, shape: tuple[int, ...]) -> None:
    """Training changes every layer's weights, never an image or a label, also where it makes variants of images."""
    splits = made_up(shape=shape)
    classifier = made(kind, shape)
    images, weights = splits.digests(), [weights.detach().clone() for weights in classifier.parameters()]
    fit(classifier, splits, replace(QUICK, augment=Augmentation()))

    assert splits.digests() == images
    assert all(not torch.equal(*pair) for pair in zip(weights, classifier.parameters(), strict=True))


def test_images_that_cannot_be_written_are_taken() -> None:
    """Images in read-only memory, such as a mapped file, can be trained on, and so can a view that is not in order."""
    splits = made_up()
    turned = splits.fit.images[::-1]
    turned.setflags(write=False)
    read_only = replace(splits, fit=Examples(turned, splits.fit.labels[::-1].copy()))

    assert len(fit(made("linear"), read_only, QUICK).epochs) == 3


def test_the_best_epoch_is_kept() -> None:
    """The classifier has the weights of the epoch with the lowest loss on tune, not those of the last one."""
    splits = made_up()
    wrong = Examples(splits.tune.images, (splits.tune.labels + 1) % 3)
    misled = replace(splits, tune=wrong)  # the better it is fitted, the worse it gets
    classifier = made("linear")
    untrained = digest(classifier)
    result = fit(classifier, misled, replace(QUICK, epochs=4, learning_rate=0.5))

    assert result.best == min(result.epochs, key=lambda epoch: epoch.tune_loss_calibrated)
    assert result.best.number < 4
    assert counted(classifier, wrong) == pytest.approx((result.best.tune_loss, result.best.tune_accuracy), rel=1e-5)
    assert (digest(classifier) == untrained) == (result.best.number == 0)


def test_what_is_kept_is_what_was_measured(fitted: tuple[Classifier, Fitted], splits: Splits) -> None:
    """Measuring the finished classifier on tune again gives the best epoch's loss and accuracy."""
    classifier, result = fitted

    assert result.best == min(result.epochs, key=lambda epoch: epoch.tune_loss_calibrated)
    assert counted(classifier, splits.tune) == pytest.approx((result.best.tune_loss, result.best.tune_accuracy))
    assert not classifier.training


@pytest.mark.parametrize("kind", ["linear", "mlp", "cnn"])
def test_training_repeats(kind: ModelKind) -> None:
    """From the same seed the same weights come out; the order of the images follows from the recipe's seed."""

    def trained(seed: int) -> str:
        classifier = made(kind)
        fit(classifier, made_up(), replace(QUICK, epochs=1, seed=seed, augment=Augmentation()))
        return digest(classifier)

    assert trained(1) == trained(1)
    assert trained(1) != trained(2)


def test_variants_are_trained_on_where_the_recipe_says_so() -> None:
    """With augmentation the same start and the same order of images lead to other weights than without."""
    plain, varied = made("linear"), made("linear")
    one_step = replace(QUICK, epochs=1, batch_size=30)
    fit(plain, made_up(), one_step)
    fit(varied, made_up(), replace(one_step, augment=Augmentation()))

    assert digest(plain) != digest(varied)


def test_a_loss_that_is_no_number_ends_it() -> None:
    """With far too high a rate, training stops with the step, the rate and what to do."""
    recipe = replace(QUICK, epochs=50, learning_rate=1e38)

    with pytest.raises(
        TrainError, match=r"the loss is (nan|inf) at step \d+, rate \S+e\+\d+: try a lower --learning-rate"
    ):
        fit(made("linear"), made_up(), recipe)


@pytest.mark.parametrize(("fit_size", "batch_size", "steps"), [(30, 8, 4), (30, 30, 1), (30, 100, 1), (31, 10, 4)])
def test_steps_are_told_as_they_are_made(fit_size: int, batch_size: int, steps: int) -> None:
    """Who asks is told of every step by its number, and of every epoch when it has ended."""
    told: list[Step] = []
    recipe = replace(QUICK, batch_size=batch_size)
    result = fit(made("linear"), made_up(fit_size), recipe, on_step=told.append)

    assert [step.number for step in told] == list(range(2 * steps + 1))
    assert [(step.number, step.epoch) for step in told if step.epoch] == [
        (steps * epoch.number, epoch) for epoch in result.epochs
    ]
    assert all(step.rate > 0 and isfinite(step.loss) for step in told[1:])
    assert {step.of for step in told} == {2 * steps}


def test_an_epoch_tells_how_the_fit_images_were_answered(splits: Splits) -> None:
    """Loss and accuracy on fit are counted as they pass: near chance's in the first steps, better with every epoch."""
    told: list[Step] = []
    recipe = replace(QUICK, epochs=3, batch_size=32)
    _, *epochs = fit(made("linear", (8, 8), classes=10), splits, recipe, on_step=told.append).epochs
    first_steps = [step.loss for step in told[1:4]]

    assert min(first_steps) > 1
    assert epochs[0].fit_accuracy < epochs[1].fit_accuracy <= epochs[2].fit_accuracy <= 1
    assert epochs[0].fit_loss > epochs[2].fit_loss
    assert all(epoch.seconds > 0 for epoch in epochs)


@pytest.mark.parametrize("kind", ["linear", "mlp", "cnn"])
@pytest.mark.parametrize("batch_size", [3, 16, 29, 30, 40])
@pytest.mark.parametrize("epochs", [1, 3])
def test_any_number_of_images_can_be_gone_through(kind: ModelKind, batch_size: int, epochs: int) -> None:
    """No remainder of images and no small number of steps is too odd; 30 fit images here, 1 to 30 steps."""
    result = fit(made(kind), made_up(), replace(QUICK, epochs=epochs, batch_size=batch_size))

    assert len(result.epochs) == epochs + 1
    assert all(np.isfinite([epoch.fit_loss for epoch in result.epochs[1:]]))


@pytest.mark.parametrize("kind", ["mlp", "cnn"])
def test_one_image_a_step_is_refused(kind: ModelKind) -> None:
    """A network that normalises over a step's images cannot learn from one at a time, and says what to do."""
    with pytest.raises(TrainError, match="at least 2 images in every step: pass --batch-size"):
        fit(made(kind), made_up(), replace(QUICK, batch_size=1))


def test_fitting_ends_where_the_fit_loss_leaves_little_to_learn() -> None:
    """Fewer epochs than were planned, the last of them at a rate that has fallen; it is said, and it repeats."""
    recipe = replace(QUICK, epochs=40, learning_rate=0.05, enough=0.3)
    told: list[Step] = []
    result = fit(made("linear"), made_up(), recipe, on_step=told.append)
    notes = [epoch.note for epoch in result.epochs if epoch.note]

    assert 5 < len(result.epochs) - 1 < 40
    assert notes == [f"the loss on fit leaves little to learn, so training ends after {len(result.epochs) - 1} epochs"]
    assert told[-1].rate < 0.1 * max(step.rate for step in told)
    again = fit(made("linear"), made_up(), recipe)
    assert [epoch.fit_loss for epoch in again.epochs[1:]] == [epoch.fit_loss for epoch in result.epochs[1:]]
    assert len(fit(made("linear"), made_up(), replace(recipe, enough=0.0)).epochs) - 1 == 40


def test_all_that_an_epoch_changes_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was found of variants and that it ends early are two sentences."""
    monkeypatch.setattr(Variants, "end_epoch", lambda *_: "variants are weaker")
    turned = Augmentation(rotation=0.1, scaling=0, shear=0, shift=0)
    fitted = fit(made("cnn"), made_up(), replace(QUICK, epochs=4, enough=10.0, augment=turned))

    assert (
        fitted.epochs[1].note
        == "variants are weaker; the loss on fit leaves little to learn, so training ends after 2 epochs"
    )


@pytest.mark.parametrize(("settled", "best"), [(0.0, 1), (0.75, 7), (1.0, 8)])
def test_an_early_epoch_is_the_best_only_where_tune_can_tell(
    settled: float, best: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the recipe says so, the best epoch is among those after a share of the schedule, and the best of these; at
    1 it is the last, whatever tune says."""
    losses = iter([9.0, *map(float, range(1, 9))])
    monkeypatch.setattr("vouch.trainer.learn.epochs.measure", lambda *_: Measured(1.0, next(losses), 0.5))

    result = fit(made("linear"), made_up(), replace(QUICK, epochs=8, settled=settled))

    assert result.best.number == best


@pytest.mark.parametrize("seed", [0, 4])
def test_a_fit_of_hard_images_is_one_by_their_recipe(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """To the last bit, so that the recorded recipe repeats it; it is said why it began again."""
    monkeypatch.setattr("vouch.trainer.learn.epochs.measure", lambda *_: Measured(1.0, 1.0, 0.9))
    augment, told = Augmentation(crop=0.75, bend=0.1), list[Step]()
    recipe = replace(QUICK, epochs=3, hard_epochs=4, focus=0.8, augment=augment, seed=seed)
    expected = for_hard_images(recipe, an_epoch=4)
    begun, splits = made("cnn", (8, 8), seed=seed), made_up(shape=(8, 8))
    torch.manual_seed(seed)
    straight = Classifier("cnn", (8, 8), 3, Layers.of(expected))

    result, same = fit(begun, splits, recipe, on_step=told.append), fit(straight, splits, expected)

    assert digest(begun) == digest(straight)
    assert (result.recipe, same.recipe) == (expected, None)
    assert len(result.epochs) == len(same.epochs) == 5
    found = "these images are hard: tune accuracy is only 90.0% after epoch 2, so fitting restarts, for 4 epochs"
    assert [epoch.note for epoch in result.epochs] == [found, "", "", "", ""]
    assert [step.number for step in told] == [*range(9), *range(17)]
    assert told[-1].of == 16


def test_easy_images_are_fitted_as_planned(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where enough of tune is right, nothing begins again."""
    monkeypatch.setattr("vouch.trainer.learn.epochs.measure", lambda *_: Measured(1.0, 1.0, 0.95))

    result = fit(made("linear"), made_up(), replace(QUICK, epochs=5, hard_epochs=12))

    assert (len(result.epochs) - 1, result.recipe) == (5, None)
