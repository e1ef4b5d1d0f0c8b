import json
from dataclasses import asdict, replace
from math import ceil, pi
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from vouch.bundle.training import Augmentation, Recipe
from vouch.trainer.kinds import ModelKind, PresetName
from vouch.trainer.learn.asked import Asked
from vouch.trainer.learn.effort import ENOUGH_STEPS, FEW, MEASURED
from vouch.trainer.learn.presets import MIN_BATCH_SIZE, NO_VARIANTS, PRESETS, recipe_for

KINDS: tuple[ModelKind, ...] = ("linear", "mlp", "cnn")
USUAL = PRESETS["digits", "cnn"]
LARGE = (60_000, 28, 28)


@pytest.mark.parametrize("kind", KINDS)
def test_a_large_set_is_trained_as_the_recipe_says(kind: ModelKind) -> None:
    """Where the user asks for nothing and there are many images, the recipe is the network's own."""
    assert recipe_for(Asked(model=kind), LARGE) == PRESETS["digits", kind]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("fit_size", [2, 31, 33, 100, 1_000, 1_365, 5_000])
def test_a_small_set_still_has_steps_to_make(kind: ModelKind, fit_size: int) -> None:
    """With few images there are smaller batches and more rounds; the smaller the network, the more."""
    recipe = recipe_for(Asked(model=kind), (fit_size, 8, 8))
    steps = recipe.epochs * ceil(fit_size * recipe.passes / recipe.batch_size)

    assert steps >= ENOUGH_STEPS
    assert recipe.epochs == PRESETS["digits", kind].epochs or steps < 1.2 * ENOUGH_STEPS
    assert (recipe.enough > 0) == (fit_size < FEW)
    assert MIN_BATCH_SIZE <= recipe.batch_size <= PRESETS["digits", kind].batch_size


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(50, 8, 8), LARGE])
def test_what_the_user_asks_for_is_done(kind: ModelKind, shape: tuple[int, ...]) -> None:
    """Epochs, batch size, rate, loss and seed are the user's where they are given, however many images there are."""
    asked = Asked(model=kind, epochs=3, batch_size=7, learning_rate=0.125, loss="mse", seed=5)
    recipe = recipe_for(asked, shape)

    assert (recipe.epochs, recipe.batch_size, recipe.learning_rate) == (3, 7, 0.125)
    assert (recipe.loss, recipe.seed, recipe.hard_epochs) == ("mse", 5, 0)


@pytest.mark.parametrize("asked", [{"batch_size": 128}, {"width": 64}, {"depth": 2}, {"crop": 1.0}, {"focus": 0.5}])
def test_what_hard_images_would_change_is_as_asked(asked: dict[str, Any]) -> None:
    """Whoever names the network, the crop or the focus gets it, however hard the images are."""
    assert recipe_for(Asked(), LARGE).hard_epochs > 0
    assert recipe_for(Asked(**asked), LARGE).hard_epochs == 0


@pytest.mark.parametrize("kind", KINDS)
def test_squared_error_has_no_smoothing(kind: ModelKind) -> None:
    """Label smoothing belongs to cross-entropy; with squared error none is recorded, because none is done."""
    assert recipe_for(Asked(model=kind, loss="mse"), LARGE).label_smoothing == 0


def test_the_best_recipe_is_a_wider_cnn() -> None:
    """Of the same depth, fitted as the usual one is."""
    best = recipe_for(Asked("best"), LARGE)

    assert best == PRESETS["best", "cnn"]
    assert best == replace(USUAL, preset="best", width=best.width)
    assert best.width > USUAL.width


def test_both_rates_follow_the_users() -> None:
    """Half the rate is half of Muon's too."""
    usual = recipe_for(Asked(), LARGE)
    half = recipe_for(Asked(learning_rate=usual.learning_rate / 2), LARGE)

    assert half.muon_rate == pytest.approx(usual.muon_rate / 2)


@pytest.mark.parametrize(
    ("shape", "crop"),
    [
        ((9000, 28, 28), 6 / 7),
        ((9000, 19, 200, 3), 6 / 7),
        ((9000, 18, 30), 16 / 18),
        ((9000, 40, 16), 1),
        ((9000, 8, 8), 1),
        ((9000, 1, 1, 3), 1),
    ],
)
def test_no_variant_is_cropped_to_less_than_16_pixels(shape: tuple[int, ...], crop: float) -> None:
    """Of a side of 16 pixels or fewer all is shown, of a large image the recipe's share, and nothing else changes."""
    recipe = recipe_for(Asked(), shape)
    usual = USUAL.augment

    assert usual
    assert recipe.augment
    assert recipe.augment.crop == pytest.approx(crop)
    assert replace(recipe.augment, crop=usual.crop) == usual


