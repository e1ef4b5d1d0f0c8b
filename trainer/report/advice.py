"""What to do next, in three sentences that follow from the numbers: more images, labels to look at, a bigger model."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, lgamma

from vouch.bundle.accuracy import Accuracy
from vouch.trainer.judge.curve import Curve
from vouch.trainer.report.wording import count, share, short

CHANCE = 0.05
"""What is as likely as this by chance is not said of a class; with K classes, one of them by K times that."""
NAME = 40
"""Characters of a class's name or a file's."""
ENOUGH = 0.99
"""Right answers from which on little is left to gain."""
NEARLY = 0.96
"""Where the interval begins lower, validation alone is too small to say that little is left to gain."""
GAP = 0.03
"""By so much more right on the images that were learned from than on new ones, a model knows them by heart."""


@dataclass(frozen=True)
class ClassFound:
    """How much of a class was found on validation, and how many images there were to learn it from."""

    name: str
    found: Accuracy
    """Of the validation images that are of it, those that were said to be of it."""
    learned: int
    """Images of it in fit."""


@dataclass(frozen=True)
class Contradicted:
    """Labels that answers contradict."""

    sure: int
    contradicted: int
    """With those that are not sure."""
    first: str | None
    """The surest of them, in words; None where there is none."""
    reason: str | None
    """Why the labels of fit were not looked at; None where they were."""
    by_model: bool = True
    """Whether those of tune and validation were."""


@dataclass(frozen=True)
class Ability:
    """What a model can do, and what it might."""

    on_fit: float | None
    """Share of right answers to the images that it has learned; None where it was not counted."""
    on_new: Accuracy
    """To validation."""
    bigger: str | None
    """What would be a bigger model, in words; None where there is none."""
    curve: Curve | None
    judge: str | None = None
    """Whose curve it is, in words."""
    backbone: str | None = None
    """The flag of a backbone, where few photographs were learned from without one."""


def more_images(classes: Sequence[ClassFound], noun: str = "class") -> str:
    """Of which class more images are needed most.

    Args:
        classes: at least one has images in validation.
        noun: what they are called.
    """
    counted = [one for one in classes if one.found.total]
    worst = min(counted, key=lambda one: (one.found.accuracy, one.learned))
    fewest = min(classes, key=lambda one: one.learned)
    name = short(worst.name, NAME)
    said = f"{count(worst.found.correct)} of {count(worst.found.total)} found, 95 % interval {_interval(worst.found)}"
    if worst.found.correct == worst.found.total:
        return (
            f"No {noun} needs more images than the others: every validation image of each was found; "
            f"{short(fewest.name, NAME)} has the fewest training images, {count(fewest.learned)}"
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
        f"No {noun} clearly needs more images than the others: {name} is found least ({said}), which may be chance "
        f"with so few validation images"
    )


def _one_alone(counted: Sequence[ClassFound], noun: str) -> str:
    """What is said where one of three classes or more is found, and nothing of the others."""
    (only,) = (one for one in counted if one.found.correct)
    missed = sum(one.found.total for one in counted if one is not only)
    return (
        f"Only {short(only.name, NAME)} is found, and of the others 0 of {count(missed)}: the model does not tell them "
        f"apart, and more images of one {noun} will not change that"
    )


def labels_to_look_at(labels: Contradicted) -> str:
    """Which labels to look at."""
    model = "the model is right for too few of them"
    if labels.reason and not labels.by_model:
        return f"No labels were looked at: of fit, because {labels.reason}; of the others, because {model}"
    beside = f"; the labels of fit were not looked at, because {labels.reason}" if labels.reason else ""
    if not labels.by_model:
        beside = f"; those of the other splits were not looked at, because {model}"
    if labels.first is None:
        return f"No answer contradicts a label{beside}"
    if labels.sure == 0:
        many = f"{count(labels.contradicted)} labels are contradicted, none of them surely; begin with that of"
        said = "One label is contradicted, but not surely: that of" if labels.contradicted == 1 else many
        return f"{said} {labels.first}{beside}"
    if labels.sure == 1:
        return f"Look at the one label that is surely contradicted, of {labels.first}{beside}"
    return f"Look at the {count(labels.sure)} labels that are surely contradicted, first that of {labels.first}{beside}"


def images_or_model(ability: Ability) -> str:
    """Whether more images or a bigger model would help more."""
    new, curve = ability.on_new, ability.curve
    if ability.backbone and new.accuracy < ENOUGH:
        return (
            f"A backbone ({ability.backbone}) would probably help most: it has learned from many other photographs, "
            f"and this network from few; {share(new.accuracy, 1)} of the answers to new ones are right"
        )
    if curve and curve.right[-1] < new.low:
        curve = None  # of who knows less than the model it says nothing of the model
    bigger = f"a bigger model ({ability.bigger})" if ability.bigger else "another model"
    if curve and curve.right[-1] > new.high:
        return (
            f"{bigger[0].upper()}{bigger[1:]} would help: the same images allow {share(curve.right[-1], 1)} right "
            f"answers to new ones, by {ability.judge}"
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
    """What learning from fewer images says."""
    before, now = (share(right, 1) for right in curve.right[-2:])
    tried = (
        f"from {count(curve.images[-2])} images {before} right, from {count(curve.images[-1])} images {now}, tried "
        f"with {judge}"
    )
    if curve.rises:
        return f"More images would help: {tried}"
    return f"The last half of the images brought no clear gain ({tried}); {bigger} may help more than more images"


def _by_the_gap(on_fit: float | None, new: Accuracy, bigger: str) -> str:
    """What the images that were learned from say, where nothing else was tried."""
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
    """How likely it is to find as few as this, or fewer, if this class is found no less often than the others.

    Fisher's exact test: of all ways to deal the images that were found, those in which this class got so few.
    """
    total, correct = found.total + others.total, found.correct + others.correct
    fewest = max(0, correct - others.total)
    ways = (_log_ways(found.total, k) + _log_ways(others.total, correct - k) for k in range(fewest, found.correct + 1))
    return sum(exp(way - _log_ways(total, correct)) for way in ways)


def _log_ways(total: int, chosen: int) -> float:
    return lgamma(total + 1) - lgamma(chosen + 1) - lgamma(total - chosen + 1)


def _interval(found: Accuracy) -> str:
    return f"{share(found.low, 0)} to {share(found.high, 0)}"
