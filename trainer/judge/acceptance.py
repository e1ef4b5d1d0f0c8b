"""Decides whether a graph is published in int8, by counting right answers to images that were not learned.

It is, if no loss of accuracy is seen and there are enough images to see one; otherwise float32 is published.
"""

from dataclasses import dataclass

import numpy as np
import torch

from vouch.bundle.mcnemar import SIGNIFICANT, mcnemar_loss
from vouch.bundle.multi_label import decide
from vouch.bundle.quantization import Count, Quantization, points_lost
from vouch.sources.images import Images, rows_of
from vouch.trainer.judge.calibrate import settle
from vouch.trainer.judge.export import export
from vouch.trainer.judge.graph import answers
from vouch.trainer.judge.quantize import in_int8, int8_features
from vouch.trainer.learn.frozen import FrozenClassifier
from vouch.trainer.learn.judges import Judge, Judges

ENOUGH = 100
"""Judged images. With fewer, a loss of 3 % would often not be seen at all."""
USUAL_DROP, NOISE = 1.0, 2
"""The default for the largest drop, in percentage points, or this number of images if that is more: of 100 images two
are 2 points, and two can be lost by chance. MLPerf too requires 99 % of the accuracy from quantized models."""
WHATEVER = 100.0
"""Percentage points: with this setting int8 is accepted without further tests."""


@dataclass(frozen=True)
class Terms:
    """The conditions for accepting int8."""

    max_drop: float | None
    """Percentage points of accuracy that it may lose; None: the default."""

    def allowed(self, judged: int) -> float:
        """The largest allowed drop in percentage points, for this number of images."""
        return max(USUAL_DROP, 100 * NOISE / judged) if self.max_drop is None else self.max_drop

    def refusal(self, pairs: "Pairs") -> str | None:
        """Why int8 is not accepted, as the end of a sentence; None if it is."""
        if self.max_drop == WHATEVER:
            return None
        before, after, allowed = pairs.float_right, pairs.int8_right, self.allowed(pairs.judged)
        if (lost := points_lost(before, after)) > allowed:
            return (
                f"in int8 {after.correct:,} of {pairs.judged:,} calibration images are right, in float32 "
                f"{before.correct:,}: {lost:.2f} percentage points less, but --max-drop allows {allowed:.3g}"
            )
        if (chance := mcnemar_loss(pairs.only_float, pairs.only_int8)) < SIGNIFICANT:
            return (
                f"of {pairs.judged:,} calibration images {pairs.only_float:,} are right only in float32 and "
                f"{pairs.only_int8:,} only in int8, which is a significant drop (McNemar's one-sided test: p = "
                f"{chance:.2g})"
            )
        return None


@dataclass(frozen=True)
class Pairs:
    """How many of the same images each of the two graphs answers right."""

    float_right: Count
    int8_right: Count
    only_float: int
    only_int8: int

    @classmethod
    def counted(cls, before: np.ndarray, after: np.ndarray) -> "Pairs":
        """Counts the images that are right in float32 and in int8: bool, shape (N,) each."""
        of_float, of_int8 = (Count(correct=int(right.sum()), total=len(right)) for right in (before, after))
        return cls(of_float, of_int8, int((before & ~after).sum()), int((after & ~before).sum()))

    @property
    def judged(self) -> int:
        """Number of images."""
        return self.float_right.total


@dataclass(frozen=True, eq=False)
class InFloat:
    """The float32 graph, as trained."""

    graph: bytes
    temperature: float
    judged: np.ndarray
    """float32, shape (N, K): the judges' answers, in their order."""


@dataclass(frozen=True, eq=False)
class Quantized:
    """The int8 graph, and what it cost."""

    graph: bytes
    facts: Quantization
    differing: int
    """Judged images that the two graphs answer differently."""
    float_graph: bytes
    """The float32 graph, as trained."""
    judged: np.ndarray
    """float32, shape (N, K): the judges' answers in int8, in their order."""


@dataclass(frozen=True)
class Refused:
    """int8 is not accepted; float32 is published."""

    reason: str
    """As the end of a sentence."""
    anyway: bool = True
    """Whether `--max-drop 100` would accept it."""


def quantize(trained: InFloat, images: Images, judges: Judges, terms: Terms) -> Quantized | Refused:
    """The graph in int8, unless it loses too much accuracy, or there are too few images to measure that.

    Args:
        images: of fit; some of them determine the ranges.
        judges: their answers show the loss.

    Raises:
        TrainError: the graph cannot be quantized at all.
    """
    least = 1 if terms.max_drop == WHATEVER else ENOUGH
    if judges.images < least:
        few = f"too few calibration images to measure the drop in accuracy: {judges.images:,}; needed: at least {least}"
        return Refused(few, anyway=judges.images > 0)
    smaller = in_int8(trained.graph, images)
    judged = _judged(trained, smaller, images, judges)
    if not np.isfinite(judged).all():
        return Refused("in int8 some calibration images get values that are not finite", anyway=False)
    labels = judges.labels
    before, after = _said(trained.judged, labels), _said(judged, labels)
    pairs = Pairs.counted(_right(before, labels), _right(after, labels))
    if reason := terms.refusal(pairs):
        return Refused(reason)
    facts = Quantization(
        kind="int8",
        float_tune=pairs.float_right,
        tune=pairs.int8_right,
        max_drop=terms.allowed(pairs.judged),
        only_float=pairs.only_float,
        only_int8=pairs.only_int8,
    )
    return Quantized(smaller, facts, int((before != after).any(axis=1).sum()), trained.graph, judged)


def _judged(trained: InFloat, smaller: bytes, images: Images, judges: Judges) -> np.ndarray:
    """The judges' answers in int8. All folds share a backbone, so its features are computed once."""
    if judges.method == "split":
        return np.concatenate([answers(smaller, part.examples.images) for part in judges.parts])
    if isinstance(judges.parts[0].classifier, FrozenClassifier):
        made = torch.from_numpy(int8_features(trained.graph, smaller, images))
        return np.concatenate([_of_head(part, made[part.rows], trained.temperature) for part in judges.parts])
    return np.concatenate([_of_fold(part, images, trained.temperature) for part in judges.parts])


@torch.no_grad()
def _of_head(part: Judge, features: torch.Tensor, temperature: float) -> np.ndarray:
    model = part.classifier
    assert isinstance(model, FrozenClassifier)
    scores = model.scores(model.scaled(features))
    return np.asarray(model.probabilities(scores / temperature).numpy(), dtype=np.float32)


def _of_fold(part: Judge, images: Images, temperature: float) -> np.ndarray:
    """Answers of a fold's own network in int8; its ranges are determined by the images that it learned."""
    judged = part.examples.images
    learned = np.setdiff1d(np.arange(len(images)), part.rows)
    graph = export(part.classifier, judged.shape[1:], temperature)
    return answers(in_int8(graph, rows_of(images, learned)), judged)


def _said(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The answers, shape (N, 1); multi-label: bool, shape (N, K), at thresholds chosen for these probabilities."""
    thresholds = settle(probabilities, labels).thresholds
    return probabilities.argmax(axis=1)[:, None] if thresholds is None else decide(probabilities, thresholds)


def _right(said: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Which images are answered right; multi-label: all of whose labels are."""
    return np.asarray((said == labels.reshape(len(labels), -1)).all(axis=1))