@pytest.mark.parametrize("preset", ["digits", "small"])
def test_few_images_are_seen_whole(preset: PresetName) -> None:
    """As answers see them; digits by a narrower network, unless they are tiny; flags overrule."""
    many, few = (recipe_for(Asked(preset), (count, 28, 28)) for count in (FEW, FEW - 1))

    assert many.augment
    assert few.augment == replace(many.augment, crop=1.0)
    assert (few.preset, few.model) == (preset, "cnn")
    assert (few.width < many.width) == (preset == "digits")
    assert recipe_for(Asked(preset), (FEW - 1, 8, 8)).width == many.width  # of which there are steps enough
    asked = recipe_for(Asked(preset, width=64, crop=0.75), (100, 28, 28))
    assert asked.augment
    assert (asked.width, asked.augment.crop) == (64, 0.75)


@pytest.mark.parametrize("count", [40, 190, 475, 1_900])
def test_few_digits_cost_the_same(count: int) -> None:
    """However few they are: 400 to 450 steps of 32, and about 16 epochs are measured at most."""
    recipe = recipe_for(Asked(), (count, 28, 28))

    assert 400 <= recipe.epochs * ceil(count * recipe.passes / recipe.batch_size) <= 450
    assert recipe.epochs <= 1.1 * MEASURED


@pytest.mark.parametrize(
    ("model", "shape", "batch_size", "cores", "threads"),
    [
        ("cnn", (1437, 8, 8), 0, 64, 1),
        ("cnn", (60_000, 28, 28), 0, 2, 2),
        ("cnn", (60_000, 28, 28), 0, 64, 2),
        ("cnn", (2850, 28, 28), 0, 64, 1),
        ("cnn", (60_000, 28, 28), 32, 2, 1),
        ("cnn", (1000, 224, 224, 3), 0, 64, 64),
        ("mlp", (60_000, 28, 28), 0, 64, 2),
        ("linear", (60_000, 28, 28), 0, 64, 1),
        ("linear", (60_000, 64, 64, 3), 0, 2, 2),
    ],
)
def test_threads_follow_from_numbers(
    model: ModelKind, shape: tuple[int, ...], batch_size: int, cores: int, threads: int
) -> None:
    """As many as a step has work for, at most one a core, and one at least: never measured, so a fit repeats."""
    assert recipe_for(Asked(model=model, batch_size=batch_size), shape, cores).threads == threads


def test_threads_are_the_users() -> None:
    """With more of them than cores too."""
    assert recipe_for(Asked(threads=1), LARGE, cores=2).threads == 1
    assert recipe_for(Asked(threads=8), LARGE, cores=2).threads == 8


@pytest.mark.parametrize("name", PRESETS)
def test_a_recorded_recipe_is_the_recipe(name: tuple[PresetName, ModelKind]) -> None:
    """What a manifest keeps as JSON comes back as it was; one of another version is refused."""
    recorded = json.loads(json.dumps(asdict(PRESETS[name])))
    read = TypeAdapter(Recipe)

    assert read.validate_python(recorded) == PRESETS[name]
    for other in ({**recorded, "warp_drive": 1}, {}, {**recorded, "augment": {"warp_drive": 1}}):
        with pytest.raises(ValidationError):
            read.validate_python(other)


def test_hard_images_are_learned_no_more_often_where_labels_may_be_wrong() -> None:
    """Nor with --balance, which has weights for them already; whoever asks for it gets it."""
    focus = [recipe_for(asked, LARGE).focus for asked in (Asked(), Asked(doubtful=True), Asked(balance=True))]

    assert focus == [USUAL.focus, 0, 0]
    assert recipe_for(Asked(doubtful=True, balance=True, focus=0.5), LARGE).focus == 0.5


def test_every_number_of_a_recipe_can_be_asked_for() -> None:
    """What is asked for is recorded as it is, rotation in radians."""
    numbers: dict[str, Any] = {
        "scaling": 0.2,
        "shear": 0.3,
        "shift": 0.4,
        "bend": 0.1,
        "crop": 0.5,
        "zoom": 0.6,
        "colour": 0.7,
    }
    asked = Asked(**numbers, rotation=90, flip=True, width=32, depth=3, dropout=0.2)
    recipe = recipe_for(replace(asked, weight_decay=0.0, label_smoothing=0.0), LARGE)

    assert recipe.augment == Augmentation(**numbers, rotation=pi / 2, flip=True)
    assert (recipe.width, recipe.depth, recipe.dropout) == (32, 3, 0.2)
    assert (recipe.weight_decay, recipe.label_smoothing) == (0, 0)


def test_variants_that_are_the_images_are_not_made() -> None:
    """Where every way of changing an image is turned off, no step spends time on it."""
    still: dict[str, Any] = dict.fromkeys(("rotation", "scaling", "shear", "shift", "bend"), 0.0)

    assert recipe_for(Asked(**still, crop=1.0, flip=False), LARGE).augment is None
    mirrored = recipe_for(Asked(**still, crop=1.0, flip=True), LARGE).augment
    assert mirrored == replace(NO_VARIANTS, flip=True, find_strength=True)
