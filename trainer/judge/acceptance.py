"""Whether a graph is published in int8: what that costs, counted image by image on answers that were not learned.

It is, where no loss is seen and enough images were judged to see one; else the graph stays as it was trained.
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
"""Judged images. Of fewer, a loss of 3 % would often not show at all."""
USUAL_DROP, NOISE = 1.0, 2
"""Percentage points that may be lost where nobody has said; or so many images, where these are more: of 100 images two
are 2 points, and two are lost by chance. MLPerf too asks quantized models for 99 % of what they knew."""
WHATEVER = 100.0
"""Percentage points: who allows all of them to be lost is asked nothing else."""


@dataclass(frozen=True)
class Terms:
    """Under which int8 is accepted."""

    max_drop: float | None
    """Percentage points of accuracy that it may lose; None: the usual."""

    def allowed(self, judged: int) -> float:
        """Percentage points, of so many images."""
        return max(USUAL_DROP, 100 * NOISE / judged) if self.max_drop is None else self.max_drop

    def refusal(self, pairs: "Pairs") -> str | None:
        """Why it is not accepted, as the end of a sentence; None: it is."""
        if self.max_drop == WHATEVER:
            return None
        before, after, allowed = pairs.float_right, pairs.int8_right, self.allowed(pairs.judged)
        if (lost := points_lost(before, after)) > allowed:
            return (
                f"in int8 {after.correct:,} of {pairs.judged:,} judged images are right, in float32 "
                f"{before.correct:,}: {lost:.2f} percentage points less, and --max-drop allows {allowed:.3g}"
            )
        if (chance := mcnemar_loss(pairs.only_float, pairs.only_int8)) < SIGNIFICANT:
            return (
                f"of {pairs.judged:,} judged images {pairs.only_float:,} are right in float32 alone and "
                f"{pairs.only_int8:,} in int8 alone, which is more than chance (McNemar's one-sided test: p = "
                f"{chance:.2g})"
            )
        return None


@dataclass(frozen=True)
class Pairs:
    """How many of the same images each of the two graphs answers rightly."""

    float_right: Count
    int8_right: Count
    only_float: int
    only_int8: int

    @classmethod
    def counted(cls, before: np.ndarray, after: np.ndarray) -> "Pairs":
        """From which images are right in float32, and which in int8: bool, shape (N,) each."""
        of_float, of_int8 = (Count(correct=int(right.sum()), total=len(right)) for right in (before, after))
        return cls(of_float, of_int8, int((before & ~after).sum()), int((after & ~before).sum()))

    @property
    def judged(self) -> int:
        """Images."""
        return self.float_right.total


@dataclass(frozen=True, eq=False)
class InFloat:
    """The graph as it was trained."""

    graph: bytes
    temperature: float
    """Of the graph."""
    judged: np.ndarray
    """float32, shape (N, K): the judges' answers, in their order."""


@dataclass(frozen=True, eq=False)
class Quantized:
    """The smaller graph, and what it cost."""

    graph: bytes
    facts: Quantization
    differing: int
    """Judged images that the two graphs answer differently."""
    float_graph: bytes
    """As it was trained."""
    judged: np.ndarray
    """float32, shape (N, K): the judges' answers in int8, in their order."""


@dataclass(frozen=True)
class Refused:
    """The graph stays as it was trained."""

    reason: str
    """As the end of a sentence."""
    anyway: bool = True
    """Whether it would be taken by whoever allows it to lose whatever it loses."""


def quantize(trained: InFloat, images: Images, judges: Judges, terms: Terms) -> Quantized | Refused:
    """The graph in 8-bit integers, unless that costs too much, or too few images say what it costs.

    Args:
        images: of fit; some of them settle the ranges.
        judges: whose answers say what is lost.

    Raises:
        TrainError: the graph cannot be made int8 at all.
    """
    least = 1 if terms.max_drop == WHATEVER else ENOUGH
    if judges.images < least:
        few = f"{judges.images:,} judged images do not show what it would cost; at least {least} are needed"
        return Refused(few, anyway=judges.images > 0)
    smaller = in_int8(trained.graph, images)
    judged = _judged(trained, smaller, images, judges)
    if not np.isfinite(judged).all():
        return Refused("in int8 it answers some judged images with values that are not finite", anyway=False)
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
    """The judges' answers in int8. A backbone is the same for all folds, so its features are made once."""
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
    """Of a network that is a fold's own; its ranges are settled by what it has learned, as the published one's are."""
    judged = part.examples.images
    learned = np.setdiff1d(np.arange(len(images)), part.rows)
    graph = export(part.classifier, judged.shape[1:], temperature)
    return answers(in_int8(graph, rows_of(images, learned)), judged)


def _said(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The answers, shape (N, 1), or with several labels an image bool (N, K), at the thresholds that suit them."""
    thresholds = settle(probabilities, labels).thresholds
    return probabilities.argmax(axis=1)[:, None] if thresholds is None else decide(probabilities, thresholds)


def _right(said: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Which images are answered rightly; with several labels, all of which are."""
    return np.asarray((said == labels.reshape(len(labels), -1)).all(axis=1))
