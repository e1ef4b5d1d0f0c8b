"""Fine-tuning after the head on a frozen backbone: also trains the weights of lite0, except its first layers.

The head is fitted first, so that no random layer distorts the pretrained ones (A. Kumar et al., Fine-Tuning can Distort
Pretrained Features and Underperform Out-of-Distribution, 2022). Statistics of batch norms are folded into the weights,
so small data sets cannot change them.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace

import torch
from torch import Tensor, nn

from vouch.bundle.training import Recipe
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
"""The first 17 of 49 layers, which detect edges and colours in the largest maps, stay frozen and need no gradient."""
SHALLOWEST_SHARE = 0.1
"""Share of the learning rate for the first layer that is trained; it grows by a constant factor per layer."""


def changes_the_backbone(recipe: Recipe) -> bool:
    """Whether the recipe trains the backbone too, not only the head."""
    return recipe.model == "backbone" and recipe.optimizer != "lbfgs"


def fine_tune(
    frozen: FrozenClassifier,
    splits: Splits,
    recipe: Recipe,
    processes: Processes = ALONE,
    on_step: Callable[[Step], None] = lambda step: None,
    checkpoint: Checkpoint | None = None,
) -> Fitted:
    """Fine-tunes the classifier's backbone and head on these images.

    With --best-epoch the classifier stays unchanged, which is epoch 0, if no epoch is better on tune.

    Args:
        frozen: on lite0, with a fitted head.
        recipe: one for which `changes_the_backbone` is true.

    Other arguments as `loop.fit`.

    Raises:
        TrainError: the backbone is not lite0, and the errors of `loop.fit`.
    """
    check_tunable(frozen.backbone.facts.name)
    tuned = TunedClassifier(frozen)
    fitted = fit(tuned, splits, recipe, processes, on_step, checkpoint)
    if fitted.best.number:
        tuned.freeze_into(frozen, splits.fit.images.shape[1:])
    return replace(fitted, backbone=frozen.backbone.facts)


def check_tunable(name: str) -> None:
    """Raises TrainError: the backbone of this name is only a graph, which cannot be trained."""
    if name != "lite0":
        raise TrainError(f"--fine-tune works only with lite0, not with {name}: leave it out")


def continued(head: Fitted, tuned: Fitted) -> Fitted:
    """The two fits as one; epoch 0 of the second is the end of the first."""
    last = head.epochs[-1].number
    epochs = (*head.epochs, *(replace(epoch, number=last + epoch.number) for epoch in tuned.epochs[1:]))
    best = epochs[last + tuned.best.number] if tuned.best.number else head.best
    return replace(head, epochs=epochs, best=best, seconds=head.seconds + tuned.seconds, backbone=tuned.backbone)


class TunedClassifier(Classifier):
    """Lite0 and a linear layer on its features, both of which are trained."""

    def __init__(self, frozen: FrozenClassifier) -> None:
        """
        Args:
            frozen: the start; its weights are copied.
        """
        nn.Module.__init__(self)
        self.task = frozen.task
        outputs, features = frozen.head.weight.shape
        self.network = nn.Sequential(Lite0(weights.convolutions()), Linear(features, outputs))
        with torch.no_grad():  # for raw features: mean and scale are folded into the weights
            self.head.weight.copy_(frozen.head.weight / frozen.scale)
            self.head.bias.copy_(frozen.head.bias - self.head.weight @ frozen.mean)
        self.register_buffer("mean", torch.full((1, COLOURS, 1, 1), MEAN))
        self.register_buffer("scale", torch.full((1, COLOURS, 1, 1), SCALE))
        used = (frozen.head.weight != 0).any(dim=0).float()
        hook: Callable[..., object] = self.head.weight.register_hook
        hook(lambda slope: slope * used)  # features without weights in the head stay unused
        for name, weight in self.named_parameters():
            weight.requires_grad_(self.rate_share(name) > 0)

    @property
    def lite0(self) -> Lite0:
        """The network that computes the features."""
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
        """Does nothing: lite0 was trained on (pixel - 127) / 128."""

    def rate_share(self, name: str) -> float:
        """Share of the recipe's learning rate for the weights of this name; 0: they stay frozen."""
        before, _, rest = name.removeprefix("network.0.layers.").partition(".")
        if not before.isdigit() or not rest:
            return 1.0
        place = int(before)
        if place < KEPT_LAYERS:
            return 0.0
        return float(SHALLOWEST_SHARE ** ((len(LAYERS) - 1 - place) / (len(LAYERS) - 1 - KEPT_LAYERS)))

    def freeze_into(self, frozen: FrozenClassifier, image_shape: tuple[int, ...]) -> None:
        """Puts the trained weights into a frozen classifier: a new backbone, and a head on scaled features."""
        backbone = lite0_of(self.lite0.convolutions(), image_shape, fine_tuned=True)
        frozen.made = Made(backbone, frozen.made.threads)
        with torch.no_grad():
            frozen.head.weight.copy_(self.head.weight * frozen.scale)
            frozen.head.bias.copy_(self.head.bias + self.head.weight @ frozen.mean)
