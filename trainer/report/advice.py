"""What to do next, as three sentences derived from the numbers: more images, labels to check, a bigger model."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, lgamma

from vouch.bundle.accuracy import Accuracy
from vouch.trainer.judge.curve import Curve
from vouch.trainer.report.wording import count, share, short

CHANCE = 0.05
"""Significance level for advice about a class, corrected for the number of classes."""
NAME = 40
"""Characters of a class's name or a file's."""
ENOUGH = 0.99
"""Accuracy from which little is left to gain."""
NEARLY = 0.96
"""If the interval begins lower, validation is too small to state that little is left to gain."""
GAP = 0.03
"""A model is overfitted if its accuracy on fit is higher than on new images by more than this."""


@dataclass(frozen=True)
class ClassFound:
    """The recall of a class on validation, and its number of fit images."""

    name: str
    found: Accuracy
    """Its recall."""
    learned: int
    """Number of its images in fit."""


@dataclass(frozen=True)
class Contradicted:
    """Labels that answers contradict."""

    sure: int
    contradicted: int
    """All contradictions, confident or not."""
    first: str | None
    """The most confident one, in words; None if there is none."""
    reason: str | None
    """Why the labels of fit were not checked; None if they were."""
    by_model: bool = True
    """Whether those of tune and validation were checked."""


@dataclass(frozen=True)
class Ability:
    """How accurate a model is, and what might improve it."""

    on_fit: float | None
    """Accuracy on the images that it has learned; None if not counted."""
    on_new: Accuracy
    """On validation."""
    bigger: str | None
    """Flags for a bigger model; None if there is none."""
    curve: Curve | None
    judge: str | None = None
    """What the curve was computed with, in words."""
    backbone: str | None = None
    """Flag for a backbone, if few photographs were learned from without one."""


def more_images(classes: Sequence[ClassFound], noun: str = "class") -> str:
    """Which class needs more images most.

    Args:
        classes: at least one has images in validation.
        noun: class or label.
    """
    counted = [one for one in classes if one.found.total]
    worst = min(counted, key=lambda one: (one.found.accuracy, one.learned))
    fewest = min(classes, key=lambda one: one.learned)
    name = short(worst.name, NAME)
    said = f"{count(worst.found.correct)} of {count(worst.found.total)} found, 95 % interval {_interval(worst.found)}"
    if worst.found.correct == worst.found.total:
        return (
            f"No {noun} needs more images than the others: every validation image of each was found; "
            f"{noun} {short(fewest.name, NAME)} has the fewest training images, {count(fewest.learned)}"
        )
    if len(counted) > 2 and sum(one.found.correct > 0 for one in counted) == 1:
        return _one_alone(counted, noun)
    correct = sum(one.found.correct for one in counted) - worst.found.correct
    total = sum(one.found.total for one in counted) - worst.found.total
    others = correct / total if total else 1.0
    if _chance(worst.found, Accuracy(correct=correct, total=total)) * len(counted) < CHANCE:
        return (
            f"Add images of {name} first: {said}, of the others {share(others, 1)}; it has {count(worst.learned)} "
            "training images"
        )
    return (
        f"No {noun} clearly needs more images than the others: {noun} {name} has the lowest recall ({said}), which may "
        "be chance with so few validation images"
    )


def _one_alone(counted: Sequence[ClassFound], noun: str) -> str:
    """The advice if only one of three or more classes is found at all."""
    (only,) = (one for one in counted if one.found.correct)
    missed = sum(one.found.total for one in counted if one is not only)
    nouns = "classes" if noun == "class" else "labels"
    return (
        f"Only images of {short(only.name, NAME)} are recognised, and none of the {count(missed)} images of other "
        f"{nouns}: the model does not distinguish the {nouns}, and more images of one {noun} will not change that"
    )


def labels_to_look_at(labels: Contradicted) -> str:
    """Which labels to check."""
    model = "the model is right for too few of them"
    if labels.reason and not labels.by_model:
        return f"No labels were checked: those of fit, because {labels.reason}; the others, because {model}"
    beside = f"; the labels of fit were not checked, because {labels.reason}" if labels.reason else ""
    if not labels.by_model:
        beside = f"; those of the other splits were not checked, because {model}"
    if labels.first is None:
        return f"No answer contradicts a label{beside}"
    if labels.sure == 0:
        many = f"{count(labels.contradicted)} labels are contradicted, none with high confidence; begin with that of"
        one = "One label is contradicted, but not with high confidence: that of"
        return f"{one if labels.contradicted == 1 else many} {labels.first}{beside}"
    if labels.sure == 1:
        return f"Check the one label that is contradicted with high confidence, that of {labels.first}{beside}"
    many = f"Check the {count(labels.sure)} labels that are contradicted with high confidence, first that of"
    return f"{many} {labels.first}{beside}"


def images_or_model(ability: Ability) -> str:
    """Whether more images or a bigger model would help more."""
    new, curve = ability.on_new, ability.curve
    if ability.backbone and new.accuracy < ENOUGH:
        return (
            f"A backbone ({ability.backbone}) would probably help most: it has learned from many other photographs, "
            f"and this network from few; {share(new.accuracy, 1)} of the answers to new images are right"
        )
    if curve and curve.right[-1] < new.low:
        curve = None  # a curve that ends below the model's accuracy shows nothing about the model
    bigger = f"a bigger model ({ability.bigger})" if ability.bigger else "another model"
    if curve and curve.right[-1] > new.high:
        return (
            f"{bigger[0].upper()}{bigger[1:]} would help: with the same training images, {ability.judge} is right for "
            f"{share(curve.right[-1], 1)} of new images"
        )
    if new.accuracy >= ENOUGH and (new.low >= NEARLY or (curve and curve.right[-1] >= ENOUGH)):
        return f"Neither more images nor a bigger model can improve much: {share(new.accuracy)} are right"
    if curve:
        return _by_the_curve(curve, ability.judge, bigger)
    if new.accuracy >= ENOUGH:
        return (
            f"{count(new.total)} validation images are too few to say whether more images or {bigger} would help: "
            f"{share(new.accuracy, 1)} are right, 95 % interval {_interval(new)}"
        )
    return _by_the_gap(ability.on_fit, new, bigger)


def _by_the_curve(curve: Curve, judge: str | None, bigger: str) -> str:
    """Advice by the learning curve."""
    before, now = (share(right, 1) for right in curve.right[-2:])
    tried = (
        f"from {count(curve.images[-2])} images {before} right, from {count(curve.images[-1])} images {now}, tried "
        f"with {judge}"
    )
    if curve.rises:
        return f"More images would help: {tried}"
    return f"The last half of the images brought no clear gain ({tried}); {bigger} may help more than more images"


def _by_the_gap(on_fit: float | None, new: Accuracy, bigger: str) -> str:
    """Advice by the difference between fit and validation accuracy, if there is no curve."""
    if on_fit is None:
        return "Whether more images or a bigger model would help was not tried: it would cost more than this training"
    if on_fit > new.accuracy + GAP:
        return (
            f"More images would probably help more than a bigger model: {share(on_fit, 1)} of the answers to training "
            f"images are right, {share(new.accuracy, 1)} to new ones"
        )
    return (
        f"The model is hardly better on its training images ({share(on_fit, 1)} right) than on new ones "
        f"({share(new.accuracy, 1)}), so {bigger} would probably help more than more images"
    )


def _chance(found: Accuracy, others: Accuracy) -> float:
    """The probability of a recall as low as this, or lower, if this class has the same recall as the others.

    Fisher's exact test, one-sided.
    """
    total, correct = found.total + others.total, found.correct + others.correct
    fewest = max(0, correct - others.total)
    ways = (_log_ways(found.total, k) + _log_ways(others.total, correct - k) for k in range(fewest, found.correct + 1))
    return sum(exp(way - _log_ways(total, correct)) for way in ways)


def _log_ways(total: int, chosen: int) -> float:
    return lgamma(total + 1) - lgamma(chosen + 1) - lgamma(total - chosen + 1)


def _interval(found: Accuracy) -> str:
    return f"{share(found.low, 0)} to {share(found.high, 0)}"
