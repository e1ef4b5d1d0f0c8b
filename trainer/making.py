"""The classifier with its first weights: a network of ours, or a linear layer on what a backbone makes of images."""

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
"""Settings that a head on a frozen backbone has no use for: it is fitted to the bottom of its loss, on features."""


def make_classifier(settings: TrainSettings, kind: ModelKind, recipe: Recipe, splits: Splits, cores: int) -> Classifier:
    """
    Args:
        kind: what learns.
        cores: that may make features.

    Raises:
        TrainError: there is no such backbone here, it takes no such images, or it cannot be made int8 where that is
            asked for.
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
    """Whether all that was asked for can be obeyed by a head on a frozen backbone.

    Raises:
        TrainError: it cannot.
    """
    unsaid = TrainSettings.model_construct()
    if given := [name for name in NOT_OF_A_HEAD if getattr(settings, name) != getattr(unsaid, name)]:
        raise TrainError(
            f"{', '.join(map(flag_name, given))}: of no use here, for a head on a frozen backbone is fitted to the "
            "bottom of its loss, on features that are made once; leave it out, or pass --backbone none to learn from "
            "scratch"
        )
    if settings.loss != "cross-entropy":
        raise TrainError(f"--loss {settings.loss} is of no use here: a head on a backbone is fitted by cross-entropy")
