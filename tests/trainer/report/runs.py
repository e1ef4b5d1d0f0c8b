"""Finished trainings for the report's tests: small, real, in a second or so."""

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import nn

from tests.support.backbones import tiny_backbone
from vouch.bundle.reliability import Calibration
from vouch.bundle.training import Circumstances, Recipe, SplitEntry, Training
from vouch.sources.examples import Examples
from vouch.trainer.judge.exam import Exam
from vouch.trainer.judge.graph import count_claim
from vouch.trainer.judge.hindsight import answers_of_folds, features_learned_from, hindsight
from vouch.trainer.kinds import ModelKind
from vouch.trainer.learn.course import Fitted
from vouch.trainer.learn.frozen import FrozenClassifier
from vouch.trainer.learn.head import fit_head
from vouch.trainer.learn.judges import in_order_of_fit
from vouch.trainer.learn.loop import fit
from vouch.trainer.learn.networks import Classifier, Linear
from vouch.trainer.report.finished import Digests, Run
from vouch.trainer.report.opposite import wanted_class
from vouch.trainer.report.recorder import Recorder
from vouch.trainer.splits.split import Splits

RECIPE = Recipe(epochs=4, batch_size=32, learning_rate=0.02, optimizer="sgd")


def finished(splits: Splits, kind: ModelKind = "linear", recipe: Recipe = RECIPE) -> tuple[Run, Recorder]:
    """A training with its recorder; its answers come from PyTorch, which the report cannot tell from the graph's."""
    torch.manual_seed(0)
    classifier = Classifier(kind, splits.fit.images.shape[1:], len(splits.classes))
    recorder = Recorder(classifier, splits, recipe.loss, wanted_class(splits.classes))
    return _judged(classifier, splits, recipe, fit(classifier, splits, recipe, on_step=recorder)), recorder


def on_a_backbone(splits: Splits, places: bool = True) -> tuple[Run, Recorder]:
    """Likewise of a linear head on a backbone of five features.

    Args:
        places: whether it says what it found where.
    """
    torch.manual_seed(0)
    backbone = tiny_backbone(splits.fit.images.shape[1:], places=places)
    classifier = FrozenClassifier(backbone, len(splits.classes), splits.task)
    recorder = Recorder(classifier, splits, RECIPE.loss, wanted_class(splits.classes))
    return _judged(classifier, splits, RECIPE, fit_head(classifier, splits, RECIPE, on_step=recorder)), recorder


def _judged(classifier: Classifier, splits: Splits, recipe: Recipe, result: Fitted) -> Run:
    labels = splits.validation.labels
    with torch.no_grad():
        scores = classifier(torch.from_numpy(splits.validation.images[:].copy()))
    several = labels.ndim == 2
    probabilities = (scores.sigmoid() if several else scores.softmax(dim=1)).numpy()
    thresholds = (0.5,) * len(splits.classes) if several else None
    with torch.no_grad():
        tuned = classifier.probabilities(classifier(torch.from_numpy(splits.tune.images[:].copy()))).numpy()
    of_folds = answers_of_folds(classifier, in_order_of_fit(result.folds, temperature=1.0))
    exam = Exam(
        graph=b"",
        onnx_difference=3.2e-7,
        probabilities=probabilities,
        claim=count_claim(probabilities, labels, thresholds),
        calibration=Calibration(temperature=1.234, error_before=0.0456, error_after=0.0123, coverages=()),
        thresholds=thresholds,
        quantized=None,
        judged=tuned,
    )
    training = Training(
        asked={"model": _kind(classifier), "data": "made up"},
        recipe=recipe,
        circumstances=Circumstances(processor="a made-up processor", flags=("avx2", "fma"), threads=1),
        seed=0,
        seconds=result.seconds,
        data="made up",
        data_digest="1" * 64,
        splits={name: SplitEntry(size=len(part), digest="2" * 64) for name, part in splits.by_name.items()},
        libraries={"python": "3.11"},
        source_revision=None,
    )
    return Run(
        name="made-up",
        classifier=classifier,
        splits=splits,
        recipe=recipe,
        fitted=result,
        training=training,
        exam=exam,
        images=Digests("a" * 64, "a" * 64),
        weights=Digests("b" * 64, "c" * 64),
        hindsight=hindsight(splits, exam, features_learned_from(classifier, splits), of_folds),
    )


def _kind(classifier: Classifier) -> str:
    """As asked for: what the first layer is says it."""
    if isinstance(classifier, FrozenClassifier):
        return "backbone"
    if isinstance(classifier.network, Linear):
        return "linear"
    return "cnn" if any(isinstance(layer, nn.Conv2d) for layer in classifier.network.modules()) else "mlp"


def with_exam(run: Run, **changes: Any) -> Run:
    """The same training with other findings; the names are those of `Exam`."""
    return replace(run, exam=replace(run.exam, **changes))


def noise_splits(classes: tuple[str, ...], shape: tuple[int, ...], several: bool = False) -> Splits:
    """Images of noise with labels that nothing can be learned of, three or more of each class in every split."""
    random = np.random.default_rng(0)

    def part(count: int) -> Examples:
        images = random.integers(0, 256, (count, *shape), dtype=np.uint8)
        labels = random.random((count, len(classes))) < 0.4 if several else np.arange(count) % len(classes)
        return Examples(images, labels)

    count = max(40, 2 * len(classes))
    return Splits(classes, part(count), part(count), part(count), warnings=())


def named(splits: Splits, classes: tuple[str, ...]) -> Splits:
    """The same examples under other class names."""
    return replace(splits, classes=classes)
