"""Finished trainings for the report's tests: small, real, in a second or so."""

from dataclasses import replace
from typing import Any

import numpy as np
import torch

from vouch.bundle.manifest import Calibration
from vouch.bundle.training import Circumstances, Recipe, SplitEntry, Training
from vouch.sources.examples import Examples
from vouch.trainer.judge.exam import Exam
from vouch.trainer.judge.graph import count_claim
from vouch.trainer.judge.hindsight import hindsight
from vouch.trainer.kinds import ModelKind
from vouch.trainer.learn.loop import fit
from vouch.trainer.learn.networks import Classifier
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
    result = fit(classifier, splits, recipe, on_step=recorder)
    labels = splits.validation.labels
    with torch.no_grad():
        scores = classifier(torch.from_numpy(splits.validation.images[:].copy()))
    several = labels.ndim == 2
    probabilities = (scores.sigmoid() if several else scores.softmax(dim=1)).numpy()
    thresholds = (0.5,) * len(splits.classes) if several else None
    with torch.no_grad():
        tuned = classifier.probabilities(classifier(torch.from_numpy(splits.tune.images[:].copy()))).numpy()
    exam = Exam(
        graph=b"",
        onnx_difference=3.2e-7,
        probabilities=probabilities,
        claim=count_claim(probabilities, labels, thresholds),
        calibration=Calibration(temperature=1.234, error_before=0.0456, error_after=0.0123, coverages=()),
        thresholds=thresholds,
        quantized=None,
        tuned=tuned,
    )
    training = Training(
        asked={"model": kind, "data": "made up"},
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
    run = Run(
        name="made-up",
        classifier=classifier,
        splits=splits,
        recipe=recipe,
        fitted=result,
        training=training,
        exam=exam,
        images=Digests("a" * 64, "a" * 64),
        weights=Digests("b" * 64, "c" * 64),
        hindsight=hindsight(splits, exam),
    )
    return run, recorder


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
