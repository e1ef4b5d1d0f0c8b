"""`vouch train` on a resampling, by its own code in this process, without exporting or publishing.

Probabilities are torch's: those of the exported graph are equal except for rounding.
"""

from copy import deepcopy
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from benchmarks.honesty.draws import Draw
from benchmarks.honesty.kept_features import KeptFeatures
from vouch.bundle.reliability import Calibration
from vouch.sources.examples import Examples
from vouch.sources.wanted import Wanted
from vouch.trainer.choosing import Chosen
from vouch.trainer.judge.calibrate import assess, settle
from vouch.trainer.judge.exam import judges_of
from vouch.trainer.judging import judging
from vouch.trainer.kinds import ModelKind
from vouch.trainer.learn.frozen import FrozenClassifier
from vouch.trainer.learn.head import fit_head
from vouch.trainer.learn.judges import Judges
from vouch.trainer.learn.loop import fit
from vouch.trainer.learn.losses import logits_of
from vouch.trainer.learn.networks import Classifier
from vouch.trainer.learn.out_of_fold import fit_folds
from vouch.trainer.learn.pixels import as_tensors
from vouch.trainer.learn.presets import recipe_for
from vouch.trainer.learn.processes import ALONE
from vouch.trainer.making import make_classifier
from vouch.trainer.settings import TrainSettings
from vouch.trainer.splits.split import make_splits


@dataclass(frozen=True, eq=False)
class Learner:
    """What is trained: a network of ours on small grey images, or a head on a backbone."""

    kind: ModelKind
    features: KeptFeatures | None = None
    """Those of the population, where a head learns from them."""
    policy: TrainSettings = field(default_factory=TrainSettings)
    """How, where it is not as Vouch decides."""

    @property
    def chosen(self) -> Chosen:
        """As `vouch train` chooses for these images."""
        if self.kind == "backbone":
            return Chosen("backbone", self.kind, "photographs", Wanted(), files=True)
        return Chosen("digits", self.kind, "small grey images", Wanted(), files=False)


@dataclass(frozen=True, eq=False)
class Learned:
    """A fitted classifier, and who judges it."""

    classifier: Classifier
    judges: Judges
    temperature: float

    @torch.no_grad()
    def scores(self, examples: Examples) -> Tensor:
        """At the temperature, shape (N, K)."""
        if isinstance(self.classifier, FrozenClassifier):
            return self.classifier.scores_of(examples) / self.temperature
        return logits_of(self.classifier, as_tensors(examples)[0]) / self.temperature


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


def vouched(learner: Learner, draw: Draw) -> Vouched:
    """As `vouch train` would with these images, and the resampling's number for its seed."""
    learned = learn(learner, draw)
    judges = learned.judges
    folds = len(judges.parts) if judges.method == "cross" else None
    settled = settle(judges.probabilities(learned.temperature), judges.labels, folds)
    logits = learned.scores(draw.validation)
    validation = probabilities(logits)
    calibration = assess(validation, logits.numpy(), draw.validation.labels, learned.temperature, settled)
    return Vouched(validation, probabilities(learned.scores(draw.truth)), dict(settled.promises), calibration)


def learn(learner: Learner, draw: Draw) -> Learned:
    """Fitted and judged, by the learner's policy."""
    settings = learner.policy.model_copy(update={"seed": draw.number})
    share = judging(settings, learner.chosen, draw.source, 1).tune_share
    splits = make_splits(draw.source, share, settings.validation_share, settings.seed, allow_duplicates=True)
    recipe = recipe_for(learner.chosen.asked(settings), splits.fit.images.shape)
    classifier = make_classifier(settings, learner.kind, recipe, splits, 1)
    if isinstance(classifier, FrozenClassifier):
        assert learner.features is not None, "a head learns from features"
        classifier.made = learner.features
        folds = fit_head(classifier, splits, recipe).folds
    else:
        first = deepcopy(classifier)
        fit(classifier, splits, recipe)
        folds = () if len(splits.tune) else fit_folds(first, splits, recipe, ALONE)
    judges = judges_of(classifier, splits, folds)
    return Learned(classifier, judges, judges.temperature())


def probabilities(logits: Tensor) -> np.ndarray:
    """Of images with one label each: float32, shape (N, K)."""
    return np.asarray(logits.softmax(dim=1).numpy(), dtype=np.float32)
