"""What a finished training shows about its data: which labels are likely wrong, and whether more images would help."""

from dataclasses import dataclass
from math import prod

import numpy as np
import torch

from vouch.trainer.judge.curve import Curve, learning_curve
from vouch.trainer.judge.doubtful import MOST_LISTED, Doubt, doubtful, surest_first
from vouch.trainer.judge.exam import Exam
from vouch.trainer.judge.kernel import can_judge, left_out, of_features, of_pixels, right_share
from vouch.trainer.learn.frozen import FrozenClassifier
from vouch.trainer.learn.networks import Classifier
from vouch.trainer.learn.one_thread import one_thread
from vouch.trainer.splits.split import Splits

RIGHT_ENOUGH = 0.8
"""Accuracy below which a judge's answers are not used to find wrong labels."""
HEAD = "a linear head on the same features"
PIXELS = "kernel ridge regression on the pixels"
NETWORKS = "a network of the same kind"
TUNED = "fine-tuning changed the features on which the heads were fitted"


@dataclass(frozen=True)
class Hindsight:
    """The contradicted labels, and the learning curve."""

    doubts: tuple[Doubt, ...] = ()
    """The most confident contradiction first; at most 1,000."""
    contradicted: int = 0
    """Number of contradicted labels."""
    sure: int = 0
    """Number of confident contradictions."""
    judge: str | None = None
    """What answered each image of fit after learning from others, in words; None: nothing did."""
    reason: str | None = None
    """Why the labels of fit were not checked."""
    curve: Curve | None = None
    no_curve: str | None = None
    """Why there is no curve."""
    by_model: bool = True
    """Whether the model is accurate enough to check labels of tune and validation."""


@dataclass(frozen=True, eq=False)
class OutOfFold:
    """Answers to the fit images by models of the same kind that have not learned them."""

    judge: str
    """HEAD or NETWORKS."""
    probabilities: np.ndarray
    """float32, shape (N, K)."""


def hindsight(
    splits: Splits, exam: Exam, features: np.ndarray | None = None, out_of_fold: OutOfFold | None = None
) -> Hindsight:
    """Finds contradicted labels and computes a learning curve.

    Args:
        exam: its answers to validation, and to tune, are by a model that has learned neither.
        features: of the fit images, standardised, shape (N, D), if a frozen backbone computes them.
        out_of_fold: None if there were no folds.
    """
    by_model = right_share(exam.probabilities, splits.validation.labels, border=0.5) >= RIGHT_ENOUGH
    found = doubtful("validation", splits.validation.labels, exam.probabilities) if by_model else []
    if by_model and len(splits.tune):
        found += doubtful("tune", splits.tune.labels, exam.judged)
    labels = splits.fit.labels
    tuned = features is None and out_of_fold is not None and out_of_fold.judge == HEAD
    kernel, reason = (None, TUNED) if tuned else _kernel(splits, features)
    curve, no_curve, by_kernel = None, reason, None
    if kernel is not None:
        curve, no_curve, by_kernel = _by_kernel(splits, kernel, features is not None)
    answers = [one for one in (out_of_fold, by_kernel) if one is not None]
    judge = None
    if answers:
        # On features, heads are preferred to the kernel, which is similar to them; otherwise the more accurate one.
        best = answers[0] if features is not None else max(answers, key=lambda one: _right(one, labels))
        judge = best.judge
        reason = _too_seldom(best, labels)
        found += [] if reason else doubtful("fit", labels, best.probabilities)
    doubts = surest_first(found)
    sure = sum(doubt.sure for doubt in doubts)
    seen = tuple(doubts[:MOST_LISTED])
    return Hindsight(seen, len(doubts), sure, judge, reason, curve, no_curve, by_model)


def _by_kernel(splits: Splits, kernel: np.ndarray, on_features: bool) -> tuple[Curve | None, str | None, OutOfFold]:
    """The learning curve, or why there is none, and answers to each fit image after learning from all others."""
    labels, classes = splits.fit.labels, len(splits.classes)
    with one_thread():  # the same bits for any number of threads
        answers = left_out(kernel, labels, classes)
        right = right_share(answers, labels, border=0.5)
        curve = learning_curve(kernel, labels, classes, right)
    by_kernel = OutOfFold(HEAD if on_features else PIXELS, answers)
    if not on_features and right < RIGHT_ENOUGH:
        return None, f"{PIXELS}, which would compute it, is right for only {right:.0%} of the fit images", by_kernel
    return curve, None if curve else f"{len(labels):,} images of {classes:,} classes are too few for one", by_kernel


def _right(one: OutOfFold, labels: np.ndarray) -> float:
    return right_share(one.probabilities, labels, border=0.5)


def _too_seldom(one: OutOfFold, labels: np.ndarray) -> str | None:
    """Why its answers are not used to check labels; None if they are."""
    right = _right(one, labels)
    if right >= RIGHT_ENOUGH:
        return None
    who = {HEAD: "a head that has not learned them"}.get(one.judge, one.judge)
    return f"{who} is right for only {right:.0%} of them, too few to find wrong labels"


def features_learned_from(classifier: Classifier, splits: Splits) -> np.ndarray | None:
    """The features of the fit images that a linear head was fitted on, float32, shape (N, D). None without a head, or
    if the backbone was fine-tuned on their labels, so that the features cannot check these.
    """
    if not isinstance(classifier, FrozenClassifier) or classifier.backbone.facts.fine_tuned:
        return None
    return np.asarray(classifier.scaled(torch.from_numpy(classifier.features_of(splits.fit))).numpy())


def answers_of_folds(classifier: Classifier, probabilities: np.ndarray | None) -> OutOfFold | None:
    """The answers of the folds, with the judge's name.

    Args:
        probabilities: of the fit images in their order, shape (N, K); None if there were no folds.
    """
    if probabilities is None:
        return None
    return OutOfFold(HEAD if isinstance(classifier, FrozenClassifier) else NETWORKS, probabilities)


def _kernel(splits: Splits, features: np.ndarray | None) -> tuple[np.ndarray | None, str | None]:
    """The kernel of all pairs of fit images; or why there is none."""
    images = splits.fit.images
    values = prod(images.shape[1:]) if features is None else features.shape[1]
    if not can_judge(len(images), values):
        return None, f"{len(images):,} images are too many, or too large, to be checked without a second training"
    if features is not None:
        return of_features(features), None
    return of_pixels(images[np.arange(len(images))]), None
