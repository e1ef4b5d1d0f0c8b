"""How each network is trained unless the user says otherwise. Chosen on MNIST's fit images, never on its validation.

docs/training.md tells what each choice was worth.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import ceil
from typing import Any, Literal

from vouch.trainer.augment import Augmentation
from vouch.trainer.errors import TrainError
from vouch.trainer.models import CNN_WIDTH
from vouch.trainer.settings import Loss, ModelKind, RecipeName, TrainSettings


@dataclass(frozen=True)
class Recipe:
    """What a fit needs to know beside the data."""

    epochs: int
    batch_size: int
    learning_rate: float
    """The peak of the one-cycle schedule."""
    optimizer: Literal["sgd", "adamw", "muon"]
    muon_rate: float = 0.0
    """The peak for the weights that Muon moves."""
    weight_decay: float = 0.0
    label_smoothing: float = 0.0
    augment: Augmentation | None = None
    """How variants of the images are made; None: the images are learned as they are."""
    focus: float = 0.0
    """The chance that an image which was answered easily stands back for the others in an epoch."""
    width: int = CNN_WIDTH
    """Channels of a cnn's last layers."""
    loss: Loss = "cross-entropy"
    balance: bool = False
    """Whether every class counts the same, however many images it has."""
    seed: int = 0


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


def recipe_for(settings: TrainSettings, fit_size: int) -> Recipe:
    """The network's recipe, fitted to the number of images, with what the user asked for in its place."""
    base = RECIPES[settings.recipe, settings.model]
    batch_size = settings.batch_size or max(MIN_BATCH_SIZE, min(base.batch_size, int(fit_size * SMALL_BATCH_SHARE)))
    rate = settings.learning_rate or base.learning_rate
    return replace(
        base,
        epochs=settings.epochs or max(base.epochs, ceil(MIN_STEPS / ceil(fit_size / batch_size))),
        batch_size=batch_size,
        learning_rate=rate,
        muon_rate=base.muon_rate * (rate / base.learning_rate),  # keeps its proportion to the other
        label_smoothing=base.label_smoothing if settings.loss == "cross-entropy" else 0.0,
        loss=settings.loss,
        balance=settings.balance,
        seed=settings.seed,
    )


def recorded_recipe(values: Mapping[str, Any]) -> Recipe:
    """The recipe that a manifest has recorded.

    Raises:
        TrainError: it is none of this version's.
    """
    try:
        augment = Augmentation(**values["augment"]) if values["augment"] else None
        return Recipe(**{**values, "augment": augment})
    except (KeyError, TypeError) as err:
        raise TrainError(f"the recorded recipe is not of this version of vouch: {err}") from err
