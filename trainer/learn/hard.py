"""Images that turn out to be hard: how it is seen, and the recipe with which their fit begins again."""

from dataclasses import replace
from math import ceil

import numpy as np

from vouch.bundle.training import Augmentation, Recipe

LOOK_STEPS = 400
"""After the epoch with this step it is seen whether images are hard: MNIST's are answered right in 97 % by then."""
LOOK_SHARE = 0.4
"""Or after this share of the epochs, where there are fewer steps."""
HARD = 0.9
"""They are, where less is known of what there is to know beyond the commonest class."""
DEPTH = 3
"""Halvings that a network for them has at least."""
NARROWER = 3 / 4
"""What is left of its width then, so that it costs as much as before: at the last size weights are many and cheap."""
MANY_STEPS = 140
"""Of an epoch. Where there are so many, half as many are as good, each by twice as many images, and take less time."""
SHIFT = 0.08
"""Of half the side: the most that their variants are moved. They are not turned, scaled, slanted or bent: small things
tell hard images apart."""


def looked_at(recipe: Recipe, an_epoch: int) -> int:
    """The epoch after which it is seen whether images are hard; 0 where nothing would follow from it.

    Args:
        an_epoch: steps.
    """
    if recipe.hard_epochs <= recipe.epochs:
        return 0
    return min(ceil(LOOK_SHARE * recipe.epochs), ceil(LOOK_STEPS / an_epoch))


def commonest_share(labels: np.ndarray) -> float:
    """What always giving the commonest answer gets right of these labels, shape (N,) or (N, K)."""
    return float(np.unique(labels, axis=0, return_counts=True)[1].max()) / len(labels)


def known(accuracy: float, chance: float) -> float:
    """The share that is known of what there is to know beyond the commonest class, of this share: 1 is all."""
    return (accuracy - chance) / (1 - chance) if chance < 1 else 1.0


def for_hard_images(recipe: Recipe, an_epoch: int) -> Recipe:
    """For longer, with a deeper network, and with variants that show all of an image, and hardly change it.

    None is learned more often than another: of so many hard ones some cannot be told apart or have a wrong label.

    Args:
        an_epoch: steps by the recipe as it is.
    """
    augment = recipe.augment and _light(recipe.augment)
    longer = replace(recipe, epochs=recipe.hard_epochs, hard_epochs=0, augment=augment, focus=0.0, pool="mean")
    if recipe.depth >= DEPTH:
        return longer
    width, batch_size = round(recipe.width * NARROWER / 4) * 4, recipe.batch_size
    return replace(longer, depth=DEPTH, width=width, batch_size=batch_size * (1 + (an_epoch >= MANY_STEPS)))


def _light(augment: Augmentation) -> Augmentation:
    return replace(augment, rotation=0.0, scaling=0.0, shear=0.0, bend=0.0, shift=min(augment.shift, SHIFT), crop=1.0)
