"""How each network is trained unless the user says otherwise. Chosen on MNIST's fit images, never on its validation.

docs/training.md tells what each choice was worth.
"""

from dataclasses import dataclass, replace
from math import ceil, prod

from vouch.bundle.training import Augmentation, Loss, Recipe
from vouch.trainer.kinds import ModelKind, RecipeName


@dataclass(frozen=True)
class RecipeChoice:
    """What a person chose of a recipe. 0: as the recipe says."""

    model: ModelKind = "cnn"
    recipe: RecipeName = "default"
    epochs: int = 0
    batch_size: int = 0
    learning_rate: float = 0
    loss: Loss = "cross-entropy"
    balance: bool = False
    seed: int = 0
    threads: int = 0


_CNN = Recipe(
    epochs=7,
    batch_size=128,
    learning_rate=8e-3,
    optimizer="muon",
    muon_rate=0.06,
    weight_decay=0.05,
    label_smoothing=0.1,
    augment=Augmentation(crop=6 / 7, bend=0.05),
    focus=0.8,
)
RECIPES: dict[tuple[RecipeName, ModelKind], Recipe] = {
    ("default", "linear"): Recipe(epochs=7, batch_size=256, learning_rate=5e-3, optimizer="adamw"),
    ("default", "mlp"): Recipe(
        epochs=5,
        batch_size=256,
        learning_rate=3e-3,
        optimizer="adamw",
        weight_decay=0.05,
        label_smoothing=0.1,
        focus=0.8,
    ),
    ("default", "cnn"): _CNN,
    ("best", "cnn"): replace(_CNN, width=96),
}
MIN_STEPS = 800
"""A small data set is gone through more often, until there were about this many steps."""
SMALL_BATCH_SHARE = 1 / 40
"""A batch is at most this share of the fit images, so that a small data set still has steps to make."""
MIN_BATCH_SIZE = 32


MIN_CROP = 16
"""Pixels of a side that a variant shows at least: of a smaller image it shows all. At 8 x 8 there is none to spare."""
PIXELS_A_THREAD: dict[ModelKind, int] = {"cnn": 40_000, "mlp": 100_000, "linear": 1_000_000}
"""Of a step: with fewer, threads wait for each other longer than they work. The less a network does with a pixel, the
more it takes."""


def recipe_for(choice: RecipeChoice, shape: tuple[int, ...], cores: int = 1) -> Recipe:
    """The network's recipe, fitted to the images, with what the user asked for in its place.

    Args:
        shape: of the fit images, (N, H, W) or (N, H, W, C).
        cores: for each process. Threads follow from numbers alone, never from a measured time: a fit has to repeat.
    """
    base = RECIPES[choice.recipe, choice.model]
    count, *image = shape
    batch_size = choice.batch_size or max(MIN_BATCH_SIZE, min(base.batch_size, int(count * SMALL_BATCH_SHARE)))
    rate = choice.learning_rate or base.learning_rate
    return replace(
        base,
        epochs=choice.epochs or max(base.epochs, ceil(MIN_STEPS / ceil(count / batch_size))),
        batch_size=batch_size,
        learning_rate=rate,
        muon_rate=base.muon_rate * (rate / base.learning_rate),  # keeps its proportion to the other
        label_smoothing=base.label_smoothing if choice.loss == "cross-entropy" else 0.0,
        augment=base.augment and replace(base.augment, crop=_crop(base.augment.crop, min(image[:2]))),
        loss=choice.loss,
        balance=choice.balance,
        seed=choice.seed,
        threads=choice.threads or threads_for(choice.model, batch_size * prod(image), cores),
    )


def threads_for(model: ModelKind, pixels_a_step: int, cores: int) -> int:
    """As many threads as have enough to do, and a core each."""
    return max(1, min(cores, pixels_a_step // PIXELS_A_THREAD[model]))


def _crop(share: float, side: int) -> float:
    return max(share, min(1.0, MIN_CROP / side))
