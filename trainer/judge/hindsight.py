"""What a finished training tells of its data: which labels are likely wrong, and what more images would bring."""

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
"""Share of right answers below which a judge may not doubt a label."""
HEAD = "a linear head on the same features"
PIXELS = "kernel ridge regression on the pixels"
TUNED = "the features that the heads had learned from were changed by fine-tuning"


@dataclass(frozen=True)
class Hindsight:
    """The labels that are contradicted, and the learning curve."""

    doubts: tuple[Doubt, ...] = ()
    """The surest contradiction first; at most 1,000."""
    contradicted: int = 0
    """All of them."""
    sure: int = 0
    """Those of which the contradiction is sure."""
    judge: str | None = None
    """What answered each image of fit after learning from others, in words; None: nothing could."""
    reason: str | None = None
    """Why nothing could."""
    curve: Curve | None = None
    no_curve: str | None = None
    """Why there is none."""
    by_model: bool = True
    """Whether the model is right often enough to judge the images of tune and validation."""


def hindsight(
    splits: Splits, exam: Exam, features: np.ndarray | None = None, out_of_fold: np.ndarray | None = None
) -> Hindsight:
    """
    Args:
        exam: its answers to tune and validation are of a model that has learned neither.
        features: of the fit images, standardised, shape (N, D), where a frozen backbone gives them.
        out_of_fold: probabilities of the fit images, shape (N, K), by heads that have not learned them.
    """
    by_model = right_share(exam.probabilities, splits.validation.labels, border=0.5) >= RIGHT_ENOUGH
    found = doubtful("tune", splits.tune.labels, exam.tuned) if by_model else []
    found += doubtful("validation", splits.validation.labels, exam.probabilities) if by_model else []
    labels, classes = splits.fit.labels, len(splits.classes)
    tuned = features is None and out_of_fold is not None
    kernel, reason = (None, None) if tuned else _kernel(splits, features)
    curve, judge, no_curve = None, None, TUNED if tuned else reason
    if kernel is not None:
        with one_thread():  # the same bits for any number of threads
            answers = left_out(kernel, labels, classes)
            right = right_share(answers, labels, border=0.5)
            tried = learning_curve(kernel, labels, classes, right)
        if features is None and right < RIGHT_ENOUGH:
            reason = f"a judge by their pixels is {_too_seldom(right)}"
            no_curve = f"{PIXELS}, which would draw it, is right for {right:.0%} of the fit images"
        else:
            curve, judge = tried, PIXELS if features is None else HEAD
            no_curve = None if tried else f"{len(labels):,} images of {classes:,} classes are too few for one"
            out_of_fold = answers if out_of_fold is None else out_of_fold
    if out_of_fold is not None and (right := right_share(out_of_fold, labels, border=0.5)) < RIGHT_ENOUGH:
        judge, reason, out_of_fold = judge or HEAD, f"a head that has not learned them is {_too_seldom(right)}", None
    if out_of_fold is not None:
        found += doubtful("fit", labels, out_of_fold)
        judge, reason = judge or HEAD, None
    doubts = surest_first(found)
    sure = sum(doubt.sure for doubt in doubts)
    return Hindsight(tuple(doubts[:MOST_LISTED]), len(doubts), sure, judge, reason, curve, no_curve, by_model)


def _too_seldom(right: float) -> str:
    return f"right for {right:.0%} of them, too few to doubt a label"


def features_learned_from(classifier: Classifier, splits: Splits) -> np.ndarray | None:
    """The features of the fit images as a linear head took them, float32, shape (N, D); None where none did, or where
    the backbone has been tuned on their labels, so that they are no judge of these.
    """
    if not isinstance(classifier, FrozenClassifier) or classifier.backbone.facts.fine_tuned:
        return None
    return np.asarray(classifier.scaled(torch.from_numpy(classifier.features_of(splits.fit))).numpy())


def _kernel(splits: Splits, features: np.ndarray | None) -> tuple[np.ndarray | None, str | None]:
    """Of all pairs of fit images; or why there is none."""
    images = splits.fit.images
    values = prod(images.shape[1:]) if features is None else features.shape[1]
    if not can_judge(len(images), values):
        return None, f"{len(images):,} images are too many, or too large, to be judged without a second training"
    if features is not None:
        return of_features(features), None
    return of_pixels(images[np.arange(len(images))]), None
