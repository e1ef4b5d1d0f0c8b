"""The exported graph, and all that is known of how good it is: settled on tune, counted once on validation."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from vouch.bundle.claims import Claim, MultiLabelClaim
from vouch.bundle.reliability import Calibration
from vouch.sources.examples import Examples
from vouch.trainer.judge.calibrate import assess, settle
from vouch.trainer.judge.export import check_agreement, export
from vouch.trainer.judge.graph import answers, answers_and_logits, check_finite, count_claim
from vouch.trainer.judge.quantize import Quantized, quantize
from vouch.trainer.learn.frozen import FrozenClassifier
from vouch.trainer.learn.loop import as_tensors
from vouch.trainer.learn.losses import logits_of
from vouch.trainer.learn.networks import Classifier
from vouch.trainer.learn.temperature import chosen_temperature
from vouch.trainer.splits.split import Splits


@dataclass(frozen=True, eq=False)
class Exam:
    """What a fitted classifier came to."""

    graph: bytes
    """The .onnx file, temperature and all."""
    onnx_difference: float
    """Largest difference of a probability between PyTorch and the graph, on tune."""
    probabilities: np.ndarray
    """float32, shape (N, K): the graph's answers to validation, from which everything below was counted."""
    claim: Claim | MultiLabelClaim
    calibration: Calibration
    thresholds: tuple[float, ...] | None
    """With several labels an image: from which probability on each of the K labels is answered."""
    quantized: Quantized | None
    """What it cost that the graph is in int8; its claim, calibration and thresholds are its own. None: it is not."""
    tuned: np.ndarray
    """float32, shape (N, K): the graph's answers to tune, whose images it has not learned either."""


def examine(classifier: Classifier, splits: Splits, max_drop: float | None = None) -> Exam:
    """Exports a fitted classifier and counts; the validation split is run here and nowhere else, once.

    Args:
        max_drop: percentage points of tune accuracy for which the graph may be made int8; None leaves it float32.

    Raises:
        TrainError: the graph does not answer as PyTorch does, or an image with values that are not finite, or int8
            loses more.
    """
    tune, validation = splits.tune, splits.validation
    temperature = chosen_temperature(_scores(classifier, tune), torch.from_numpy(tune.labels))
    graph = export(classifier, tune.images.shape[1:], temperature)
    difference = check_agreement(classifier, graph, tune.images, temperature)
    quantized = None if max_drop is None else quantize(graph, splits.fit.images, tune, max_drop)
    graph = quantized.graph if quantized else graph
    tuned = answers(graph, tune.images)
    check_finite("tune", tuned)
    settled = settle(tuned, tune.labels)

    probabilities, logits = answers_and_logits(graph, validation.images)
    check_finite("validation", probabilities, logits)
    claim = count_claim(probabilities, validation.labels, settled.thresholds)
    calibration = assess(probabilities, logits, validation.labels, temperature, settled)
    return Exam(graph, difference, probabilities, claim, calibration, settled.thresholds, quantized, tuned)


def _scores(classifier: Classifier, examples: Examples) -> Tensor:
    """Of all these images, shape (N, K); features that a backbone has made of them are not made again."""
    if isinstance(classifier, FrozenClassifier):
        return classifier.scores_of(examples)
    return logits_of(classifier, as_tensors(examples)[0])
