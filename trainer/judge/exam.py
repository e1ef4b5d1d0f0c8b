"""The exported graph and its evaluation: thresholds from the calibration images, results counted once on validation."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from vouch.bundle.claims import Claim, MultiLabelClaim
from vouch.bundle.reliability import Calibration
from vouch.sources.examples import Examples
from vouch.trainer.judge.acceptance import InFloat, Quantized, Refused, Terms, quantize
from vouch.trainer.judge.calibrate import assess, settle
from vouch.trainer.judge.export import check_agreement, export
from vouch.trainer.judge.graph import answers, answers_and_logits, check_finite, count_claim
from vouch.trainer.learn.frozen import FrozenClassifier
from vouch.trainer.learn.judges import Judge, Judges
from vouch.trainer.learn.losses import logits_of
from vouch.trainer.learn.networks import Classifier
from vouch.trainer.learn.pixels import as_tensors
from vouch.trainer.splits.split import Splits


@dataclass(frozen=True, eq=False)
class Exam:
    """The evaluation of a fitted classifier."""

    graph: bytes
    """The .onnx file, with the temperature."""
    onnx_difference: float
    """Largest difference of a probability between PyTorch and the graph, on tune, or on fit if there is no tune."""
    probabilities: np.ndarray
    """float32, shape (N, K): the graph's answers to validation, from which everything below was counted."""
    claim: Claim | MultiLabelClaim
    calibration: Calibration
    thresholds: tuple[float, ...] | None
    """Multi-label: the probability from which each of the K labels is answered."""
    quantized: Quantized | None
    """The int8 graph and its cost; claim, calibration and thresholds are those of the int8 graph. None: float32."""
    judged: np.ndarray
    """float32, shape (N, K): the judges' answers to images that they had not learned, in their order, at the
    temperature; with a tune split, those of the graph itself."""
    int8_refused: str | None = None
    """Why the graph is not in int8 although it was requested, as the end of a sentence."""
    int8_anyway: bool = False
    """Whether `--max-drop 100` would publish it in int8."""


def judges_of(classifier: Classifier, splits: Splits, folds: tuple[Judge, ...]) -> Judges:
    """The classifier with the tune split, if there is one; otherwise the folds' models."""
    if len(splits.tune):
        tuned = _scores(classifier, splits.tune)
        return Judges((Judge(classifier, splits.tune, np.arange(len(splits.tune)), tuned),), "split")
    nobody = Judge(classifier, splits.fit, np.arange(0), torch.zeros(0, len(splits.classes)))
    return Judges(folds or (nobody,), "cross")


def examine(
    classifier: Classifier, splits: Splits, judges: Judges, int8: Terms | None = None, by_class: bool = False
) -> Exam:
    """Exports and evaluates a fitted classifier. Only here is the validation split run, once.

    Args:
        judges: from `judges_of`.
        int8: conditions for publishing int8; None: float32.
        by_class: whether label sets are conditional on the class; single-label only.

    Raises:
        TrainError: the graph's answers differ from PyTorch's or are not finite, or it cannot be quantized at all.
    """
    validation, tried = splits.validation, splits.tune.images if len(splits.tune) else splits.fit.images
    temperature = judges.temperature()
    graph = export(classifier, tried.shape[1:], temperature)
    difference = check_agreement(classifier, graph, tried, temperature)
    judged = _judged(graph, splits, judges, temperature)
    made = quantize(InFloat(graph, temperature, judged), splits.fit.images, judges, int8) if int8 else None
    quantized = made if isinstance(made, Quantized) else None
    refused, anyway = (made.reason, made.anyway) if isinstance(made, Refused) else (None, False)
    if quantized:
        graph, judged = quantized.graph, quantized.judged
    check_finite("judged", judged)
    folds = len(judges.parts) if judges.method == "cross" else None
    settled = settle(judged, judges.labels, folds, splits.classes if by_class else ())

    probabilities, logits = answers_and_logits(graph, validation.images)
    check_finite("validation", probabilities, logits)
    claim = count_claim(probabilities, validation.labels, settled.thresholds)
    calibration = assess(probabilities, logits, validation.labels, temperature, settled)
    return Exam(
        *(graph, difference, probabilities, claim, calibration, settled.thresholds, quantized, judged, refused, anyway)
    )


def _judged(graph: bytes, splits: Splits, judges: Judges, temperature: float) -> np.ndarray:
    if judges.method == "split":
        return answers(graph, splits.tune.images)
    return judges.probabilities(temperature)


def _scores(classifier: Classifier, examples: Examples) -> Tensor:
    """Scores of all these images, shape (N, K); a backbone's features are not computed again."""
    if isinstance(classifier, FrozenClassifier):
        return classifier.scores_of(examples)
    return logits_of(classifier, as_tensors(examples)[0])
