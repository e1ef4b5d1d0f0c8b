"""A bundle's claim: the number of right answers, and the counts of right and wrong answers by class.

Both tasks count whole images, so that claim, interval and recount mean the same. Each claim also has its baseline (the
accuracy of one constant answer) and its balanced accuracy; both are computed from the counts.
"""

from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from pydantic import AfterValidator, Discriminator, FailFast, Field, RootModel, Tag, model_validator

from vouch.bundle.accuracy import Accuracy, wilson_interval
from vouch.bundle.balanced import Balanced, balanced, balanced_over_labels
from vouch.bundle.confusion import MAX_CLASSES, Confusion
from vouch.bundle.multi_label import MultiLabelTally, Task
from vouch.bundle.part import Part
from vouch.bundle.tally import Tally

Row = Annotated[tuple[int, ...], FailFast(), Field(max_length=MAX_CLASSES)]
Pair = tuple[Annotated[int, Field(ge=0)], Annotated[int, Field(ge=0)]]


class _Counted(Part):
    """Right answers on the validation split, counted by the trainer on the exported graph, in ONNX Runtime."""

    correct: int = Field(ge=0)
    total: int = Field(ge=1)
    low: float
    """Lower end of the 95 % interval as published; older bundles use Wilson's interval without correction."""
    high: float

    @property
    def accuracy(self) -> Accuracy:
        """The claim as a count."""
        return Accuracy(correct=self.correct, total=self.total)

    def _check_interval(self) -> None:
        known = [wilson_interval(self.correct, self.total, corrected=corrected) for corrected in (True, False)]
        if not any(
            abs(self.low - low) <= 1e-6 and abs(self.high - high) <= 1e-6 for low, high in known
        ):  # also refuses NaN
            raise ValueError("low and high are not the 95 % interval of the claim")


WAYS = ("columns", "rows")
"""The forms in which a confusion matrix is written."""


def _written_in(confusion: Any) -> str:
    return WAYS[not isinstance(confusion, dict | Confusion)]


class _Rows(RootModel[Annotated[tuple[Row, ...], FailFast(), Field(max_length=MAX_CLASSES)]]):
    """K rows of K counts: the row is the true class, the column the answer."""

    def as_columns(self) -> Confusion:
        return Confusion.of_rows(self.root)


AnyConfusion = Annotated[
    Annotated[Confusion, Tag("columns")] | Annotated[_Rows, AfterValidator(_Rows.as_columns), Tag("rows")],
    Discriminator(_written_in),
]
"""Formats 1 and 2 have rows."""


class Claim(_Counted):
    """The counts of a single-label model: an image is right if its label was the most probable."""

    if TYPE_CHECKING:
        confusion: Confusion
    else:
        confusion: AnyConfusion

    @property
    def classes(self) -> int:
        """The smallest number of classes that fits the counts."""
        return self.confusion.classes

    def per_class(self, classes: int) -> list[Accuracy]:
        """The counts for each class, in the order of the labels.

        Args:
            classes: K, the number of labels.
        """
        right, images = self.confusion.right_of_each(classes), self.confusion.of_each(classes)
        counts = zip(right.tolist(), images.tolist(), strict=True)
        return [Accuracy(correct=correct, total=total) for correct, total in counts]

    @cached_property
    def balanced(self) -> Balanced:
        """The mean over the classes of the share of right answers."""
        return balanced(self.confusion.right_of_each(self.classes), self.confusion.of_each(self.classes))

    @cached_property
    def commonest_class(self) -> int:
        """The most frequent class, the first of equals."""
        return int(self.confusion.of_each(self.classes).argmax())

    @cached_property
    def baseline(self) -> Accuracy:
        """The accuracy of always answering the most frequent class."""
        images = self.confusion.of_each(self.classes)
        return Accuracy(correct=int(images[self.commonest_class]), total=self.total)

    @model_validator(mode="after")
    def _figures_agree(self) -> "Claim":
        if (self.confusion.correct, self.confusion.total) != (self.correct, self.total):
            raise ValueError("the confusion matrix does not add up to the claim")
        self._check_interval()
        return self


class MultiLabelClaim(_Counted):
    """The counts of a multi-label model: an image is right if exactly its labels were answered."""

    per_label: Annotated[tuple[tuple[Pair, Pair], ...], FailFast(), Field(max_length=MAX_CLASSES)]
    """For each of the K labels ((true negatives, false positives), (false negatives, true positives))."""
    commonest_set: Annotated[int, Field(ge=1)] | None = None
    """Images with the most frequent set of labels; None in older bundles."""

    @property
    def classes(self) -> int:
        """K."""
        return len(self.per_label)

    @cached_property
    def balanced(self) -> Balanced | None:
        """The mean over the labels of how well each one's presence and absence are recognised; None if no label is on
        only a part of the images.
        """
        return balanced_over_labels(np.array(self.per_label))

    @cached_property
    def baseline(self) -> Accuracy:
        """The accuracy of always answering the most frequent set of labels; a lower bound in older bundles."""
        return Accuracy(correct=self.commonest_set or self._commonest_bounds[0], total=self.total)

    @property
    def _commonest_bounds(self) -> tuple[int, int]:
        """Bounds for the number of images with the most frequent set of labels, from the counts of each label.

        An image differs from the set of majority labels only if it differs in at least one label. K labels have 2^K
        sets, and the largest is not below the mean. No set is on more images than each of its labels.
        """
        present = [true_positives + false_negatives for _, (false_negatives, true_positives) in self.per_label]
        commoner = [max(images, self.total - images) for images in present]
        missed = sum(self.total - images for images in commoner)
        return max(self.total - missed, -(-self.total // 2**self.classes)), min(commoner, default=self.total)

    @model_validator(mode="after")
    def _figures_agree(self) -> "MultiLabelClaim":
        wrong = [false_positives + false_negatives for (_, false_positives), (false_negatives, _) in self.per_label]
        if any(sum(map(sum, counts)) != self.total for counts in self.per_label):
            raise ValueError("the counts of a label do not add up to the images of the claim")
        if not max(wrong, default=0) <= self.total - self.correct <= sum(wrong):
            raise ValueError("the counts of the labels do not fit the claimed number of right images")
        least, most = self._commonest_bounds
        if self.commonest_set is not None and not least <= self.commonest_set <= most:
            raise ValueError(
                "the counts of the labels do not fit the stated number of images with the most frequent set"
            )
        self._check_interval()
        return self


def _task_of_claim(claim: Any) -> Task:
    several = "per_label" in claim if isinstance(claim, dict) else isinstance(claim, MultiLabelClaim)
    return "multi_label" if several else "single_label"


AnyClaim = Annotated[
    Annotated[Claim, Tag("single_label")] | Annotated[MultiLabelClaim, Tag("multi_label")],
    Discriminator(_task_of_claim),
]
"""A claim of either task."""


def claim_from(tally: Tally | MultiLabelTally) -> Claim | MultiLabelClaim:
    """The claim from a finished count."""
    count = tally.accuracy
    low, high = count.low, count.high
    if isinstance(tally, MultiLabelTally):
        per_label = tuple(((tn, fp), (fn, tp)) for (tn, fp), (fn, tp) in tally.per_label.tolist())
        return MultiLabelClaim(
            correct=count.correct,
            total=count.total,
            low=low,
            high=high,
            per_label=per_label,
            commonest_set=tally.commonest_set,
        )
    return Claim(correct=count.correct, total=count.total, low=low, high=high, confusion=tally.confusion)
