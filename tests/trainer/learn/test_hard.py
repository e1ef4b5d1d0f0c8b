from dataclasses import replace

import pytest

from vouch.bundle.training import Augmentation, Recipe
from vouch.trainer.learn.demand import multiply_adds
from vouch.trainer.learn.hard import for_hard_images, known, looked_at
from vouch.trainer.learn.networks import Layers
from vouch.trainer.learn.presets import PRESETS

CNN = PRESETS["digits", "cnn"]


def test_hard_images_are_learned_whole_and_equally_often() -> None:
    """For longer, and with variants that are only moved a little; what a photograph's zoom and colours are stays."""
    augment = Augmentation(crop=0.75, bend=0.1, zoom=0.3, colour=0.2, shift=0.0, find_flip=True, find_strength=True)
    light = replace(augment, crop=1.0, bend=0.0, rotation=0.0, scaling=0.0, shear=0.0)

    recipe = for_hard_images(replace(CNN, augment=augment, depth=5), an_epoch=446)

    longer = replace(CNN, epochs=13, hard_epochs=0)
    assert recipe == replace(longer, focus=0.0, pool="mean", augment=light, depth=5)
    assert for_hard_images(CNN, an_epoch=446).augment == replace(light, shift=0.08, zoom=0.0, colour=0.0)


@pytest.mark.parametrize(("an_epoch", "batch_size"), [(446, 256), (60, 128)])
def test_many_images_are_learned_in_larger_batches(an_epoch: int, batch_size: int) -> None:
    """Of few images it is steps that count."""
    assert for_hard_images(CNN, an_epoch).batch_size == batch_size


@pytest.mark.parametrize("width", [64, 96])
def test_a_deeper_network_for_hard_images_costs_no_more(width: int) -> None:
    """Answers come as fast as before."""
    shallow = replace(CNN, width=width)
    layers = Layers.of(for_hard_images(shallow, an_epoch=446))

    assert layers.depth == 3
    assert multiply_adds("cnn", (28, 28), layers) <= multiply_adds("cnn", (28, 28), Layers.of(shallow))


@pytest.mark.parametrize(
    ("epochs", "hard_epochs", "steps_an_epoch", "expected"),
    [(7, 16, 446, 1), (7, 16, 390, 2), (7, 16, 100, 3), (13, 16, 60, 6), (7, 0, 446, 0), (16, 16, 446, 0)],
)
def test_images_are_looked_at_as_soon_as_it_can_be_seen(
    epochs: int, hard_epochs: int, steps_an_epoch: int, expected: int
) -> None:
    """After enough steps or two fifths of the epochs; never where there is nothing to change."""
    recipe = Recipe(epochs, 128, 0.1, "sgd", hard_epochs=hard_epochs)

    assert looked_at(recipe, steps_an_epoch) == expected


def test_what_is_known_begins_at_the_commonest_class() -> None:
    """Always answering that is to know nothing; where there is one class, there is nothing to know."""
    assert known(0.9, 0.9) == 0
    assert known(0.95, 0.9) == pytest.approx(0.5)
    assert known(1.0, 1.0) == 1
