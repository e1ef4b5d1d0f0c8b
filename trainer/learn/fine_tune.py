"""Going on from the head on a frozen backbone: the weights of lite0 change too, a little, its first layers not at all.

The head comes first, so that no random layer pulls the pretrained ones out of shape (A. Kumar et al., Fine-Tuning can
Distort Pretrained Features and Underperform Out-of-Distribution, 2022). Statistics of batch norms are part of the
weights, and small sets cannot move them.
"""

from collections.abc import Callable, Iterable
from copy import deepcopy
from dataclasses import replace

import torch
from torch import Tensor, nn

from vouch.bundle.training import Augmentation, Recipe
from vouch.trainer.errors import TrainError
from vouch.trainer.learn.backbone import weights
from vouch.trainer.learn.backbone.backbone import lite0_of
from vouch.trainer.learn.backbone.lite0 import LAYERS, MEAN, SCALE, Lite0
from vouch.trainer.learn.backbone.pixels import COLOURS
from vouch.trainer.learn.checkpoint import Checkpoint
from vouch.trainer.learn.course import Fitted, Step
from vouch.trainer.learn.frozen import FrozenClassifier, Made
from vouch.trainer.learn.loop import fit
from vouch.trainer.learn.networks import Classifier, Linear
from vouch.trainer.learn.processes import ALONE, Processes
from vouch.trainer.splits.split import Splits

KEPT_LAYERS = 17
"""Of 49, from the first on: edges and colours, at the largest sides. They stay as they are, and need no gradient."""
SHALLOWEST_SHARE = 0.1
"""Of the rate, for the first layer that changes; each next one gets more, by one factor."""
EPOCHS, BATCH_SIZE, RATE = 3, 16, 2e-5


def fine_tuning(recipe: Recipe, augment: Augmentation | None, epochs: int = 0, rate: float = 0.0) -> Recipe:
    """How lite0 is changed.

    Args:
        recipe: of the head; its loss, smoothing, balance, seed and threads stay.
        augment: variants of the photographs.
        epochs, rate: as asked for; 0: the usual ones.
    """
    return replace(
        recipe,
        epochs=epochs or EPOCHS,
        batch_size=BATCH_SIZE,
        learning_rate=rate or RATE,
        optimizer="adamw",
        weight_decay=0.01,
        augment=augment,
        focus=0.0,
    )


def fine_tune(  # as loop.fit
    frozen: FrozenClassifier,
    splits: Splits,
    recipe: Recipe,
    processes: Processes = ALONE,
    on_step: Callable[[Step], None] = lambda step: None,
    checkpoint: Checkpoint | None = None,
) -> tuple[FrozenClassifier, Fitted]:
    """A classifier whose backbone was changed for these images; arguments as `loop.fit`.

    Args:
        frozen: on lite0, its head fitted; not changed.
        recipe: as `fine_tuning` gives it.

    Returns:
        the classifier, frozen again, and how the fit went; where no epoch was better on tune, the one that was given,
        and epoch 0 as the best.

    Raises:
        TrainError: the backbone is another one; or as `loop.fit`.
    """
    if frozen.backbone.facts.name != "lite0":
        raise TrainError(f"--fine-tune changes lite0 alone, not {frozen.backbone.facts.name}: leave it out")
    tuned = TunedClassifier(frozen)
    fitted = fit(tuned, splits, recipe, processes, on_step, checkpoint)
    if fitted.best.number == 0:
        return frozen, fitted
    return tuned.frozen(frozen, splits.fit.images.shape[1:]), fitted


class TunedClassifier(Classifier):
    """Lite0 and a linear layer on its features, both of which learn."""

    def __init__(self, frozen: FrozenClassifier) -> None:
        """
        Args:
            frozen: what it begins as; its weights are copied.
        """
        nn.Module.__init__(self)
        self.task = frozen.task
        outputs, features = frozen.head.weight.shape
        self.network = nn.Sequential(Lite0(weights.convolutions()), Linear(features, outputs))
        with torch.no_grad():  # of features as they are: less the mean, by the scale, is in the weights
            self.head.weight.copy_(frozen.head.weight / frozen.scale)
            self.head.bias.copy_(frozen.head.bias - self.head.weight @ frozen.mean)
        self.register_buffer("mean", torch.full((1, COLOURS, 1, 1), MEAN))
        self.register_buffer("scale", torch.full((1, COLOURS, 1, 1), SCALE))
        for name, weight in self.named_parameters():
            weight.requires_grad_(self.rate_share(name) > 0)

    @property
    def lite0(self) -> Lite0:
        """What makes the features."""
        assert isinstance(self.network, nn.Sequential)
        assert isinstance(self.network[0], Lite0)
        return self.network[0]

    @property
    def head(self) -> Linear:
        """The last layer."""
        assert isinstance(self.network, nn.Sequential)
        assert isinstance(self.network[1], Linear)
        return self.network[1]

    def see_statistics(self, batches: Iterable[Tensor]) -> None:
        """Takes none: lite0 was made for pixels less 127, by 128."""

    def rate_share(self, name: str) -> float:
        """Of the recipe's rate, for the weights of this name; 0: they stay as they are."""
        before, _, rest = name.removeprefix("network.0.layers.").partition(".")
        if not before.isdigit() or not rest:
            return 1.0
        place = int(before)
        if place < KEPT_LAYERS:
            return 0.0
        return float(SHALLOWEST_SHARE ** ((len(LAYERS) - 1 - place) / (len(LAYERS) - 1 - KEPT_LAYERS)))

    def frozen(self, begun: FrozenClassifier, image_shape: tuple[int, ...]) -> FrozenClassifier:
        """The same as a head on a backbone of its own.

        Args:
            begun: what this began as; its scaling of features is kept.
        """
        made = deepcopy(begun)
        made.made = Made(lite0_of(self.lite0.convolutions(), image_shape, fine_tuned=True), begun.made.threads)
        with torch.no_grad():
            made.head.weight.copy_(self.head.weight * made.scale)
            made.head.bias.copy_(self.head.bias + self.head.weight @ made.mean)
        return made.eval()
