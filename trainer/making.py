"""The classifier with its initial weights: a network, or a linear head on the features of a backbone."""

import torch

from vouch.bundle.training import Recipe
from vouch.cli.settings import flag_name
from vouch.trainer.backbones import backbone_for
from vouch.trainer.errors import TrainError
from vouch.trainer.judge.quantize import check_backbone
from vouch.trainer.kinds import ModelKind
from vouch.trainer.learn.frozen import FrozenClassifier
from vouch.trainer.learn.networks import Classifier, Layers
from vouch.trainer.settings import TrainSettings
from vouch.trainer.splits.split import Splits

NOT_OF_A_HEAD = (
    *("epochs", "best_epoch", "batch_size", "learning_rate", "precision", "focus", "width", "depth", "dropout"),
    *("rotation", "scaling", "shear", "shift", "bend", "crop", "zoom", "colour"),
)
"""Settings that do not apply to a head on a frozen backbone, which is fitted on fixed features until it converges."""


def make_classifier(settings: TrainSettings, kind: ModelKind, recipe: Recipe, splits: Splits, cores: int) -> Classifier:
    """The classifier with its initial weights.

    Args:
        kind: the network, or backbone for a head.
        cores: number of cores for computing features.

    Raises:
        TrainError: the backbone is missing, cannot use such images, or cannot be quantized although int8 is requested.
    """
    torch.manual_seed(recipe.seed)
    shape, classes, task = splits.fit.images.shape[1:], len(splits.classes), splits.task
    if kind != "backbone":
        return Classifier(kind, shape, classes, Layers.of(recipe), task)
    backbone = backbone_for(settings, shape)
    if settings.quantize == "int8" and settings.backbone_file:
        check_backbone(backbone, shape)
    return FrozenClassifier(backbone, classes, task, cores)


def check_head(settings: TrainSettings) -> None:
    """Checks that all settings apply to a head on a frozen backbone.

    Raises:
        TrainError: one does not.
    """
    unsaid = TrainSettings.model_construct()
    if given := [name for name in NOT_OF_A_HEAD if getattr(settings, name) != getattr(unsaid, name)]:
        raise TrainError(
            f"{', '.join(map(flag_name, given))}: does not apply to a head on a frozen backbone, which is fitted on "
            "fixed features until it converges; leave it out, or pass --backbone none to train from scratch"
        )
    if settings.loss != "cross-entropy":
        raise TrainError(f"--loss {settings.loss} does not apply to a head on a backbone, which uses cross-entropy")
