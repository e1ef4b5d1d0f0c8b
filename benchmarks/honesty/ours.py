"""What `vouch train` does with a resampling, by its own code in this process; only nothing is exported or published.

Probabilities are torch's: those of the exported graph are the same within rounding.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from benchmarks.honesty.draws import Draw
from benchmarks.honesty.kept_features import KeptFeatures
from vouch.bundle.manifest import Calibration
from vouch.sources.examples import Examples
from vouch.trainer.judge.calibrate import assess, settle
from vouch.trainer.kinds import ModelKind
from vouch.trainer.learn.asked import Asked
from vouch.trainer.learn.frozen import FrozenClassifier
from vouch.trainer.learn.head import fit_head
from vouch.trainer.learn.loop import as_tensors, fit
from vouch.trainer.learn.losses import logits_of
from vouch.trainer.learn.networks import Classifier, Layers
from vouch.trainer.learn.presets import recipe_for
from vouch.trainer.learn.temperature import chosen_temperature
from vouch.trainer.splits.split import Splits, make_splits

Learner = Callable[[Splits, int], Classifier]
"""Fits a classifier to splits, from a seed."""


@dataclass(frozen=True, eq=False)
class Vouched:
    """A model, by its answers, and what is promised of it."""

    validation: np.ndarray
    """Probabilities, float32, shape (N, K)."""
    truth: np.ndarray
    """Likewise, of the images that nobody promised from."""
    promises: dict[float, float | None]
    """Coverage -> threshold; None where it is not promised."""
    calibration: Calibration


def vouched(learn: Learner, draw: Draw) -> Vouched:
    """As `vouch train` would with these images, and the resampling's number for its seed."""
    splits = make_splits(draw.source, 0.05, 0.2, draw.number, allow_duplicates=True)
    classifier = learn(splits, draw.number)
    tuned = scores(classifier, splits.tune)
    temperature = chosen_temperature(tuned, torch.from_numpy(splits.tune.labels))
    settled = settle(probabilities(tuned, temperature), splits.tune.labels)
    logits = scores(classifier, splits.validation) / temperature
    validation = probabilities(logits)
    calibration = assess(validation, logits.numpy(), splits.validation.labels, temperature, settled.promises)
    truth = probabilities(scores(classifier, draw.truth), temperature)
    return Vouched(validation, truth, dict(settled.promises), calibration)


def network(kind: ModelKind) -> Learner:
    """A network of ours on small grey images, from scratch."""

    def learn(splits: Splits, seed: int) -> Classifier:
        shape = splits.fit.images.shape
        recipe = recipe_for(Asked("digits", kind, seed=seed), shape)
        torch.manual_seed(recipe.seed)
        classifier = Classifier(kind, shape[1:], len(splits.classes), Layers.of(recipe), splits.task)
        fit(classifier, splits, recipe)
        return classifier

    return learn


def head(features: KeptFeatures) -> Learner:
    """A head on a backbone, whose features of the population are made already."""

    def learn(splits: Splits, seed: int) -> Classifier:
        recipe = recipe_for(Asked("backbone", "backbone", doubtful=True, seed=seed), splits.fit.images.shape)
        torch.manual_seed(recipe.seed)
        classifier = FrozenClassifier(features.backbone, len(splits.classes), splits.task)
        classifier.made = features
        fit_head(classifier, splits, recipe)
        return classifier

    return learn


@torch.no_grad()
def scores(classifier: Classifier, examples: Examples) -> Tensor:
    """Of all these images, shape (N, K)."""
    if isinstance(classifier, FrozenClassifier):
        return classifier.scores_of(examples)
    return logits_of(classifier, as_tensors(examples)[0])


def probabilities(logits: Tensor, temperature: float = 1.0) -> np.ndarray:
    """Of images with one label each: float32, shape (N, K)."""
    return np.asarray((logits / temperature).softmax(dim=1).numpy(), dtype=np.float32)
