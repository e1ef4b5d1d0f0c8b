"""Hard images: how they are recognised, and the recipe with which their fit restarts."""

from dataclasses import replace
from math import ceil

import numpy as np

from vouch.bundle.training import Augmentation, Recipe

LOOK_STEPS = 400
"""The check is made after the epoch with this step: by then MNIST's images are answered right in 97 %."""
LOOK_SHARE = 0.4
"""Or after this share of the epochs, if they have fewer steps."""
HARD = 0.9
"""Images are hard if `known` is below this."""
DEPTH = 3
"""Least number of halvings of a network for hard images."""
NARROWER = 3 / 4
"""Factor for its width, so that it costs the same: at the smallest size, many weights cost little time."""
MANY_STEPS = 140
"""Steps per epoch. With as many or more, half the steps with twice the images are as good, and take less time."""
SHIFT = 0.08
"""The most that variants are shifted, as a share of half the side. They are not rotated, scaled, sheared or bent:
hard images differ in small details."""


def looked_at(recipe: Recipe, an_epoch: int) -> int:
    """The epoch after which the check is made; 0 if the recipe has no epochs for hard images.

    Args:
        an_epoch: number of steps per epoch.
    """
    if recipe.hard_epochs <= recipe.epochs:
        return 0
    return min(ceil(LOOK_SHARE * recipe.epochs), ceil(LOOK_STEPS / an_epoch))


def commonest_share(labels: np.ndarray) -> float:
    """The accuracy of always giving the most common answer, for labels of shape (N,) or (N, K)."""
    return float(np.unique(labels, axis=0, return_counts=True)[1].max()) / len(labels)


def known(accuracy: float, chance: float) -> float:
    """Accuracy relative to the baseline `chance`: 0 at the baseline, 1 if all answers are right."""
    return (accuracy - chance) / (1 - chance) if chance < 1 else 1.0


def for_hard_images(recipe: Recipe, an_epoch: int) -> Recipe:
    """The recipe for hard images: more epochs, a deeper network, and weak augmentation of whole images.

    All images are learned equally often: of many hard ones, some are ambiguous or have a wrong label.

    Args:
        an_epoch: number of steps per epoch of the given recipe.
    """
    augment = recipe.augment and _light(recipe.augment)
    longer = replace(recipe, epochs=recipe.hard_epochs, hard_epochs=0, augment=augment, focus=0.0, pool="mean")
    if recipe.depth >= DEPTH:
        return longer
    width, batch_size = round(recipe.width * NARROWER / 4) * 4, recipe.batch_size
    return replace(longer, depth=DEPTH, width=width, batch_size=batch_size * (1 + (an_epoch >= MANY_STEPS)))


def _light(augment: Augmentation) -> Augmentation:
    return replace(augment, rotation=0.0, scaling=0.0, shear=0.0, bend=0.0, shift=min(augment.shift, SHIFT), crop=1.0)
